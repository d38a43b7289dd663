"""Sealed genotypes: containers of blocks, site tables, and what reads and writes them. Knows keys and objects, no SQL table."""
