"""Regions as somebody asked for them, read, and held against the dataset that they are asked of."""

from __future__ import annotations

from collections.abc import Sequence

from policies import loci
from policies.loci import Mask
from vault.errors import InputError
from vault.files.yaml_documents import declared
from vault.genotypes.catalog import parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.contigs import find_assembly, normal_contig
from vault.session.unlocked_vault import UnlockedVault

_SHOWN = 8  # contigs that a refusal names


def read_regions(texts: Sequence[str]) -> Mask:
    """The union of regions as people type them (``policies.region_syntax``).

    Raises:
        InputError: ``document_rejected``: one is no region, or there is none.
    """
    return declared(lambda: loci.parse_regions(texts), name="the regions")


def require_form(panel: str | None, regions: Sequence[str]) -> None:
    """Refuse what is no question: it is told to everybody, before anything is looked up.

    Raises:
        InputError: ``document_rejected``: a region is none; ``loci_twice``: a panel and regions.
    """
    if panel is not None and regions:
        raise InputError("loci_twice", "ask for a panel or for regions, not for both")
    if regions:
        read_regions(regions)


def require_own(regions: Mask, dataset: Dataset) -> None:
    """Refuse contigs that are named by an accession of another assembly than the dataset's. Raises InputError ``assembly_mismatch``."""
    find_assembly(dataset.assembly).require_own((region.contig for region in regions.intervals), name="the regions")


def require_present(vault: UnlockedVault, regions: Mask, dataset: Dataset) -> None:
    """Refuse contigs on which the dataset has nothing: for those who may know what it has.

    Raises:
        InputError: ``contig_not_held``.
    """
    held = {normal_contig(name): name for name in parts.contigs(vault, dataset.dataset_id)}
    unknown = sorted({item.contig for item in regions.intervals if normal_contig(item.contig) not in held})
    if not unknown:
        return
    has = [held[name] for name in sorted(held, key=lambda name: (not name.isdigit(), name.zfill(4)))]
    shown = ", ".join(has[:_SHOWN]) + (f" and {len(has) - _SHOWN} more" if len(has) > _SHOWN else "")
    raise InputError(
        "contig_not_held",
        f"dataset {dataset.name} has no contig {unknown[0]:.60}: it has {shown}",
        hint="write a region as CONTIG:FIRST-LAST; genes are asked for with a panel",
    )
