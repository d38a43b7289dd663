"""A steward's work on consent: answers recorded, withdrawals, what was true and what was known.

A withdrawal is one call and acts at once: it is in the ledger and the log, in one transaction, before the call returns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from sqlalchemy import select

from policies import canonical, states, times
from policies.consent import ConsentEvent, Level, Signer, Status, Withdrawal
from policies.errors import PolicyInputError
from policies.forms import Form, answers_to_event, preferences
from policies.standing import Standing, standing
from vault import forms, ledger
from vault.audit.acts import Act, Outcome
from vault.crypto.primitives import sha256
from vault.errors import InputError
from vault.ids import RandomBytes, SubjectId, new_uuid7
from vault.ledger import NewEvent
from vault.references import resolve, resolve_many
from vault.session import Session
from vault.sheets import BadField, Column, Problem, Row, read_sheet, rejected, text
from vault.storage.books import SubjectRow
from vault.subjects import open_identities

ADULT_YEARS = 18  # a guardian's signature lapses on the eighteenth birthday, 00:00 UTC, 1 March for a leap day


@dataclass(frozen=True)
class ImportReport:
    """What ``consent import`` did."""

    recorded: int
    form: str
    version: str


@dataclass(frozen=True)
class History:
    """A subject's consent: the events known, what they add up to, and what was sealed of each."""

    events: tuple[ConsentEvent, ...]
    standing: Standing
    private: Mapping[str, Mapping[str, str]]


def import_answers(session: Session, source: Path | bytes, form_name: str) -> ImportReport:
    """Record a sheet of answers to one form: all rows or none.

    Raises:
        InputError: ``form_unknown``; ``sheet_rejected`` with every bad row.
    """
    with session.attempting(Act.CONSENT_IMPORT):
        form, body = forms.find(session, form_name)
        sheet = _AnswerSheet(form, session.clock(), session.principal, session.random)
        new = _events(session, sheet, read_sheet(source, columns=sheet.columns).rows)
        with session.books.write() as tx:
            forms.keep(tx, session, form, body)
            head, _ = ledger.append(tx, session, new)
            session.append(
                tx,
                Act.CONSENT_IMPORT,
                Outcome.DONE,
                subjects=[item.subject for item in new],
                counts={"rows": len(new)},
                consent=head.entry(added=len(new)),
                detail={"form": form.id, "version": form.version, "wording": form.wording_sha256},
            )
    return ImportReport(len(new), form.id, form.version)


def withdraw(session: Session, reference: str, *, scope: str = "everything", level: Level = Level.NO_NEW_USE) -> SubjectId:
    """Record a withdrawal; it acts from the moment this returns."""
    return _record(session, Act.CONSENT_WITHDRAW, reference, withdrawal=Withdrawal(scope, level))


def restrict(session: Session, reference: str, *, lift: bool = False) -> SubjectId:
    """Restrict a subject's data to storage, or lift the restriction (GDPR Article 18)."""
    return _record(session, Act.SUBJECT_RESTRICT, reference, status=Status.RESTRICTION_LIFTED if lift else Status.RESTRICTED)


def history(session: Session, reference: str, *, at: datetime | None = None, known_at: datetime | None = None) -> History:
    """What was true at ``at`` (default: now) by what was known at ``known_at`` (default: everything recorded)."""
    with session.attempting(Act.CONSENT_SHOW):
        subject = resolve(session, reference)
        with session.books.read() as tx:
            book = ledger.read(tx, session)
            private = ledger.private(session, tx, book, subject)
        events = book.of(subject)
        known = tuple(e for e in events if known_at is None or e.recorded_at <= known_at)
        state = states.fold(events, known_at=known_at) if known_at else states.fold(events, head=book.head.seq)
        session.record(Act.CONSENT_SHOW, Outcome.DONE, subjects=[subject])
    return History(known, standing(state, legal_at=at or session.clock()), {e.event_id: private[e.seq] for e in known})


def blank_sheet(session: Session, form_name: str, *, accept: bool) -> tuple[list[str], list[list[str]]]:
    """Header and rows of an ANSWERS.csv: every subject that has not answered the form; with ``accept``, all accepted now."""
    form, _ = forms.find(session, form_name)
    with session.books.read() as tx:
        answered = ledger.read(tx, session).who_answered(form.id)
        subjects = [SubjectId(s) for s in tx.scalars(select(SubjectRow.subject_id).where(SubjectRow.state == "active"))]
    open_ = [s for s in subjects if s not in answered]
    identities = open_identities(session, open_)
    session.record(Act.SUBJECT_LIST, Outcome.DONE, counts={"subjects": len(open_)})
    answers = form.accept_all() if accept else {}
    now = session.clock().isoformat(timespec="seconds").replace("+00:00", "Z") if accept else ""
    header = ["subject", "legal_time", *(q.id for q in form.questions), "signer", "evidence"]
    rows = [
        [
            _named(identity.samples, identity.mrn),
            now,
            *(answers.get(q.id, "") for q in form.questions),
            "self" if accept else "",
            "",
        ]
        for identity in (identities[s] for s in open_)
    ]
    return header, sorted(rows)


def _record(
    session: Session, act: Act, reference: str, *, withdrawal: Withdrawal | None = None, status: Status | None = None
) -> SubjectId:
    with session.attempting(act):
        subject = resolve(session, reference)
        now = session.clock()
        try:
            event = ConsentEvent(
                event_id=new_uuid7(session.random, now),
                seq=0,
                legal_time=now,
                recorded_at=now,
                withdrawal=withdrawal,
                status=status,
                recorded_by=session.principal,
            )
        except PolicyInputError as error:
            raise InputError("withdrawal_malformed", str(error)) from None
        with session.books.write() as tx:
            head, _ = ledger.append(tx, session, [NewEvent(subject, event, {})])
            session.append(tx, act, Outcome.DONE, subjects=[subject], consent=head.entry(added=1))
    return subject


@dataclass(frozen=True)
class _AnswerSheet:
    """How one form's ANSWERS.csv is read."""

    form: Form
    now: datetime
    recorded_by: str
    random: RandomBytes

    @property
    def columns(self) -> list[Column[str]]:
        return [SUBJECT, self.legal_time, SIGNER, EVIDENCE, *(self.answer(q.id) for q in self.form.questions)]

    @property
    def legal_time(self) -> Column[str]:
        return Column("legal_time", _instant(self.now))

    def answer(self, question: str) -> Column[str]:
        return Column(question, text)

    def event(self, row: Row, subject: SubjectId, birth: date | None) -> NewEvent:
        """What a row says of its subject. Raises PolicyInputError."""
        answers = {q.id: row.get(self.answer(q.id)) or "" for q in self.form.questions}
        signer = Signer(row.get(SIGNER) or Signer.SELF)
        stated = row.get(self.legal_time)
        event = answers_to_event(
            self.form,
            answers,
            event_id=new_uuid7(self.random, self.now),
            seq=0,
            legal_time=canonical.parse_instant(stated) if stated else self.now,
            recorded_at=self.now,
            signer=signer,
            lapses_at=_majority(birth) if signer is Signer.GUARDIAN else None,
            recorded_by=self.recorded_by,
            evidence_hash=row.get(EVIDENCE) or "",
        )
        return NewEvent(subject, event, {f"preference:{p.category}": p.value for p in preferences(self.form, answers)})


def _events(session: Session, sheet: _AnswerSheet, rows: Sequence[Row]) -> list[NewEvent]:
    found = resolve_many(session, [row[SUBJECT] for row in rows])
    births = _births(session, [s for row in rows if row.get(SIGNER) == Signer.GUARDIAN for s in found[row[SUBJECT]]])
    problems: list[Problem] = []
    new: list[NewEvent] = []
    lines: dict[SubjectId, int] = {}
    for row in rows:
        subjects = found[row[SUBJECT]]
        if len(subjects) != 1:
            reason = "names several subjects: put mrn:, sample: or id: in front" if subjects else "no subject has this reference"
            problems.append(Problem(row.line, "subject", reason))
            continue
        subject = next(iter(subjects))
        if subject in lines:
            problems.append(Problem(row.line, "subject", f"the same subject as on line {lines[subject]}"))
        lines[subject] = row.line
        try:
            new.append(sheet.event(row, subject, births.get(subject)))
        except PolicyInputError as error:
            problems.extend(Problem(row.line, p.place, p.message) for p in error.problems)
    if problems:
        raise rejected(problems)
    return new


def _majority(birth: date | None) -> datetime:
    if birth is None:
        raise PolicyInputError("birth_date_missing", "a guardian's signature needs the person's birth date", "signer")
    return times.comes_of_age(birth, ADULT_YEARS, zone=UTC, leap_day=times.LeapDay.MAR_1)


def _births(session: Session, subjects: Iterable[SubjectId]) -> dict[SubjectId, date]:
    opened = open_identities(session, set(subjects))
    return {s: date.fromisoformat(identity.birth_date) for s, identity in opened.items() if identity.birth_date}


def _instant(now: datetime) -> Callable[[str], str]:
    def parse(value: str) -> str:
        try:
            moment = (
                datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
                if len(value) == 10
                else canonical.parse_instant(value)
            )
        except (ValueError, PolicyInputError):
            raise BadField("is not a date, nor a date and time with a zone") from None
        if moment > now:
            raise BadField("lies in the future")
        return canonical.instant_text(moment) or ""

    return parse


def _signer(value: str) -> str:
    if value not in set(Signer):
        raise BadField(f"is not one of {', '.join(Signer)}")
    return value


def _evidence(value: str) -> str:
    """A SHA-256 as it is, or the digest of the file at a path."""
    if re.fullmatch(r"[0-9a-f]{64}", value):
        return value
    try:
        return sha256(Path(value).read_bytes()).hex()
    except OSError:
        raise BadField("is neither a SHA-256 nor a file that can be read") from None


SUBJECT = Column("subject", text, required=True, keys=lambda value: [value])
SIGNER = Column("signer", _signer)
EVIDENCE = Column("evidence", _evidence)


def _named(samples: Sequence[str], mrn: str) -> str:
    return f"sample:{samples[0]}" if samples else f"mrn:{mrn}"
