"""Keys of the index of references: how many references one key is for, and under which new people's come.

Whenever somebody is erased, the keys that their references are under are renewed, and everybody else's under these (``reference_rekeying``). So
there are as many keys as keep that small. Who shares one is chance.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exc, func, select

from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import UnavailableError
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ReferenceRow, VaultRow

FULL = 6_144  # references: of some two or three thousand people
TRIES = 5  # to be the only one who makes a version

_COUNTS = select(ReferenceRow.key_version, func.count()).group_by(ReferenceRow.key_version)


def placed(vault: UnlockedVault, sizes: Sequence[int]) -> list[int]:
    """Version of the key that each of some new people's references are to be under. ``sizes``: how many each has.

    Keys that there are are filled first, the fullest before others; the rest are made, durable on return.

    Raises:
        UnavailableError: ``branch_closed``; ``changed_meanwhile``.
    """
    with vault.books.read() as tx:
        newest = tx.scalars(select(VaultRow.reference_version)).one()
        counts = {newest: 0, **dict(tx.execute(_COUNTS).all())}
    rooms = [[version, FULL - count] for version, count in sorted(counts.items(), key=lambda one: one[1]) if count < FULL]
    room = sum(left for _, left in rooms)
    wanted = sum(sizes)
    if wanted > room:
        rooms = [[version, FULL] for version in reversed(create(vault, -(-(wanted - room) // FULL)))] + rooms
    chosen = []
    for size in sizes:
        if len(rooms) > 1 and rooms[-1][1] <= 0:
            rooms.pop()
        rooms[-1][1] -= size
        chosen.append(rooms[-1][0])
    return chosen


def create(vault: UnlockedVault, count: int) -> range:
    """Make so many keys of the index, newer than all; their versions. Durable on return.

    Raises:
        UnavailableError: ``branch_closed``; ``changed_meanwhile``.
    """
    purpose, owner = KeyPurpose.REFERENCE_INDEX, vault.vault_id
    for _ in range(TRIES):
        with vault.books.read() as tx:
            named = tx.scalars(select(VaultRow.reference_version)).one()
        first = max(named, vault.keys.newest_version(purpose, owner)) + 1
        try:
            vault.keys.store([vault.keys.draw(purpose, [owner], version=at) for at in range(first, first + count)])
        except exc.IntegrityError:  # another process has made that version
            continue
        return range(first, first + count)
    raise UnavailableError("changed_meanwhile", "other processes register or erase people", hint="repeat the command")
