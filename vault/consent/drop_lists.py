"""Drop lists: whom the recipients of releases may hold no more, told by notices (docs/design/access.md §11).

``follow`` is part of the transaction that records what changes one person's standing: a withdrawal, a correction, an erasure before it
destroys the keys. What changes by itself (a consent ends, a child comes of age) or for many at once is found by ``bring_up_to_date``.
Both compare what left, by the log, with what may be held now, and leave one notice in force for each name that has to be dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from policies import dropping, reasons
from policies.consent import ConsentEvent
from policies.decisions import Decision, DecisionRequest, decide
from policies.dropping import Todo
from policies.errors import PolicyInputError
from policies.loci import LocusRule
from policies.states import ConsentState, fold
from vault.access import notice_records, notices, projects, release_names
from vault.access.notice_records import Drop, Notice, NoticeContent
from vault.access.release_holders import HeldAt, held_at
from vault.audit.actions import Action, Outcome
from vault.consent import drop_candidates, ledger
from vault.consent.drop_candidates import decision_request
from vault.consent.subject_decision import newest_data
from vault.errors import GenovaultError
from vault.ids import DatasetId, SubjectId
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction

AT_ONCE = 50  # people whose notices are made in one transaction


@dataclass(frozen=True)
class Followed:
    """Change of the notices: ids of those opened, and of those of which something was called off."""

    opened: tuple[str, ...] = ()
    called_off: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """State of a name at one place. ``todo`` None: it may be held."""

    held: HeldAt
    pseudonym: str
    todo: Todo | None
    why: str


@dataclass(frozen=True)
class PlannedNotices:
    """Changes of the notices about one person that were found and not made yet."""

    opening: Mapping[str, Sequence[_Wanted]]  # by release or holding
    ending: Mapping[str, tuple[Notice, frozenset[str]]]  # by notice: the pseudonyms to be called off


def follow(vault: UnlockedVault, tx: Transaction, subject: SubjectId) -> Followed:
    """Open and call off notices about a person, in the transaction that recorded what changes their standing, behind its entry.

    Raises:
        IntegrityError: as ``plan``.
    """
    return _carry_out(vault, tx, plan(vault, tx, subject))


def follow_quietly(vault: UnlockedVault, tx: Transaction, subject: SubjectId) -> Followed:
    """As ``follow``; a failure is an entry of the log, and the next ``bring_up_to_date`` makes what is missing.

    What a person said stands whether or not the recipients can be told at once.
    """
    try:
        made = plan(vault, tx, subject)
    except (GenovaultError, PolicyInputError) as error:
        code = error.code if isinstance(error, GenovaultError) else "policy_unreadable"
        vault.trail.append(tx, Action.RELEASE_NOTICE, Outcome.FAILED, subjects=[subject], reasons={code: 1})
        return Followed()
    return _carry_out(vault, tx, made)


def plan(vault: UnlockedVault, tx: Transaction, subject: SubjectId) -> PlannedNotices:
    """Notices to be opened and called off about a person. Nothing is written.

    Raises:
        IntegrityError: the log, a record or a notice was altered. UnavailableError: ``branch_closed``.
    """
    held = held_at(vault, tx, subject)
    wanted = _wanted(vault, tx, held, ledger.read(tx, vault).events_of(subject)) if held else []
    known: dict[tuple[str, str], tuple[Notice, Drop]] = {}
    for found in notices.in_force_about(tx, vault, (one.held.ref for one in wanted)):
        known |= {(found.ref, drop.pseudonym): (found, drop) for drop in found.in_force}
    opening: dict[str, list[_Wanted]] = {}
    ending: dict[str, tuple[Notice, set[str]]] = {}
    for one in wanted:
        before = known.get((one.held.ref, one.pseudonym))
        notice = None if before is None else before[0]
        told = None if before is None else Todo(before[1].todo)
        if one.todo is not None and one.pseudonym == notice_records.WHOLE and told is Todo.DELETE:
            continue  # all of it goes already, whoever it was for
        acknowledged = notice is not None and notice.state == notice_records.ACKNOWLEDGED
        fresh = one.todo is not None and dropping.replaces(told, one.todo, acknowledged=acknowledged)
        if fresh:
            opening.setdefault(one.held.ref, []).append(one)
        if notice is not None and (fresh or one.todo is None) and one.pseudonym != notice_records.WHOLE:
            ending.setdefault(notice.notice_id, (notice, set()))[1].add(one.pseudonym)
    return PlannedNotices(opening, {key: (notice, frozenset(names)) for key, (notice, names) in ending.items()})


def _carry_out(vault: UnlockedVault, tx: Transaction, made: PlannedNotices) -> Followed:
    """Write what was planned, in the same transaction."""
    for notice, names in made.ending.values():
        notices.call_off(tx, vault, notice, names)
    opened = [_open(vault, tx, wanted) for wanted in made.opening.values()]
    return Followed(tuple(opened), tuple(made.ending))


def bring_up_to_date(vault: UnlockedVault) -> list[Notice]:
    """Make the drop lists of consents that ended, of children who came of age, and of what could not be followed; say which notices are late.

    The run leaves an entry for each notice that it changes. All notices, the earliest due first.

    Raises:
        IntegrityError: as ``plan``.
    """
    with vault.trail.attempting(Action.RELEASE_NOTICE):
        people = drop_candidates.find(vault)
        for first in range(0, len(people), AT_ONCE):  # each transaction signs the book of notices as a whole
            with vault.books.write() as tx:
                for subject in people[first : first + AT_ONCE]:
                    follow(vault, tx, subject)
        notices.escalate(vault)
    return notices.list_all(vault)


def listed(vault: UnlockedVault, project: str | None = None) -> list[Notice]:
    """Notices brought up to date, of one project or of all; the listing is logged. Raises InputError ``project_unknown``."""
    with vault.trail.attempting(Action.RELEASE_SHOW):
        if project is not None:
            projects.load(vault, project)
        found = [notice for notice in bring_up_to_date(vault) if project in {None, notice.project}]
        vault.trail.record(Action.RELEASE_SHOW, Outcome.DONE, project=project, counts={"notices": len(found)})
    return found


def _open(vault: UnlockedVault, tx: Transaction, wanted: Sequence[_Wanted]) -> str:
    at = wanted[0].held
    drops = {one.pseudonym: Drop(one.pseudonym, str(one.todo), one.why) for one in wanted}
    content = NoticeContent(at.kind, at.about, at.recipients, tuple(drops.values()))
    return notices.open_notice(tx, vault, at.project, at.ref, content, subjects=[one.held.subject for one in wanted])


def _wanted(vault: UnlockedVault, tx: Transaction, held: Iterable[HeldAt], events: Sequence[ConsentEvent]) -> list[_Wanted]:
    state, now = fold(events, head=events[-1].seq if events else 0), moment(vault, tx).at
    asks = dropping.asks_deletion(state)
    requests: dict[str, tuple[list[DatasetId], DecisionRequest]] = {}
    found = []
    for one in held:
        if one.project.code not in requests:
            requests[one.project.code] = decision_request(vault, tx, one.project, now)
        ids, request = requests[one.project.code]
        data_at = newest_data(tx, one.subject, ids)
        request = replace(request, data_at=one.released if data_at is None else min(data_at, one.released))
        decision = _decision(state, request)
        todo = dropping.todo(
            permitted=decision.permitted,
            shows_excluded=decision.permitted and not _hidden(decision, one),
            asked_to_delete=asks,
            lawful_then=not dropping.learned_since(events, one.released) or _lawful(events, request, one.released),
        )
        (name,) = release_names.names_told(vault, one.project, one.release_id, [one.subject], version=one.names)
        why = reasons.NOTHING_LEFT if decision.permitted else decision.reasons[0].code
        found.append(_Wanted(one, name, todo, why))
    return found


def _decision(state: ConsentState, request: DecisionRequest) -> Decision:
    return decide(
        state,
        request.purpose,
        legal_at=request.legal_at,
        ontology=request.ontology,
        rules=request.rules,
        data_at=request.data_at,
        understood=request.understood,
        placeable=request.placeable,
    )


def _lawful(events: Sequence[ConsentEvent], request: DecisionRequest, released: datetime) -> bool:
    """True if all that is known now permitted a release when it was made."""
    return _decision(fold(events), replace(request, legal_at=released)).permitted


def _hidden(decision: Decision, held: HeldAt) -> bool:
    """True if what left hides every place that the person excludes now."""
    mine: tuple[LocusRule, ...] = decision.obligations.mask
    return all(rule.as_dict() in held.hidden for rule in mine)
