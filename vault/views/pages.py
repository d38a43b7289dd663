"""A view as its writers take it: what is known beforehand, then page after page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.sites import Sites
from vault.ids import Pseudonym
from vault.views.header_summary import HeaderSummary


@dataclass(frozen=True, repr=False)
class Page:
    """m neighbouring sites of a view, ``codes`` uint8[m, n pseudonyms], and allele counts. Contigs are numbered as in the summary."""

    sites: Sites
    codes: Codes
    escapes: Escapes
    counts: AlleleCounts

    def __repr__(self) -> str:
        return f"Page({len(self.sites)} sites)"  # genotypes end in no log by accident


class Titled(Protocol):
    """Content of a header about a view."""

    @property
    def pseudonyms(self) -> tuple[Pseudonym, ...]:
        """Pseudonyms of the columns, in order."""

    @property
    def assembly(self) -> str:
        """Assembly of the positions."""

    @property
    def summary(self) -> HeaderSummary:
        """Names that the header has to define."""


class Paged(Titled, Protocol):
    """A view in pages: ``deidentify.Deidentified``."""

    @property
    def not_assayed(self) -> tuple[str, ...]:
        """As in ``View``."""

    def pages(self) -> Iterator[Page]:
        """The records in order."""


@dataclass(frozen=True)
class OfView:
    """Pages that are made of a view's; what is known beforehand is the view's, so that all files have one header."""

    _view: Paged

    @property
    def pseudonyms(self) -> tuple[Pseudonym, ...]:
        """Pseudonyms of the columns, in order."""
        return self._view.pseudonyms

    @property
    def assembly(self) -> str:
        """Assembly of the positions."""
        return self._view.assembly

    @property
    def summary(self) -> HeaderSummary:
        """Names that the header has to define."""
        return self._view.summary

    @property
    def not_assayed(self) -> tuple[str, ...]:
        """As in ``View``."""
        return self._view.not_assayed


@dataclass(frozen=True, repr=False)
class HeldPages(OfView):
    """A view whose pages are in memory."""

    _pages: tuple[Page, ...]

    def pages(self) -> Iterator[Page]:
        """The records in order."""
        return iter(self._pages)
