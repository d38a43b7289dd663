"""Form responses (FHIR QuestionnaireResponse) as consent events: a sheet of many subjects' answers, or one subject's.

Every problem is reported with its place, and nothing is recorded unless all rows are right. Beyond the form's own checks, a *sheet*
is refused where bulk work could override a subject's decision: an acceptance after a withdrawal from that use, and a guardian's
acceptance beside another guardian's. Such a case is recorded for the one subject it concerns (``recording.record``), by a steward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from policies import signers, stated_times, states
from policies.consent import Answer, ConsentEvent, QcState, SignerRole
from policies.errors import PolicyInputError
from policies.form_answers import answers_to_event, check_answer, preferences
from policies.forms import Form, Question
from policies.majority import AgesOfMajority
from policies.repetition import repeats
from policies.signers import LifeDates
from policies.standing import standing
from policies.stated_times import LegalTime
from vault.access import reference_data
from vault.consent import known_names, ledger
from vault.consent.ledger import Ledger, NewEvent
from vault.files.csv_sheets import BadField, Column, Row, text
from vault.files.evidence_files import evidence_digest
from vault.files.sheet_dialect import iso_day
from vault.files.sheet_problems import Problem, rejected
from vault.ids import SubjectId, new_uuid7
from vault.session.time_zone import zone_of
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.subjects.identities import Identity
from vault.subjects.references import identify

SIGNED_BY = "signed_by"  # sealed: the name of the guardian or representative who signed
WITHDREW = "this person withdrew from it: record a new acceptance for this person alone (consent record)"
TWO_GUARDIANS = "another guardian's acceptance is in force: record this one for this person alone (consent record)"
OF_AGE = "the person was of age when the guardian signed"


@dataclass(frozen=True)
class FormResponse:
    """Answers of one subject to one form. ``line`` of the sheet, 0 for a single record."""

    subject: SubjectId
    identity: Identity = field(repr=False)
    answers: Mapping[str, str]
    legal_time: LegalTime | None = None  # None: now
    signer: SignerRole = SignerRole.SELF
    signed_by: str = ""
    evidence: str = ""  # SHA-256
    channel: str = ""
    qc: QcState = QcState.VALID
    line: int = 0


def columns(form: Form, now: datetime, zone: tzinfo) -> list[Column[Any]]:
    """Columns that an ANSWERS.csv for this form may have; a day is one of ``zone``."""
    fixed: list[Column[Any]] = [SUBJECT, Column("legal_time", _legal_time(now, zone)), SIGNER, SIGNER_NAME, EVIDENCE, CHANNEL, QC]
    return [*fixed, *(Column(question.id, _answer(question)) for question in form.questions)]


def from_rows(vault: UnlockedVault, form: Form, rows: Sequence[Row]) -> tuple[list[FormResponse], list[Problem]]:
    """Form responses of a sheet's rows, each of one known subject, and the rows whose subject is unknown, ambiguous or named twice."""
    found, identities = identify(vault, [row[SUBJECT] for row in rows])
    problems: list[Problem] = []
    made: list[FormResponse] = []
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
        made.append(
            FormResponse(
                subject=subject,
                identity=identities[subject],
                answers={q.id: row.get(Column(q.id, text)) or "" for q in form.questions},
                legal_time=row.get(LEGAL_TIME),
                signer=SignerRole(row.get(SIGNER) or SignerRole.SELF),
                signed_by=row.get(SIGNER_NAME) or "",
                evidence=row.get(EVIDENCE) or "",
                channel=row.get(CHANNEL) or "",
                qc=QcState(row.get(QC) or QcState.VALID),
                line=row.line,
            )
        )
    return made, problems


def new_events(
    vault: UnlockedVault,
    tx: Transaction,
    form: Form,
    responses: Sequence[FormResponse],
    *,
    bulk: bool,
    as_written: bool = False,
    found: Sequence[Problem] = (),
) -> list[NewEvent]:
    """Convert responses to consent events; with ``bulk``, refuse those that could override a subject's decision.

    ``as_written``: take the names of projects that are not here. ``found``: problems of the sheet that are known already.

    Raises:
        InputError: ``sheet_rejected`` with every problem by line and column.
    """
    book, now, zone = ledger.read(tx, vault), vault.clock(), zone_of(vault)
    ages, codes = reference_data.majority(tx), known_names.project_codes(tx)
    problems = list(found)
    made: list[NewEvent] = []
    for item in responses:
        try:
            history = book.events_of(item.subject)
            of_guardian = item.signer is SignerRole.GUARDIAN
            reference = guardian(vault, tx, book, item.subject, item.signed_by) if of_guardian else ""
            life = life_dates(item.identity, ages, zone)
            event = _event(
                vault, form, item, now, (lapse(item.signer, life, item.legal_time.at if item.legal_time else now), reference)
            )
            signers.require_possible(event, signers.with_facts(life, history), zone=zone)
            if not as_written:
                known_names.require_projects(event, codes)
            if bulk:
                _require_no_override(event, history)
        except PolicyInputError as error:
            problems.extend(Problem(item.line, p.place, p.message) for p in error.problems)
            continue
        private = {f"preference:{p.category}": p.value for p in preferences(form, item.answers)}
        private |= {SIGNED_BY: item.signed_by} if item.signed_by else {}
        made.append(NewEvent(item.subject, event, private, at_once=item.legal_time is None))
    if problems:
        raise rejected(problems, source="the sheet" if bulk else "the record")
    return made


def repeated(vault: UnlockedVault, tx: Transaction, new: Sequence[NewEvent]) -> list[bool]:
    """For each new event whether it says what the person's last one says, sealed part included, at the same stated time.

    Raises:
        IntegrityError: as ``ledger.private``.
    """
    book, now = ledger.read(tx, vault), vault.clock()
    found = []
    for one in new:
        history = book.events_of(one.subject)
        again = not one.at_once and repeats(history, ledger.as_stored(one), at=now)
        found.append(again and ledger.private(vault, tx, book, one.subject)[history[-1].seq] == ledger.sealed_content(one))
    return found


def _event(
    vault: UnlockedVault, form: Form, item: FormResponse, now: datetime, guardian: tuple[datetime | None, str]
) -> ConsentEvent:
    legal = item.legal_time or LegalTime(now)
    return answers_to_event(
        form,
        item.answers,
        event_id=new_uuid7(vault.random, now),
        seq=0,
        legal_time=legal.at,
        precision=legal.precision,
        recorded_at=now,
        signer=item.signer,
        signer_ref=guardian[1],
        lapses_at=guardian[0],
        qc=item.qc,
        recorded_by=vault.principal,
        evidence_hash=item.evidence,
        channel=item.channel,
    )


def life_dates(identity: Identity, ages: AgesOfMajority, zone: tzinfo) -> LifeDates:
    """Dates of a person's life as the identity tells them; nothing of it is kept with an event."""
    if not identity.birth_date:
        return LifeDates()
    birth = date.fromisoformat(identity.birth_date)
    return LifeDates(birth, ages.reached(birth, identity.country, zone=zone))


def lapse(signer: SignerRole, life: LifeDates, signed: datetime) -> datetime | None:
    """Lapse of a guardian's signature, None for other signers. The event keeps only this instant, never the birth date.

    Raises:
        PolicyInputError: ``birth_date_missing``, ``of_age`` (place ``signer``).
    """
    if signer is not SignerRole.GUARDIAN:
        return None
    if life.of_age is None:
        raise PolicyInputError("birth_date_missing", "a guardian's signature needs the person's birth date", "signer")
    if life.of_age <= signed:
        raise PolicyInputError("of_age", OF_AGE, "signer")
    return life.of_age


def guardian(vault: UnlockedVault, tx: Transaction, book: Ledger, subject: SubjectId, name: str) -> str:
    """Number that tells a subject's guardians apart, "" for one without a name; names stay sealed. Raises as ``ledger.private``."""
    if not name:
        return ""
    private = ledger.private(vault, tx, book, subject)
    names = [private[event.seq].get(SIGNED_BY) for event in book.events_of(subject) if event.signer_ref]
    order = list(dict.fromkeys(names))
    return str(order.index(name) + 1 if name in order else len(order) + 1)


def _require_no_override(event: ConsentEvent, history: tuple[ConsentEvent, ...]) -> None:
    if not history:
        return
    accepted = {answer.policy: answer.module for answer in event.answers if answer.answer is Answer.ACCEPTED}
    state = states.fold(history)
    where = standing(state, legal_at=event.recorded_at)
    refused = dict(where.refused)
    for policy, module in accepted.items():
        question = module.partition("/")[2]
        if (refused.get(policy) or (where.otherwise if where.grant(policy) is None else "")) == Answer.WITHDRAWN:
            raise PolicyInputError("withdrew", WITHDREW, question)
        if event.signer is SignerRole.GUARDIAN and any(
            item.signer is SignerRole.GUARDIAN
            and item.answer.policy == policy
            and (item.signer_ref, event.signer_ref) != (event.signer_ref or "-", item.signer_ref or "-")
            for item in state.acceptances
        ):
            raise PolicyInputError("overlapping_guardianship", TWO_GUARDIANS, "signer")


def _answer(question: Question) -> Callable[[str], str]:
    def parse(value: str) -> str:
        try:
            check_answer(question, value)
        except PolicyInputError as error:
            raise BadField(error.problems[0].message if error.code == "unknown_answer" else "is not a DUO expression") from None
        return text(value)

    return parse


def _legal_time(now: datetime, zone: tzinfo) -> Callable[[str], LegalTime]:
    def parse(value: str) -> LegalTime:
        try:
            return stated_times.legal_time(stated_times.parse(iso_day(value)), zone=zone, now=now)
        except PolicyInputError as error:
            future = error.problems[0].code == "in_the_future"
            raise BadField("lies in the future" if future else "is not a date, nor a date and time with a zone") from None

    return parse


def _one_of(allowed: Iterable[str]) -> Callable[[str], str]:
    known = tuple(str(item) for item in allowed)

    def parse(value: str) -> str:
        if value not in known:
            raise BadField(f"is not one of {', '.join(known)}")
        return value

    return parse


SUBJECT = Column("subject", text, required=True, keys=lambda value: [value])
LEGAL_TIME: Column[LegalTime] = Column("legal_time", _legal_time(datetime.max.replace(tzinfo=UTC), UTC))
SIGNER = Column("signer", _one_of(SignerRole))
SIGNER_NAME = Column(SIGNED_BY, text)
EVIDENCE = Column("evidence", evidence_digest)
CHANNEL = Column("channel", text, max_chars=40)
QC = Column("qc", _one_of((QcState.VALID, QcState.PENDING)))
