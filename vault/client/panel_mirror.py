"""A mirror of a panel: rows held beside an engine, dropped as soon as the vault says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vault.client.panel_genotypes import Alleles, PanelGenotypes
from vault.client.server_answers import ChangesAnswer
from vault.errors import InputError
from vault.genotypes.sites import Sites


@dataclass(frozen=True)
class MirrorChange:
    """What one step changed in a mirror. ``added``: pseudonyms whose rows came, or came anew; ``dropped``: those that were removed."""

    added: tuple[str, ...]
    dropped: tuple[str, ...]
    sites_changed: bool


class PanelMirror:
    """Rows of a panel by pseudonym, int8 or int16[m, ploidy], as of the newest step. Iterating waits for the next change, for ever.

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
        self.rows: dict[str, Alleles] = {}
        self.sites_id, self.cursor = "", ""
        self._take(genotypes())

    def __repr__(self) -> str:
        return f"PanelMirror({len(self.rows)} rows, {len(self.sites)} sites)"

    def __iter__(self) -> Iterator[MirrorChange]:
        while True:
            changed = self.step()
            if changed is not None:
                yield changed

    def step(self, wait: float | None = None) -> MirrorChange | None:
        """Ask once, and bring the rows up to date; None where nothing changed. Raises as ``ServedPanel.changes`` and ``ServedPanel.genotypes``."""
        before, sites_id = set(self.rows), self.sites_id
        try:
            told = self._changes(self.cursor, wait=self._wait if wait is None else wait)
        except InputError as error:
            if error.code != "cursor_invalid":
                raise
            self._take(self._genotypes())
            return self._changed(before, sites_id, self.rows)
        for name in told.drop:
            self.rows.pop(name, None)
        came: tuple[str, ...] = ()
        if told.added or told.sites_changed:
            read = self._genotypes(since=self.cursor)
            self._take(read)
            came = read.pseudonyms
        else:
            self.cursor = told.cursor
        if not came and not before - self.rows.keys() and sites_id == self.sites_id:
            return None
        return self._changed(before, sites_id, dict.fromkeys(came))

    def _changed(self, before: set[str], sites_id: str, came: dict[str, Alleles] | dict[str, None]) -> MirrorChange:
        dropped = sorted(before - self.rows.keys())
        return MirrorChange(tuple(came), tuple(dropped), sites_id != self.sites_id)

    def _take(self, read: PanelGenotypes) -> None:
        if read.whole:
            self.rows.clear()
        for name in read.drop:
            self.rows.pop(name, None)
        self.rows.update(zip(read.pseudonyms, read.by_person, strict=True))
        self.sites: Sites = read.sites
        self.sites_id, self.cursor = read.sites_id, read.cursor
