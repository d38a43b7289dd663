"""Consent events as stored text, and back.

``dump_event`` and ``parse_event`` are exact inverses. A ledger of millions splits each event instead (``separate``): the *statement*,
of which few distinct ones exist, and what differs for every event: ids, times, and how the times are meant (``OWN_COLUMNS``). In a
statement, times are numbered marks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from policies import canonical, consent
from policies.consent import (
    RULES,
    Answer,
    ConsentEvent,
    CorrectionKind,
    FormRef,
    Level,
    OnMajority,
    PolicyAnswer,
    Precision,
    QcState,
    SignerRole,
    Status,
    Withdrawal,
)
from policies.errors import InputProblem, PolicyInputError
from policies.loci import LocusRule, read_rule
from policies.strict_mapping import Section
from policies.terms import Terms, read_alternative

_NEVER = datetime.min.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
IDS_AND_CLOCKS = ("event_id", "seq", "legal_time", "recorded_at")
OWN_COLUMNS = (*IDS_AND_CLOCKS, "rules", "precision", "clock_behind")  # fields of an event that are not part of its statement
_said = attrgetter(*(item.name for item in fields(ConsentEvent) if item.name not in OWN_COLUMNS))


def dump_event(event: ConsentEvent) -> str:
    """Canonical JSON of an event; ``consent.digest`` is its SHA-256."""
    return canonical.dumps(consent.as_dict(event))


def parse_event(text: str) -> ConsentEvent:
    """Parse the stored text of an event strictly: an unknown field, answer or status is an error.

    Raises:
        PolicyInputError: with every problem and its place.
    """
    problems: list[InputProblem] = []
    top = Section(canonical.loads(text), "", problems)
    seq = top.whole("seq", 0, 2**63 - 1)
    if seq is None:
        top.note("missing", "this field is required", "seq")
    event_id, supersedes = top.text("event_id"), top.text("supersedes", default="")
    legal_time, recorded_at = (_required(top, key) for key in ("legal_time", "recorded_at"))
    answers = tuple(_answer(item) for item in top.sections("answers"))
    withdrawal = _withdrawal(top.section("withdrawal")) if top.has("withdrawal") else None
    status = Status(top.choice("status", tuple(Status))) if top.has("status") else None
    form = _form(top.section("form")) if top.has("form") else None
    signer = SignerRole(top.choice("signer", tuple(SignerRole)))
    on_majority = OnMajority(top.choice("on_majority", tuple(OnMajority), default=OnMajority.LAPSE))
    lapses_at, valid_from, valid_to = (top.instant(key) for key in ("lapses_at", "valid_from", "valid_to"))
    qc = QcState(top.choice("qc", tuple(QcState)))
    rules = top.whole("rules", 1, RULES[-1]) if top.has("rules") else 1
    precision = Precision(top.choice("precision", tuple(Precision), default=Precision.INSTANT))
    clock_behind = top.flag("clock_behind")
    correction = CorrectionKind(top.choice("correction", tuple(CorrectionKind))) if top.has("correction") else None
    rest = {key: top.text(key, default="") for key in ("signer_ref", "recorded_by", "evidence_hash", "channel", "language")}
    top.finish()
    if problems:
        raise PolicyInputError.from_problems(problems)
    return ConsentEvent(
        event_id=event_id,
        seq=seq or 0,
        legal_time=legal_time,
        recorded_at=recorded_at,
        answers=answers,
        withdrawal=withdrawal,
        status=status,
        form=form,
        signer=signer,
        lapses_at=lapses_at,
        on_majority=on_majority,
        valid_from=valid_from,
        valid_to=valid_to,
        qc=qc,
        supersedes=supersedes,
        rules=rules or 1,
        precision=precision,
        clock_behind=clock_behind,
        correction=correction,
        **rest,
    )


def separate(event: ConsentEvent) -> tuple[str, tuple[datetime, ...]]:
    """Statement of an event (canonical JSON without ids and times), and the distinct times that its marks stand for."""
    times: list[datetime] = []

    def mark(at: datetime) -> datetime:
        if at not in times:
            times.append(at)
        return _NEVER + times.index(at) * _MICROSECOND

    marked = _with_times(event, mark)
    statement = {name: value for name, value in consent.as_dict(marked).items() if name not in OWN_COLUMNS}
    return canonical.dumps(statement), tuple(times)


def separate_all(events: Sequence[ConsentEvent]) -> list[tuple[str, tuple[datetime, ...]]]:
    """``separate`` of each event; those that say the same at the same times are separated once."""
    known: dict[object, tuple[str, tuple[datetime, ...]]] = {}
    found = []
    for event in events:
        said = _said(event)
        if said not in known:
            known[said] = separate(event)
        found.append(known[said])
    return found


def parse_statement(text: str) -> ConsentEvent:
    """Parse a statement to a pattern: an event without id and times, which ``join`` completes. Some of ledger format 1 hold
    ``rules`` and ``precision``, which format 2 keeps beside the times.

    Raises:
        PolicyInputError: ``bad_said``, or every problem with its place.
    """
    statement = canonical.loads(text)
    if not isinstance(statement, dict) or set(IDS_AND_CLOCKS) & set(statement):
        raise PolicyInputError("bad_said", "not what an event says")
    never = canonical.instant_text(_NEVER)
    own: dict[str, object] = {"event_id": "-", "seq": 0, "legal_time": never, "recorded_at": never}
    return parse_event(canonical.dumps({**statement, **own}))


def join(
    pattern: ConsentEvent,
    *,
    event_id: str,
    seq: int,
    legal_time: datetime,
    recorded_at: datetime,
    times: Sequence[datetime],
    rules: int | None = None,
    precision: Precision | None = None,
    clock_behind: bool = False,
) -> ConsentEvent:
    """Event from a pattern and the parts that ``separate`` removed; ``rules`` and ``precision`` None: as the pattern says.

    Raises:
        PolicyInputError: ``bad_said``: a mark stands for no time, or the event is not one.
    """

    def real(at: datetime) -> datetime:
        number = mark_number(at)
        if number >= len(times):
            raise PolicyInputError("bad_said", "a mark stands for no time")
        return times[number]

    event = replace(
        pattern,
        event_id=event_id,
        seq=seq,
        legal_time=legal_time,
        recorded_at=recorded_at,
        rules=rules or pattern.rules,
        precision=precision or pattern.precision,
        clock_behind=clock_behind,
    )
    return _with_times(event, real) if times else event


def mark_number(at: datetime) -> int:
    """Index, from 0, of the time that a mark in a pattern stands for."""
    return (at - _NEVER) // _MICROSECOND


def _with_times(event: ConsentEvent, change: Callable[[datetime], datetime]) -> ConsentEvent:
    """Apply ``change`` to every time of the event except the two clocks, in a fixed order."""
    start, end, lapse = (None if at is None else change(at) for at in (event.valid_from, event.valid_to, event.lapses_at))
    answers = tuple(item if item.valid_to is None else replace(item, valid_to=change(item.valid_to)) for item in event.answers)
    return replace(event, answers=answers, valid_from=start, valid_to=end, lapses_at=lapse)


def _required(section: Section, key: str) -> datetime:
    if not section.has(key):
        section.note("missing", "this field is required", key)
    return section.instant(key) or _NEVER


def _answer(section: Section) -> PolicyAnswer:
    found = PolicyAnswer(
        policy=section.text("policy"),
        answer=Answer(section.choice("answer", tuple(Answer))),
        version=section.text("version", default=""),
        module=section.text("module", default=""),
        explicit=not section.flag("bundled"),
        terms=_terms(section),
        loci=_rules(section),
        valid_to=section.instant("valid_to"),
    )
    section.finish()
    return found


def _terms(section: Section) -> Terms | None:
    if not section.has("terms"):
        return None
    return Terms.from_alternatives(*(read_alternative(item, stored=True) for item in section.sections("terms")))


def _rules(section: Section) -> tuple[LocusRule, ...]:
    return tuple(rule for item in section.sections("loci") if (rule := read_rule(item)))


def _withdrawal(section: Section) -> Withdrawal:
    reach = section.text("scope")
    level = section.choice("level", tuple(item.name.lower() for item in Level))
    found = Withdrawal(reach, Level[level.upper()], _rules(section))
    section.finish()
    return found


def _form(section: Section) -> FormRef:
    found = FormRef(section.text("form"), section.text("version"), section.text("wording_sha256"))
    section.finish()
    return found
