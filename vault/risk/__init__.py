"""Risk of a release: what it would tell of its people, measured before it is approved (docs/design/disclosure.md §15)."""
