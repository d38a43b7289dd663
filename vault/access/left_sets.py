"""Sets of people that left: each release's, and each of the holdings', with the key under which its people are named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vault.access import holdings, releases
from vault.session.unlocked_vault import UnlockedVault


@dataclass(frozen=True)
class LeftSet:
    """A set of people that left, by its digest. ``ref``: the release or holding; ``release_id``: the access that brought it; ``names``: version of the key."""

    ref: str
    digest: bytes
    release_id: str
    names: int


def everything(vault: UnlockedVault) -> Iterator[tuple[str, LeftSet]]:
    """Project and set of everything that left. Raises IntegrityError: a record was altered."""
    for holding in holdings.list_all(vault):
        for (names, digest), release_id in holding.sets.items():
            yield holding.project, LeftSet(holding.holding_id, digest, release_id, names)
    for release in releases.all_left(vault):
        if not holdings.is_panel_view(release):
            yield release.project, LeftSet(release.release_id, release.subject_set, release.release_id, release.content.names)
