"""Corrections of genotypes: removal, replacement and moves of what was imported, each logged with its reason and resumable."""
