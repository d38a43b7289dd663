"""Genotypes from file to sealed block and back: import job, catalog, store, ingest, codec, compute."""
