"""A gene's loci in a panel view: which records answer for a locus, and what each person shows there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from alleles import Gene, Locus
from numpy.typing import NDArray
from pgx import NO_CALL, OTHER, REFERENCE, VARIANT

if TYPE_CHECKING:
    from vault.client.panel_genotypes import PanelGenotypes
    from vault.genotypes.sites import Sites
    from vault.views.view import View

Genotypes = NDArray[np.int8] | NDArray[np.int16]

CONTIG_PREFIX = "chr"


@dataclass(frozen=True)
class Panel:
    """A view's arrays, taken once. ``genotypes`` int8[m, n, ploidy], ``phased`` bool[m, n]."""

    people: int
    sites: Sites
    assembly: str
    genotypes: Genotypes
    phased: NDArray[np.bool_]

    @staticmethod
    def from_view(view: View | PanelGenotypes) -> Panel:
        """The arrays of a view, as ``vault`` hands it out."""
        return Panel(len(view.pseudonyms), view.sites, view.assembly, view.genotypes, view.phased)


def observe(panel: Panel, gene: Gene) -> NDArray[np.int8]:
    """int8[n, loci, 4]: first and second chromosome (the constants of ``pgx``), phased, read by proxy."""
    columns = []
    for locus in gene.loci:
        shown = _locus(panel, gene.contig, locus)
        if locus.proxy:
            stand_in = _locus(panel, gene.contig, locus.proxy)
            use = (shown[:, 0] == NO_CALL) & (stand_in[:, 0] != NO_CALL) & (stand_in[:, :2] != OTHER).all(axis=1)
            stand_in[:, 3] = 1
            shown[use] = stand_in[use]
        columns.append(shown)
    return np.stack(columns, axis=1)


def _locus(panel: Panel, contig: str, locus: Locus) -> NDArray[np.int8]:
    """int8[n, 4] of one locus.

    A site may come as several records (one per ALT, or one per part of the dataset). Records that list the variant decide; where
    none does, a record with the same REF tells reference from other. Half-calls, haploid and polyploid calls are no call here.
    """
    n = panel.people
    shown = np.full((n, 4), NO_CALL, np.int8)
    shown[:, 2:] = 0
    position = locus.positions[panel.assembly]
    records = []
    for index in np.flatnonzero(panel.sites.pos == position).tolist():
        name = panel.sites.contigs[panel.sites.contig[index]]
        ref, *alts = panel.sites.alleles[index].decode().split(",")
        if name.removeprefix(CONTIG_PREFIX) == contig and ref == locus.ref:
            records.append((index, alts))
    deciding = [record for record in records if locus.alt in record[1]] or records
    for index, alts in deciding:
        pair = _pair(panel.genotypes[index], alts, locus)
        called = (pair != NO_CALL).all(axis=1)
        shown[called, :2] = np.maximum(shown[called, :2], pair[called])
        shown[called, 2] |= panel.phased[index][called]
    for index, alts in records:
        if (index, alts) not in deciding:
            pair = _pair(panel.genotypes[index], alts, locus)
            other = (pair == OTHER).any(axis=1) & (shown[:, 0] != NO_CALL)
            shown[other, :2] = OTHER
    return shown


def _pair(genotypes: Genotypes, alts: list[str], locus: Locus) -> NDArray[np.int8]:
    """int8[n, 2]: allele numbers of one record as the constants of ``pgx``; both NO_CALL unless the call is diploid and whole."""
    meaning = np.array([REFERENCE] + [VARIANT if alt == locus.alt else OTHER for alt in alts], np.int8)
    whole = (genotypes[:, :2] >= 0).all(axis=1) & (genotypes[:, 2:] == -2).all(axis=1)
    pair = np.full((len(genotypes), 2), NO_CALL, np.int8)
    pair[whole] = meaning[genotypes[whole, :2]]
    return pair
