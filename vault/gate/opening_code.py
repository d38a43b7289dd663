"""Code that opening genotypes needs: a command loads it where it opens any, and what serves many people before it says that it does."""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "vault.extracts.genotype_files",
    "vault.extracts.streams",
    "vault.genotypes.codec.decoder",
    "vault.genotypes.codec.kernels.allele_counts",
    "vault.genotypes.site_kernels",
    "vault.genotypes.store.settled_reads",
    "vault.views.criteria_answers",
    "vault.views.deidentify",
    "vault.views.matches",
    "vault.views.narrowed",
    "vault.views.rare_alleles",
    "vault.views.released_bits",
)
"""Modules that are imported when genotypes are opened, and nothing before: those with kernels, which are loaded compiled, and what uses them."""


def load_code() -> None:
    """Load it now: a second or so, where the kernels were compiled before."""
    for name in MODULES:
        import_module(name)
