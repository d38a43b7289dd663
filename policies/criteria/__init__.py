"""Criteria of matching in place: what a pack asks of people's genotypes, three-valued, and what an answer tells (docs/design/disclosure.md §10)."""
