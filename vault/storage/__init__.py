"""Sealed bytes in SQL and object stores; knows no key and no genotype."""
