"""Datasets, parts and panels as SQL knows them, and the readers and builders that join SQL to sealed objects."""
