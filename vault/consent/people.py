"""People as stewards know them: record number, samples, and what their consent makes of them; listed, or found by what somebody remembers.

Opening identities is an access: the entry of the log names who is shown, before anything is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from policies import reasons
from policies.standing import Standing, standing
from policies.states import fold
from vault.audit.actions import Action, Outcome
from vault.consent import cohort_decisions, ledger
from vault.errors import InputError
from vault.files.sheet_dialect import iso_day
from vault.ids import SubjectId
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import SubjectRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, to_micros
from vault.subjects.identities import Identity, named_by, open_identities
from vault.subjects.references import ReferenceIndex

HELD = "active"  # state of a subject that is held
ACTIVE, NOT_ASKED, NOTHING_ALLOWED = "active", "not asked", "nothing allowed"
RESTRICTED, DIED, WITHDRAWN = "restricted", "died", "withdrawn"
SHORTEST = 2  # characters with which something that is found begins; one alone is a whole record number or sample
MOST = 200  # people that a search shows


@dataclass(frozen=True, repr=False)
class KnownPerson:
    """A person of a list: handle, identity, what consent makes of them in words, and the day of registration (UTC)."""

    handle: str
    identity: Identity
    state: str
    status: str
    created: str


def listed(vault: UnlockedVault) -> list[KnownPerson]:
    """Everybody, the erased too, by record number, sample and handle. Raises IntegrityError as ``open_identities``."""
    with vault.trail.attempting(Action.SUBJECT_LIST):
        rows = _rows(vault)
        held = [subject for subject, state, _ in rows if state == HELD]
        vault.trail.record(Action.SUBJECT_LIST, Outcome.DONE, subjects=held, counts={"subjects": len(rows)})
        return _people(vault, rows, open_identities(vault, held))


def find(vault: UnlockedVault, text: str) -> list[KnownPerson]:
    """People whose name holds every word of ``text``, who were born on that day, or whose record number, sample
    or handle begins so, a replaced one too. One character finds whose whole record number or sample it is.

    The log keeps how many were looked through and who was found, never what was looked for.

    Raises:
        InputError: ``too_short``; ``too_many``. IntegrityError: as ``open_identities``.
    """
    with vault.trail.attempting(Action.SUBJECT_FIND):
        wanted = _folded(text)
        if not wanted:
            raise InputError("too_short", "nothing to look for is given", hint="a name, a birth date, an MRN")
        rows = [row for row in _rows(vault) if row[1] == HELD]
        identities = open_identities(vault, [subject for subject, _, _ in rows])
        handles = dict(zip(identities, ReferenceIndex(vault).handles(identities), strict=True))
        found = [row for row in rows if _fits(wanted, identities[row[0]], handles[row[0]])]
        if len(found) > MOST:
            raise InputError("too_many", f"{len(found):,} people fit", hint="more of the name, or the birth date")
        subjects = [subject for subject, _, _ in found]
        vault.trail.record(Action.SUBJECT_FIND, Outcome.DONE, subjects=subjects, counts={"looked_through": len(rows)})
        return _people(vault, found, {subject: identities[subject] for subject in subjects})


def statuses(vault: UnlockedVault, tx: Transaction, subjects: Sequence[SubjectId]) -> dict[SubjectId, str]:
    """State of each person by their consent now, in words; a class of equal people is looked at once. Raises as ``ledger.read``."""
    known = cohort_decisions.cached_decision_classes(vault, ledger.read(tx, vault))
    now, total = moment(vault, tx).at, len(known.columns.ids)
    numbers = known.columns.numbers(list(subjects))
    wanted, by_number = np.zeros(total + 1, bool), np.full(total + 1, 0)
    wanted[numbers] = True
    words = [_status(standing(fold(()), legal_at=now))]
    for group, mine, number, examples in known.classes(wanted[:-1], at=to_micros(now), data_at=np.zeros(total, np.int64)):
        first = len(words)
        words += [_status(standing(known.state(group, example), legal_at=now)) for example in examples.tolist()]
        by_number[group.subjects[mine]] = first + number
    return {subject: words[int(by_number[number])] for subject, number in zip(subjects, numbers.tolist(), strict=True)}


def _status(where: Standing) -> str:
    found = [word for word, stands in ((DIED, where.deceased), (RESTRICTED, where.restricted)) if stands]
    if where.otherwise == reasons.WITHDRAWN and not where.grants:
        found.append(WITHDRAWN)
    elif not where.grants and not found:
        found.append(NOTHING_ALLOWED if where.refused else NOT_ASKED)
    return ", ".join(found) or ACTIVE


def _rows(vault: UnlockedVault) -> list[tuple[SubjectId, str, int]]:
    with vault.books.read() as tx:
        rows = tx.execute(select(SubjectRow.subject_id, SubjectRow.state, SubjectRow.created)).all()
    return [(SubjectId(row.subject_id), row.state, row.created) for row in rows]


def _people(
    vault: UnlockedVault, rows: Sequence[tuple[SubjectId, str, int]], identities: Mapping[SubjectId, Identity]
) -> list[KnownPerson]:
    with vault.books.read() as tx:
        words = statuses(vault, tx, list(identities))
    handles = ReferenceIndex(vault).handles(subject for subject, _, _ in rows)
    people = [
        KnownPerson(
            handle,
            identities.get(subject, Identity(())),
            state,
            words.get(subject, state),
            from_micros(created).date().isoformat(),
        )
        for handle, (subject, state, created) in zip(handles, rows, strict=True)
    ]
    return sorted(people, key=lambda one: (one.identity.mrn, one.identity.samples, one.handle))


def _fits(wanted: str, identity: Identity, handle: str) -> bool:
    replaced = [line.partition(": ")[2] for line in identity.former]
    named = [_folded(value) for value in (*(value for _, value in named_by(identity)), *replaced)]
    if len(wanted) < SHORTEST:
        return wanted in named
    name = _folded(identity.name)
    if all(word in name for word in wanted.split()) or iso_day(wanted) == identity.birth_date:
        return True
    return any(value.startswith(wanted) for value in (*named, handle))


def _folded(text: str) -> str:
    """Text without case, accents' spellings and outer space."""
    return unicodedata.normalize("NFC", " ".join(text.split())).casefold()
