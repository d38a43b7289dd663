"""A read whose lines are settled once, on everybody's calls, and then given for some of its people: of these alone blocks are opened.

What the lines are depends on what the people carry who are read (``site_union``). So that somebody's calls are the same whoever else is asked
for, the lines of a cohort are kept, and each later read puts the calls of a few into them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import AlleleCounts, count_calls
from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.sites import Sites
from vault.genotypes.store.part_merge import Calls, PartCalls, lines_of, merge_parts, placed
from vault.genotypes.store.reference_fill import ReferenceFill
from vault.genotypes.store.site_union import SiteUnion
from vault.genotypes.store.windows import Choice, PartChoice


class SettledChoice:
    """The chosen sites of a dataset for a cohort, read whole as one window first (a ``views.deidentify.CallSource``), and then in part.

    It holds the openers of the cohort's blocks, and no call. One thread settles it; any number may read.
    """

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._union: SiteUnion | None = None
        self._sites: Sites | None = None

    @property
    def n_sites(self) -> int:
        """As ``Choice.n_sites``."""
        return self._choice.n_sites

    @property
    def overlaps(self) -> bool:
        """As ``Choice.overlaps``."""
        return self._choice.overlaps

    @property
    def whole(self) -> SettledChoice:
        """Everything as one window, which this is itself."""
        return self

    def windows(self, _n_sites: int) -> Iterator[SettledChoice]:
        """Everything in one window."""
        yield self

    @property
    def divides(self) -> bool:
        """True if it can be read for some people; of a compacted part the lines are of whoever is read, and everybody's blocks are opened."""
        return not any(part.compacted for part in self._choice.parts)

    def read(self) -> tuple[Calls, AlleleCounts]:
        """Everybody's calls, by which the lines are settled. Raises as ``windows.Window.read``."""
        size = self._choice.n_columns
        parts = [_fresh(part).calls(part.chosen) for part in self._choice.parts]
        if not self.divides:
            calls = Calls(*merge_parts(parts, size))
        else:
            union = lines_of(parts, size)
            if union is None:
                calls = Calls(parts[0].sites, parts[0].codes, parts[0].escapes)
            else:
                calls = Calls(union.sites, *placed(parts, union, size))
            self._union, self._sites = union, calls.sites
        if self._choice.reference is not None:
            calls = replace(calls, codes=self._choice.reference.fill(calls.sites, calls.codes))
        return calls, count_calls(calls.sites, calls.codes, calls.escapes)

    def count(self) -> tuple[Sites, AlleleCounts]:
        """As ``read``, without the calls."""
        calls, counts = self.read()
        return calls.sites, counts

    def some(self, columns: NDArray[np.int64]) -> tuple[Codes, Escapes]:
        """Calls uint8[lines, k] of some columns int64[k] of the cohort, in this order, in the lines that were settled; they belong to the caller.

        Raises:
            IntegrityError: as ``PartReader.read``. UnavailableError: ``sites_rewritten``.
        """
        parts = [self._part(at, columns) for at in range(len(self._choice.parts))]
        if self._union is None:
            only = parts[0] if parts else None
            codes = np.zeros((0 if self._sites is None else len(self._sites), 0), np.uint8) if only is None else only.codes
            escapes = Escapes.empty() if only is None else only.escapes
        else:
            codes, escapes = placed(parts, self._union, len(columns))
        if self._choice.reference is not None and self._sites is not None:
            codes = _among(self._choice.reference, columns).fill(self._sites, codes)
        return codes, escapes

    def _part(self, at: int, columns: NDArray[np.int64]) -> PartCalls | None:
        """Calls of those of the columns who are in a part, in the places that they have among the columns; None where nobody is."""
        part, own = self._choice.parts[at], self._own[at][columns]
        here = np.flatnonzero(own >= 0)
        if not len(here):
            return None
        some = replace(part, access=part.access.among(own[here]), columns=here, spelled=_unspelled, _held={})
        return some.calls(part.chosen)

    @cached_property
    def _own(self) -> Sequence[NDArray[np.int64]]:
        """int64[n] for each part: the part's column of each of the cohort's, -1 where the part has nothing of them."""
        found = []
        for part in self._choice.parts:
            own = np.full(self._choice.n_columns, -1, np.int64)
            own[part.columns] = np.arange(len(part.columns))
            found.append(own)
        return found


def _fresh(part: PartChoice) -> PartChoice:
    """The part without opened blocks of an earlier read."""
    return replace(part, _held={})


def _unspelled(sites: Sites) -> Sites:
    return sites  # the lines say already what was blanked


def _among(reference: ReferenceFill, columns: NDArray[np.int64]) -> ReferenceFill:
    place = {column: at for at, column in enumerate(columns.tolist())}
    some = [replace(person, column=place[person.column]) for person in reference.people if person.column in place]
    return ReferenceFill(some, reference.at_least)
