"""Regions and genes as somebody asked for them, read, and held against the dataset that they are asked of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from policies import loci
from policies.loci import END, Catalogue, Mask
from vault.access import reference_data
from vault.errors import InputError
from vault.files.yaml_documents import declared
from vault.genotypes.catalog import parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.contigs import find_assembly, normal_contig
from vault.session.unlocked_vault import UnlockedVault

_SHOWN = 8  # contigs or genes that a refusal names


def read_regions(texts: Sequence[str]) -> Mask:
    """The union of regions as people type them (``policies.region_syntax``).

    Raises:
        InputError: ``document_rejected``: one is no region, or there is none.
    """
    return declared(lambda: loci.parse_regions(texts), name="the regions")


def require_form(regions: Sequence[str]) -> None:
    """Refuse what is no question: it is told to everybody, before anything is looked up.

    Raises:
        InputError: ``document_rejected``: a region is none.
    """
    if regions:
        read_regions(regions)


def in_positions(vault: UnlockedVault, dataset: Dataset, regions: Sequence[str], genes: Sequence[str] = ()) -> tuple[str, ...]:
    """The regions, where a gene is named instead of one its positions on the dataset's assembly; then those of ``genes``.

    A gene's name is read in any case. A region that names a contig of the dataset is that contig.

    Raises:
        InputError: ``gene_unknown``: no gene of that name has known positions on the assembly.
    """
    named = [text for text in regions if ":" not in text and "{" not in text]
    if not named and not genes:
        return tuple(regions)
    with vault.books.read() as tx:
        places = reference_data.catalogue(tx, dataset.assembly)
    held = set(map(normal_contig, parts.contigs(vault, dataset.dataset_id))) if named else set()
    found: list[str] = []
    for text in regions:
        gene = _gene(text, places) if text in named and _contig(text) not in held else None
        found += [text] if gene is None else _positions(places.genes[gene])
    for text in genes:
        gene = _gene(text, places)
        if gene is None:
            raise _unknown_gene(text, places)
        found += _positions(places.genes[gene])
    return tuple(found)


def require_own(regions: Mask, dataset: Dataset) -> None:
    """Refuse contigs that are named by an accession of another assembly than the dataset's. Raises InputError ``assembly_mismatch``."""
    find_assembly(dataset.assembly).require_own((region.contig for region in regions.intervals), name="the regions")


def require_present(regions: Mask, dataset: Dataset, contigs: Iterable[str]) -> None:
    """Refuse contigs on which the dataset, which has ``contigs``, has nothing: for those who may know what it has.

    Raises:
        InputError: ``contig_not_held``.
    """
    held = {normal_contig(name): name for name in contigs}
    unknown = sorted({item.contig for item in regions.intervals if normal_contig(item.contig) not in held})
    if not unknown:
        return
    has = [held[name] for name in sorted(held, key=lambda name: (not name.isdigit(), name.zfill(4)))]
    shown = ", ".join(has[:_SHOWN]) + (f" and {len(has) - _SHOWN} more" if len(has) > _SHOWN else "")
    raise InputError(
        "contig_not_held",
        f"dataset {dataset.name} has no contig {unknown[0]:.60}: it has {shown}",
        hint="write a region as CONTIG:FIRST-LAST, or a gene whose positions are known; other genes are asked for with a panel",
    )


def _contig(text: str) -> str:
    return normal_contig(loci.parse_region(text).contig)


def _gene(text: str, places: Catalogue) -> str | None:
    """The catalogue's spelling of a gene."""
    wanted = text.strip().upper()
    return next((name for name in places.genes if name.upper() == wanted), None)


def _positions(place: Mask) -> Iterable[str]:
    for item in place.intervals:
        first, last = item.positions
        yield f"{item.contig}:{first}-{'' if last == END else last}"


def _unknown_gene(text: str, places: Catalogue) -> InputError:
    by_upper = {name.upper(): name for name in places.genes}
    close = [by_upper[name] for name in get_close_matches(text.strip().upper(), by_upper, n=_SHOWN)]
    meant = f"did you mean {', '.join(close)}? " if close else ""
    return InputError(
        "gene_unknown",
        f"the positions of {text!r:.40} on {places.assembly} are not known here",
        hint=f"{meant}else write its region as CONTIG:FIRST-LAST, or a steward loads named places (genovault consent load loci PACK.json)",
    )
