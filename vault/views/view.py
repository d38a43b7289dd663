"""The view: de-identified genotypes that one request yields (docs/glossary.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vault.errors import InputError
from vault.genotypes.codec.call_codes import HAPLOID_BASE, PHASED_OFFSET, Codes, Escapes, allele_pairs
from vault.genotypes.sites import Sites
from vault.ids import Pseudonym
from vault.views import variants
from vault.views.variants import Variant

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True, repr=False)
class View:
    """Pseudonyms x sites x calls.

    ``codes`` uint8[m sites, n pseudonyms] as ``vault.genotypes.codec.call_codes`` defines them; ``escapes`` holds the calls that do not
    fit. ``not_assayed`` names the loci of a panel that the dataset has no site for ("contig:pos"). ``receipt`` is the audit
    receipt (tlog-proof text) of the access that made this view, empty until the gate has logged it.
    """

    pseudonyms: tuple[Pseudonym, ...]
    sites: Sites
    codes: Codes
    escapes: Escapes
    assembly: str
    not_assayed: tuple[str, ...] = ()
    receipt: str = ""

    def __repr__(self) -> str:
        return f"View({len(self.pseudonyms)} pseudonyms, {len(self.sites)} sites)"  # genotypes end in no log by accident

    @property
    def genotypes(self) -> NDArray[np.int8] | NDArray[np.int16]:
        """int8[m, n, ploidy]: allele numbers; -1 missing, -2 absent (beyond the call's ploidy). int16 where a call has an allele over 127."""
        matrix = allele_pairs()[self.codes]
        if not len(self.escapes):
            return matrix
        lengths = np.diff(self.escapes.offset)
        ploidy = max(2, int(lengths.max()))
        wide = int(self.escapes.alleles.max()) > np.iinfo(np.int8).max
        full: NDArray[np.int8] | NDArray[np.int16] = np.full((*self.codes.shape, ploidy), -2, np.int16 if wide else np.int8)
        full[:, :, :2] = matrix
        within = np.arange(len(self.escapes.alleles)) - np.repeat(self.escapes.offset[:-1], lengths)
        full[self.escapes.site, self.escapes.sample] = -2
        full[np.repeat(self.escapes.site, lengths), np.repeat(self.escapes.sample, lengths), within] = self.escapes.alleles
        return full

    def variants(self) -> list[Variant]:
        """Each site as text, m in order."""
        return variants.variants(self.sites)

    def calls_of(self, pseudonym: str) -> list[str]:
        """One person's calls as VCF writes them (``0/1``, ``1|1``, ``0``, ``./.``), m in the order of the sites.

        Raises:
            InputError: ``pseudonym_unknown``: nobody in this view has it.
        """
        try:
            column = self.pseudonyms.index(Pseudonym(pseudonym))
        except ValueError:
            raise InputError(
                "pseudonym_unknown", f"nobody in this view is {pseudonym:.60}", hint="view.pseudonyms lists them"
            ) from None
        texts: list[str] = variants.call_column(self.codes, self.escapes, column).tolist()
        return texts

    def to_pandas(self) -> pd.DataFrame:
        """A row for each site, a column for each pseudonym (``vault.views.variants``). Raises UnavailableError ``extra_missing``."""
        return variants.pandas_frame(variants.table(self.sites, self.codes, self.escapes, self.pseudonyms))

    def to_polars(self) -> pl.DataFrame:
        """As ``to_pandas``, for polars. Raises UnavailableError ``extra_missing``."""
        return variants.polars_frame(variants.table(self.sites, self.codes, self.escapes, self.pseudonyms))

    @property
    def phased(self) -> NDArray[np.bool_]:
        """bool[m, n]: the call's alleles are phased with their neighbours ("|" throughout)."""
        flags = (self.codes >= PHASED_OFFSET) & (self.codes < HAPLOID_BASE)
        if len(self.escapes):
            inner = np.diff(self.escapes.offset) - 1
            count = np.add.reduceat(self.escapes.phased, self.escapes.offset[:-1]) if len(self.escapes.alleles) else inner * 0
            flags[self.escapes.site, self.escapes.sample] = (inner > 0) & (count == inner)
        result: NDArray[np.bool_] = flags
        return result
