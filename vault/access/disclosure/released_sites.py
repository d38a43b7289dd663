"""Sites that left to each organisation, each with its bits: what two releases of one site tell, they tell once. A criterion that was
answered in place stands among them, by a name of its own (``vault.views.matches``).

A view or extract adds a row only where it holds sites that had not left before, or tells more of them, so that a program which asks all
day long leaves one. Rows are a collection without their blobs, whose digests they hold: none goes back or away alone. Sites of which
somebody is erased are forgotten, and their bits stay as a sum. Numbers are thousandths of a bit.

    blob    JSON {"folded": sum of sites that are not named any more, "sites": base64 of one zstd frame}
    frame   u64 differences of the sites' names in ascending order ‖ u16 bits of each; little endian
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sqlalchemy import select

from policies.declarations import MAX_BITS
from policies.disclosure.budgets import BudgetScope, owner_of
from vault.access.projects import Project
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import RefusedError
from vault.session.caches import Cache
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.disclosure_tables import ReleasedSitesRow
from vault.views.site_bits import NO_SITES, SiteBits


class ToldBits(Protocol):
    """Sites or criteria that a release tells, with their bits."""

    @property
    def mean(self) -> float:
        """Bits of a person on average."""
        ...

    @property
    def largest(self) -> float:
        """Bits of the person of whom it tells most."""
        ...

    def sites(self) -> SiteBits:
        """Bits of each, by name."""
        ...


SEALED = SealedRecord("released_sites")
TABLE = ReleasedSitesRow.__tablename__
MOST_SITES = 1 << 22
"""Sites that are kept of one organisation. One with more knows people by heart: no limit is kept to for it any more."""
FULL = (MAX_BITS + 1) * 1000

_Row = ReleasedSitesRow


@dataclass(frozen=True)
class Known:
    """Account of one organisation: ``sites`` that left to it, by name, ``folded`` the bits of those that are forgotten, ``rows`` how many rows say so."""

    sites: SiteBits
    folded: int
    rows: int

    @property
    def total(self) -> int:
        """Thousandths of a bit."""
        return self.folded + self.sites.total


class _ReadFrom(NamedTuple):
    digests: tuple[bytes, ...]
    known: Known


KNOWN: Cache[dict[str, _ReadFrom]] = Cache(dict)  # by owner, and the rows that it was read from


def owner(project: Project) -> str:
    """Owner for whom a project's releases count: its organisation, or itself where that has no id."""
    return owner_of(BudgetScope.ORGANISATION, project=project.code, organisation=project.declaration.purpose.organisation.id)


def known(vault: UnlockedVault, tx: Transaction, project: Project) -> Known:
    """Account of the project's organisation. Raises IntegrityError ``released_sites_altered``, ``seal_broken``."""
    own = owner(project)
    columns = select(_Row.number, _Row.digest).where(_Row.owner == own).order_by(_Row.number)
    digests = tuple(bytes(row.digest) for row in tx.execute(columns))
    cached: dict[str, _ReadFrom] = vault.caches.get(KNOWN)
    held = cached.get(own)
    if held is None or held.digests != digests:
        rows = tx.scalars(select(_Row).where(_Row.owner == own).order_by(_Row.number)).all()
        opened = [_opened(vault, row) for row in rows]
        sites = SiteBits.union([_unpacked(text, row.n_sites) for row, (_, text) in zip(rows, opened, strict=True)])
        held = _ReadFrom(digests, Known(sites, sum(folded for folded, _ in opened), len(rows)))
        vault.caches.put(KNOWN, {**cached, own: held})
    return held.known


def adds(vault: UnlockedVault, tx: Transaction, project: Project, released: ToldBits, *, limits: Iterable[int | None]) -> bool:
    """True if a release would add a row, or be refused: ``charge`` does. Arguments and errors as of ``charge``."""
    before = known(vault, tx, project)
    new, added = released.sites().beyond(before.sites)
    most = min((limit for limit in limits if limit is not None), default=None)
    return (bool(len(new.keys)) and before.folded < FULL) or (most is not None and before.total + added > most * 1000)


def charge(
    vault: UnlockedVault,
    tx: Transaction,
    project: Project,
    released: ToldBits,
    *,
    release_id: str,
    dataset_id: bytes,
    limits: Iterable[int | None],
) -> int:
    """Add a release to what left to its organisation, in the transaction of its outcome; what then has, in thousandths of a bit.

    Args:
        limits: bits that may leave, as project and consents say; None: any.

    Raises:
        RefusedError: ``too_many_bits``. IntegrityError: as ``known``.
    """
    before = known(vault, tx, project)
    new, added = released.sites().beyond(before.sites)
    total = before.total + added
    most = min((limit for limit in limits if limit is not None), default=None)
    full = len(before.sites.keys) + len(new.keys) > MOST_SITES
    if most is not None and (total > most * 1000 or full):
        raise RefusedError(
            "too_many_bits",
            f"{total / 1000:.1f} bits would then have left to this organisation, and {most} may",
            hint="ask for fewer sites, or amend the project's disclosure if consents allow more",
        )
    signed = vault.books.upgraded or most is not None  # a vault of before shows views without a limit until it is upgraded
    if len(new.keys) and before.folded < FULL and signed:
        folded, kept = (FULL, NO_SITES) if full else (0, new)
        row = _Row(
            owner=owner(project),
            number=before.rows + 1,
            release_id=release_id,
            dataset_id=dataset_id,
            n_sites=len(kept.keys),
        )
        _seal(vault, row, folded, kept)
        tx.add(row)
        tx.flush()
        total += folded
    return total


def forget(vault: UnlockedVault, tx: Transaction, datasets: Iterable[bytes]) -> None:
    """Keep of the sites of these datasets no more than the sum of their bits: they are derived from somebody who is erased."""
    rows = tx.scalars(select(_Row).where(_Row.dataset_id.in_(sorted(datasets)), _Row.n_sites > 0)).all()
    for row in rows:
        folded, text = _opened(vault, row)
        sites = _unpacked(text, row.n_sites)
        row.n_sites = 0
        _seal(vault, row, folded + sites.total, NO_SITES)
    tx.flush()


def faults(vault: UnlockedVault) -> list[str]:
    """Rows that are not as they were sealed, a line each."""
    return row_faults(
        vault,
        _Row,
        lambda _, row: _opened(vault, row),
        lambda row, _: f"what release {row.release_id} added to the sites that left is not as it was sealed",
    )


def _seal(vault: UnlockedVault, row: ReleasedSitesRow, folded: int, sites: SiteBits) -> None:
    said = {"folded": folded, "sites": base64.b64encode(sites.packed()).decode()}
    row.sealed = SEALED.seal(vault.records, _record_id(row), said, standing=_standing(row))
    row.digest = sha256(row.sealed)


def _opened(vault: UnlockedVault, row: ReleasedSitesRow) -> tuple[int, str]:
    """(folded, sites as text) of a row. Raises IntegrityError ``released_sites_altered``, ``seal_broken``."""
    if sha256(row.sealed) != row.digest:
        raise altered(SEALED.collection)
    said = SEALED.open(vault.records, _record_id(row), row.sealed, standing=_standing(row))
    return int(said["folded"]), str(said["sites"])


def _unpacked(text: str, n_sites: int) -> SiteBits:
    return SiteBits.from_packed(base64.b64decode(text), n_sites)


def _record_id(row: ReleasedSitesRow) -> bytes:
    return sha256(encode_context("genovault/released-sites/v1", row.owner, row.number))


def _standing(row: ReleasedSitesRow) -> Sequence[str | int]:
    return [row.owner, row.number, row.release_id, row.dataset_id.hex(), row.n_sites]
