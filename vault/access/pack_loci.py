"""Loci of a criteria pack against those of the panel that it is approved for."""

from __future__ import annotations

from dataclasses import replace

from policies.criteria.packs import CriteriaPack
from policies.disclosure.alleles import Allele, trimmed
from vault.errors import InputError
from vault.genotypes.catalog import datasets
from vault.genotypes.catalog.panels import Panel
from vault.genotypes.contigs import normal_contig
from vault.session.unlocked_vault import UnlockedVault


def require_fits(vault: UnlockedVault, pack: CriteriaPack, panel: Panel) -> None:
    """Refuse a pack that cannot be asked of a panel.

    Raises:
        InputError: ``assembly_mismatch``; ``locus_outside_panel``: the panel does not name a locus with REF and ALT.
    """
    dataset = datasets.by_name(vault, panel.dataset)
    if dataset.assembly != pack.assembly:
        raise InputError(
            "assembly_mismatch", f"{pack.label} is for {pack.assembly}, and panel {panel.name} for {dataset.assembly}"
        )
    named = _panel_alleles(panel)
    outside = [name for name, allele in pack.loci.items() if _normal(allele) not in named]
    if outside:
        shown = f"{', '.join(outside[:5])}{' and others' if len(outside) > 5 else ''}"
        hint = "add them to the panel's list, with REF and ALT: genovault panel create"
        raise InputError("locus_outside_panel", f"version {panel.version} of panel {panel.name} does not name {shown}", hint=hint)


def _panel_alleles(panel: Panel) -> frozenset[Allele]:
    """Alleles that the loci of a panel name, under normal names of their contigs."""
    return frozenset(
        trimmed(normal_contig(locus.place.contig), locus.place.positions[0], locus.ref.upper(), alt.upper())
        for locus in panel.loci
        for alt in locus.alts
        if locus.ref
    )


def _normal(allele: Allele) -> Allele:
    """The allele under the name of its contig that compares."""
    return replace(allele, contig=normal_contig(allele.contig))
