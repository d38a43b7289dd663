"""Panels for engines: genotypes, changes and matching in place."""
