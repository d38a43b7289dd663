"""Genotypes of a panel as a server gave them: with the names and shapes of ``vault.View``, so that a program takes either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vault.errors import InputError
from vault.genotypes.sites import Sites
from vault.views import variants
from vault.views.variants import Variant

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Alleles = NDArray[np.int8] | NDArray[np.int16]


@dataclass(frozen=True, repr=False)
class PanelGenotypes:
    """Pseudonyms x sites x calls, of one answer.

    ``by_person`` int8 or int16[n, m, ploidy]: allele numbers, -1 missing, -2 absent (beyond the call's ploidy). ``phased_by_person`` bool[n, m].
    ``not_assayed`` names the loci of the panel that the dataset has no site for ("contig:pos"). ``sites_id`` names the site table, ``entry`` is the
    number of the log's entry, ``cursor`` what ``changes`` and ``genotypes`` go on from. ``drop``: pseudonyms that are not to be held any more;
    ``whole``: these are all rows that may be held, else those that came since the cursor that was shown.
    """

    pseudonyms: tuple[str, ...]
    sites: Sites
    by_person: Alleles
    phased_by_person: NDArray[np.bool_]
    assembly: str
    not_assayed: tuple[str, ...]
    sites_id: str
    entry: int
    cursor: str = field(default="", repr=False)
    drop: tuple[str, ...] = ()
    whole: bool = True

    def __repr__(self) -> str:
        return (
            f"PanelGenotypes({len(self.pseudonyms)} pseudonyms, {len(self.sites)} sites)"  # genotypes end in no log by accident
        )

    @property
    def genotypes(self) -> Alleles:
        """int8 or int16[m, n, ploidy], as ``vault.View.genotypes``: the same memory as ``by_person``."""
        turned: Alleles = self.by_person.transpose(1, 0, 2)
        return turned

    @property
    def phased(self) -> NDArray[np.bool_]:
        """bool[m, n]: the call's alleles are phased with their neighbours."""
        return self.phased_by_person.T

    def row(self, pseudonym: str) -> Alleles:
        """int8 or int16[m, ploidy]: one person's calls. Raises InputError ``pseudonym_unknown``."""
        row: Alleles = self.by_person[self._place(pseudonym)]
        return row

    def variants(self) -> list[Variant]:
        """Each site as text, m in order."""
        return variants.variants(self.sites)

    def calls_of(self, pseudonym: str) -> list[str]:
        """One person's calls as VCF writes them (``0/1``, ``1|1``, ``0``, ``./.``), m in the order of the sites.

        A call that is phased in part alone is written unphased. Raises InputError ``pseudonym_unknown``.
        """
        at = self._place(pseudonym)
        return call_texts(self.by_person[at], self.phased_by_person[at])

    def to_pandas(self) -> pd.DataFrame:
        """A row for each site, a column for each pseudonym (``vault.views.variants``). Raises UnavailableError ``extra_missing``."""
        return variants.pandas_frame(self._columns())

    def to_polars(self) -> pl.DataFrame:
        """As ``to_pandas``, for polars. Raises UnavailableError ``extra_missing``."""
        return variants.polars_frame(self._columns())

    def _place(self, pseudonym: str) -> int:
        try:
            return self.pseudonyms.index(pseudonym)
        except ValueError:
            raise InputError(
                "pseudonym_unknown", f"nobody in this answer is {pseudonym:.60}", hint="its pseudonyms lists them"
            ) from None

    def _columns(self) -> Mapping[str, Sequence[object]]:
        return variants.site_columns(self.sites) | {name: self.calls_of(name) for name in self.pseudonyms}


def call_texts(alleles: Alleles, phased: NDArray[np.bool_]) -> list[str]:
    """Calls of one person as VCF writes them. ``alleles`` int8 or int16[m, ploidy]; ``phased`` bool[m]."""
    return [
        ("|" if joined else "/").join("." if one < 0 else str(one) for one in call if one != -2)
        for call, joined in zip(alleles.tolist(), phased.tolist(), strict=True)
    ]
