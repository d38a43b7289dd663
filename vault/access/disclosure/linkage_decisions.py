"""Decisions on which sites are linked with an excluded place, as each was once decided on a dataset's people, kept for the cohorts that are nearly the same.

Were it decided anew on each cohort, a site that is hidden in one and shown in another would tell of those few in whom they differ, and of
everybody who carries both alleles. So it is decided anew where more than ``tables.NEAR`` people came, left or have other calls, whatever
project asks. Rows are a collection: none goes back or away alone.

    blob   JSON {"place": [contig, start, end], "linkage": [percent, window, carriers], "people": base64 of ids,
                 "calls": base64 of 8 bytes for each, "linked": [[contig, start, end]]}

Somebody who is erased leaves the people of each decision, and that somebody did is counted.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from sqlalchemy import select

from policies.disclosure import tables
from policies.disclosure.view_profiles import Linkage
from policies.loci import Interval, Mask
from vault.crypto.primitives import sha256
from vault.ids import ID_BYTES, DatasetId, SubjectId, new_id
from vault.session.caches import Cache
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.disclosure_tables import LinkageDecisionRow

SEALED = SealedRecord("linkage_decision")
TABLE = LinkageDecisionRow.__tablename__
CALLS_BYTES = 8

_Row = LinkageDecisionRow


@dataclass(frozen=True)
class LinkageDecision:
    """Sites ``linked`` with a ``place`` by these rules; ``calls``: 8 bytes for each person it was decided on, which tell where their calls were.

    ``gone``: people that it was decided on and who were erased since. ``made``: microseconds since 1970 UTC.
    """

    dataset_id: DatasetId
    made: int
    place: Interval
    linkage: Linkage
    calls: Mapping[SubjectId, bytes]
    linked: tuple[Interval, ...]
    gone: int = 0

    def is_near(self, calls: Mapping[SubjectId, bytes]) -> bool:
        """True if too few people came or left for another decision."""
        return tables.differing(calls.keys(), self.calls.keys(), gone=self.gone) <= tables.NEAR

    def serves(self, calls: Mapping[SubjectId, bytes]) -> bool:
        """True if too few people came, left or have other calls for another decision."""
        moved = sum(1 for person in calls.keys() & self.calls.keys() if calls[person] != self.calls[person])
        return tables.differing(calls.keys(), self.calls.keys(), gone=self.gone) + moved <= tables.NEAR


class _DecisionsRead(NamedTuple):
    digests: tuple[bytes, ...]
    decisions: tuple[LinkageDecision, ...]


READ: Cache[dict[bytes, _DecisionsRead]] = Cache(dict)  # by dataset, and the rows that it was read from


def of_dataset(vault: UnlockedVault, tx: Transaction, dataset_id: DatasetId) -> tuple[LinkageDecision, ...]:
    """Every decision on a dataset's people, the oldest first. Raises IntegrityError ``linkage_decision_altered``, ``seal_broken``."""
    rows = tx.scalars(select(_Row).where(_Row.dataset_id == dataset_id).order_by(_Row.made, _Row.decision_id)).all()
    digests = tuple(sha256(row.sealed) for row in rows)
    cached: dict[bytes, _DecisionsRead] = vault.caches.get(READ)
    held = cached.get(dataset_id)
    if held is None or held.digests != digests:
        held = _DecisionsRead(digests, tuple(_opened(vault, row) for row in rows))
        vault.caches.put(READ, {**cached, dataset_id: held})
    return held.decisions


def serving(
    known: Iterable[LinkageDecision], place: Interval, linkage: Linkage, calls: Mapping[SubjectId, bytes]
) -> LinkageDecision | None:
    """The oldest decision on a place by these rules that serves a cohort."""
    return next((one for one in known if (one.place, one.linkage) == (place, linkage) and one.serves(calls)), None)


def keep(vault: UnlockedVault, tx: Transaction, new: LinkageDecision) -> LinkageDecision:
    """Store a decision in the caller's write transaction, unless another process was first with one that serves; the one that holds.

    What was hidden in a near cohort, whose calls alone are elsewhere now, stays hidden.
    """
    known = of_dataset(vault, tx, new.dataset_id)
    held = serving(known, new.place, new.linkage, new.calls)
    if held is not None:
        return held
    near = [one for one in known if (one.place, one.linkage) == (new.place, new.linkage) and one.is_near(new.calls)]
    new = replace(new, linked=Mask.from_intervals([*new.linked, *(at for one in near for at in one.linked)]).intervals)
    row = _Row(decision_id=new_id(vault.random), dataset_id=new.dataset_id, made=new.made, gone=new.gone)
    _seal(vault, row, new)
    tx.add(row)
    tx.flush()
    return new


def forget(vault: UnlockedVault, tx: Transaction, erased: SubjectId) -> None:
    """Take somebody who is erased out of the people of every decision."""
    for row in tx.scalars(select(_Row)).all():
        decision = _opened(vault, row)
        if erased in decision.calls:
            calls = {person: at for person, at in decision.calls.items() if person != erased}
            row.gone += 1
            _seal(vault, row, replace(decision, calls=calls, gone=row.gone))
    tx.flush()


def faults(vault: UnlockedVault) -> list[str]:
    """Decisions that are not as they were made, a line each."""
    return row_faults(
        vault, _Row, lambda _, row: _opened(vault, row), lambda _, error: f"a decision on linked sites: {error.message}"
    )


def _seal(vault: UnlockedVault, row: LinkageDecisionRow, decision: LinkageDecision) -> None:
    people, linkage = sorted(decision.calls), decision.linkage
    said = {
        "place": _listed(decision.place),
        "linkage": [linkage.percent, linkage.window, linkage.carriers],
        "people": base64.b64encode(b"".join(people)).decode(),
        "calls": base64.b64encode(b"".join(decision.calls[person] for person in people)).decode(),
        "linked": [_listed(one) for one in decision.linked],
    }
    row.sealed = SEALED.seal(vault.records, row.decision_id, said, standing=_standing(row))


def _opened(vault: UnlockedVault, row: LinkageDecisionRow) -> LinkageDecision:
    """Raises IntegrityError ``linkage_decision_altered``, ``seal_broken``."""
    said = SEALED.open(vault.records, row.decision_id, row.sealed, standing=_standing(row))
    ids, calls = base64.b64decode(said["people"]), base64.b64decode(said["calls"])
    people = [SubjectId(ids[at : at + ID_BYTES]) for at in range(0, len(ids), ID_BYTES)]
    return LinkageDecision(
        dataset_id=DatasetId(row.dataset_id),
        made=row.made,
        place=Interval(*said["place"]),
        linkage=Linkage(*said["linkage"]),
        calls={person: calls[at * CALLS_BYTES : (at + 1) * CALLS_BYTES] for at, person in enumerate(people)},
        linked=tuple(Interval(*one) for one in said["linked"]),
        gone=row.gone,
    )


def _listed(place: Interval) -> list[str | int]:
    return [place.contig, place.start, place.end]


def _standing(row: LinkageDecisionRow) -> list[str | int]:
    return [row.dataset_id.hex(), row.made, row.gone]
