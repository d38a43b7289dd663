"""Policies: what may be released, to whom and why. Pure: no files, clock, database or keys."""
