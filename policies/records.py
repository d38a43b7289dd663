"""A consent event as stored text, and back: ``dump_event`` and ``parse_event`` are exact inverses."""

from __future__ import annotations

from datetime import UTC, datetime

from policies import canonical, consent
from policies.consent import Answer, ConsentEvent, FormRef, Level, Majority, PolicyAnswer, QcState, Signer, Status, Withdrawal
from policies.errors import PolicyInputError, Problem
from policies.loci import LocusRule, read_rule
from policies.reading import Section
from policies.terms import Terms, read_alternative

_NEVER = datetime.min.replace(tzinfo=UTC)


def dump_event(event: ConsentEvent) -> str:
    """The canonical JSON of an event; ``consent.digest`` is its SHA-256."""
    return canonical.dumps(consent.as_dict(event))


def parse_event(text: str) -> ConsentEvent:
    """The event from its stored text, strictly: an unknown field, answer or status is an error, never passed over.

    Raises:
        PolicyInputError: with every problem and its place.
    """
    problems: list[Problem] = []
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
    signer = Signer(top.choice("signer", tuple(Signer)))
    on_majority = Majority(top.choice("on_majority", tuple(Majority), default=Majority.LAPSE))
    lapses_at, valid_from, valid_to = (top.instant(key) for key in ("lapses_at", "valid_from", "valid_to"))
    qc = QcState(top.choice("qc", tuple(QcState)))
    rest = {key: top.text(key, default="") for key in ("signer_ref", "recorded_by", "evidence_hash", "channel", "language")}
    top.finish()
    if problems:
        raise PolicyInputError.of(problems)
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
        **rest,
    )


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
    return Terms.of(*(read_alternative(item, stored=True) for item in section.sections("terms")))


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
