"""A mirror of a panel: rows held beside an engine, dropped as soon as the vault says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vault.client.panel_genotypes import Alleles, PanelGenotypes
from vault.client.server_answers import ChangesAnswer
from vault.errors import InputError


@dataclass(frozen=True, repr=False)
class PersonCalls:
    """One person's calls. ``alleles`` int8 or int16[m, ploidy]; ``phased`` bool[m]."""

    alleles: Alleles
    phased: NDArray[np.bool_]


@dataclass(frozen=True)
class MirrorChange:
    """Change of a mirror by one step. ``added``: pseudonyms whose rows came, or came anew; ``dropped``: those that were removed."""

    added: tuple[str, ...]
    dropped: tuple[str, ...]
    sites_changed: bool


class PanelMirror:
    """Calls of a panel by pseudonym (``rows``), as of the newest step. Iterating waits for the next change, for ever.

    A step drops first and fetches then: a row that is not to be held any more is removed before anything else is asked.

    Args:
        genotypes: reads rows, of everybody or since a cursor.
        changes: waits for changes since a cursor.
        wait: seconds that one question waits.
    """

    def __init__(
        self,
        genotypes: Callable[..., PanelGenotypes],
        changes: Callable[..., ChangesAnswer],
        *,
        wait: float,
    ) -> None:
        self._genotypes, self._changes, self._wait = genotypes, changes, wait
        self.rows: dict[str, PersonCalls] = {}
        self._newest = genotypes()
        self._take(self._newest)

    def __repr__(self) -> str:
        return f"PanelMirror({len(self.rows)} rows, {len(self._newest.sites)} sites)"

    def __iter__(self) -> Iterator[MirrorChange]:
        while True:
            changed = self.step()
            if changed is not None:
                yield changed

    @property
    def sites_id(self) -> str:
        """Digest of the sites of the rows."""
        return self._newest.sites_id

    def genotypes(self, pseudonyms: Sequence[str] | None = None) -> PanelGenotypes:
        """Rows held, of everybody or of those who are named and held; nothing is asked."""
        names = tuple(self.rows) if pseudonyms is None else tuple(name for name in pseudonyms if name in self.rows)
        held = [self.rows[name] for name in names]
        sites, ploidy = len(self._newest.sites), max([2, *(one.alleles.shape[1] for one in held)])
        wide = any(one.alleles.dtype == np.int16 for one in held)
        alleles = np.full((len(held), sites, ploidy), -2, np.int16 if wide else np.int8)
        phased = np.zeros((len(held), sites), np.bool_)
        for at, one in enumerate(held):
            alleles[at, :, : one.alleles.shape[1]] = one.alleles
            phased[at] = one.phased
        return replace(
            self._newest, pseudonyms=names, by_person=alleles, phased_by_person=phased, drop=(), whole=pseudonyms is None
        )

    def step(self, wait: float | None = None) -> MirrorChange | None:
        """Ask once, and bring the rows up to date; None where nothing changed. Raises as ``ServedPanel.changes`` and ``ServedPanel.genotypes``."""
        before, sites_id = set(self.rows), self.sites_id
        try:
            told = self._changes(self._newest.cursor, wait=self._wait if wait is None else wait)
        except InputError as error:
            if error.code != "cursor_invalid":
                raise
            came = self._take(self._genotypes())
        else:
            for name in told.drop:
                self.rows.pop(name, None)
            since = (
                self._newest.cursor if told.added else told.cursor
            )  # rows of those who came are asked for from before they came
            came = self._take(self._genotypes(since=since)) if told.added or told.drop or told.sites_changed else ()
        dropped = tuple(sorted(before - self.rows.keys()))
        if not came and not dropped and sites_id == self.sites_id:
            return None
        return MirrorChange(came, dropped, sites_id != self.sites_id)

    def _take(self, read: PanelGenotypes) -> tuple[str, ...]:
        """Take an answer's rows in; the pseudonyms of those that came."""
        if read.whole:
            self.rows.clear()
        for name in read.drop:
            self.rows.pop(name, None)
        for name, alleles, phased in zip(read.pseudonyms, read.by_person, read.phased_by_person, strict=True):
            self.rows[name] = PersonCalls(
                alleles.copy(), phased.copy()
            )  # of the row alone: a view would keep the whole answer in memory
        self._newest = replace(
            read,
            pseudonyms=(),
            by_person=read.by_person[:0],
            phased_by_person=read.phased_by_person[:0],
        )
        return read.pseudonyms
