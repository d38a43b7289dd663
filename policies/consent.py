"""Consent events: answers to policies, withdrawals and facts about a subject (docs/design/consent.md §2.1).

Events are immutable; a mistake is corrected by a later event that names it in ``supersedes``. Two clocks: ``legal_time`` is when an
act takes effect, ``recorded_at`` when the vault learned of it; ``seq`` is the event's place in the ledger. ``states.fold`` reduces the
events of one subject to a state.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from policies import canonical
from policies.errors import PolicyInputError
from policies.loci import LocusRule
from policies.strict_mapping import HANDLE
from policies.terms import Terms

RESEARCH_USE = "research_use"
MATCHING = "matching"
RETURN_OF_RESULTS = "return_of_results"
CLINICAL_CARE = "clinical_care"
LAW_ENFORCEMENT = "law_enforcement"
RECONTACT = "recontact"
USE_AFTER_DEATH = "use_after_death"
CONTACT_POLICIES = frozenset({RECONTACT, RETURN_OF_RESULTS})
"""Policies that involve contact with the subject: every level of withdrawal stops them."""


RULES = (1, 2)
"""Rule sets under which an event can have been recorded; new ones are recorded under the last."""


class Answer(StrEnum):
    """Answer to one policy. Only ``ACCEPTED`` can permit."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    NOT_ASKED = "not_asked"
    WITHDRAWN = "withdrawn"
    INVALIDATED = "invalidated"
    OBJECTED = "objected"


OPPOSING = frozenset({Answer.DECLINED, Answer.WITHDRAWN, Answer.INVALIDATED, Answer.OBJECTED})


class Level(IntEnum):
    """Level of a withdrawal; each includes those before it."""

    NO_CONTACT = 1
    NO_NEW_DATA = 2
    NO_NEW_USE = 3
    ERASE = 4


class SignerRole(StrEnum):
    """Capacity in which a signature was given. A next of kin can accept only for a subject who has died."""

    SELF = "self"
    GUARDIAN = "guardian"
    LEGAL_REP = "legal_rep"
    NEXT_OF_KIN = "next_of_kin"


class OnMajority(StrEnum):
    """Effect of the subject's coming of age on a guardian's signature."""

    LAPSE = "lapse"
    CONTINUE_UNTIL_OBJECTION = "continue_until_objection"


class QcState(StrEnum):
    """Quality check. An acceptance counts only when valid; an opposing act counts unless invalid."""

    VALID = "valid"
    PENDING = "pending"
    INVALID = "invalid"


class Status(StrEnum):
    """Facts about a subject that bear on every decision."""

    RESTRICTED = "restricted"
    RESTRICTION_LIFTED = "restriction_lifted"
    DECEASED = "deceased"
    CAPACITY_LOST = "capacity_lost"
    CAPACITY_REGAINED = "capacity_regained"
    EMANCIPATED = "emancipated"


RELIEVING = frozenset({Status.RESTRICTION_LIFTED, Status.CAPACITY_REGAINED})
"""Statuses that open something: like acceptances they need a passed quality check and wait for their legal time."""


class Precision(StrEnum):
    """Precision of a legal time: an instant, or a whole local day of which ``legal_time`` is the first instant."""

    INSTANT = "instant"
    DAY = "day"


class CorrectionKind(StrEnum):
    """Kind of correction by a superseding event: the superseded one was never said (``VOID``), or is said here rightly (``RESTATED``)."""

    VOID = "void"
    RESTATED = "restated"


class ScopeKind(StrEnum):
    """Kind of scope of a withdrawal."""

    EVERYTHING = "everything"
    POLICY = "policy"
    MODULE = "module"
    PURPOSE = "purpose"
    RECIPIENT = "recipient"
    LOCI = "loci"


@dataclass(frozen=True, order=True)
class Scope:
    """Scope of an opposing act. ``key`` is its text: ``everything``, ``policy:research_use``, ``purpose:commercial`` …"""

    kind: ScopeKind
    value: str = ""

    @property
    def key(self) -> str:
        """Text form, which ``scope`` parses."""
        return f"{self.kind}:{self.value}" if self.value else str(self.kind)


@dataclass(frozen=True)
class FormRef:
    """Form, version and wording that were signed."""

    form: str
    version: str
    wording_sha256: str


@dataclass(frozen=True)
class PolicyAnswer:
    """One answer to one policy. ``policy`` is a policy name, or a scope key (``loci:apoe``, ``purpose:commercial``, ``recipient:…``).

    ``explicit`` is false where the policy came only as part of a bundle. ``module`` is ``form/question``. ``valid_to`` is the end
    given by the form. ``loci`` are the places that a ``loci:`` key stands for.
    """

    policy: str
    answer: Answer
    version: str = "1"
    module: str = ""
    explicit: bool = True
    terms: Terms | None = None
    loci: tuple[LocusRule, ...] = ()
    valid_to: datetime | None = None


@dataclass(frozen=True)
class Withdrawal:
    """Withdrawal from a scope (default: everything) at a level (default: no new use)."""

    scope: str = "everything"
    level: Level = Level.NO_NEW_USE
    loci: tuple[LocusRule, ...] = ()


@dataclass(frozen=True)
class ConsentEvent:
    """One immutable entry of the ledger (docs/design/consent.md §2.1).

    Raises:
        PolicyInputError: ``time_without_zone``, ``bad_window``, ``bad_scope``, ``repeated``, ``empty_event``, ``bad_event``.
    """

    event_id: str
    seq: int
    legal_time: datetime
    recorded_at: datetime
    answers: tuple[PolicyAnswer, ...] = ()
    withdrawal: Withdrawal | None = None
    status: Status | None = None
    form: FormRef | None = None
    signer: SignerRole = SignerRole.SELF
    signer_ref: str = ""  # opaque token of the signer, which tells two guardians apart
    lapses_at: datetime | None = None  # when a guardian's signature lapses; never the birth date
    on_majority: OnMajority = OnMajority.LAPSE
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    qc: QcState = QcState.VALID
    supersedes: str = ""
    recorded_by: str = ""
    evidence_hash: str = ""
    channel: str = ""
    language: str = ""
    rules: int = 1  # rule set under which it was recorded (docs/design/consent.md §4)
    precision: Precision = Precision.INSTANT  # of ``legal_time``; ``recorded_at`` is always an instant
    clock_behind: bool = False  # the machine's clock was behind the ledger: ``recorded_at`` is the time of the event before
    correction: CorrectionKind | None = None  # of the event that it supersedes (docs/design/consent.md §4.2)

    def __post_init__(self) -> None:
        if not self.event_id or self.seq < 0 or self.supersedes == self.event_id:
            raise PolicyInputError("bad_event", "an event needs an id, a place in the ledger, and cannot supersede itself")
        if self.rules not in RULES:
            raise PolicyInputError(
                "bad_event", f"the event was recorded under rule set {self.rules}, which is not known", "rules"
            )
        times = [self.legal_time, self.recorded_at, self.lapses_at, self.valid_from, self.valid_to]
        for at in (*times, *(item.valid_to for item in self.answers)):
            if at is not None:
                canonical.aware(at)
        if self.valid_from is not None and self.valid_to is not None and self.valid_from >= self.valid_to:
            raise PolicyInputError("bad_window", "the consent would end before it begins", "valid_to")
        policies = [item.policy for item in self.answers]
        if len(set(policies)) != len(policies):
            raise PolicyInputError("repeated", "one event answers each policy once", "answers")
        for policy in policies:
            answer_scope(policy)
        if self.withdrawal is not None:
            scope(self.withdrawal.scope)
        self._require_said()

    def _require_said(self) -> None:
        says = bool(self.answers or self.withdrawal or self.status)
        if not (says or self.supersedes):
            raise PolicyInputError("empty_event", "the event says nothing")
        if self.correction is not None and not (self.supersedes and says == (self.correction is CorrectionKind.RESTATED)):
            raise PolicyInputError("bad_event", "a correction names an event, and says something only where it says it rightly")

    @property
    def opposes(self) -> bool:
        """True if the event withdraws, declines, objects or invalidates."""
        return self.withdrawal is not None or any(item.answer in OPPOSING for item in self.answers)

    @property
    def accepts(self) -> bool:
        """True if the event accepts anything."""
        return any(item.answer is Answer.ACCEPTED for item in self.answers)

    @property
    def opens(self) -> bool:
        """True if the event may permit something: it accepts, relieves, or may undo what another opposes."""
        undoes = bool(self.supersedes) and (not self.opposes or self.correction is not None)
        return self.accepts or self.status in RELIEVING or undoes

    @property
    def dated(self) -> bool:
        """True if ``legal_time`` may stand for a whole day: rule set 1 did not record the precision."""
        return self.precision is Precision.DAY or self.rules == 1


def scope(text: str) -> Scope:
    """Parse the scope of a withdrawal.

    Raises:
        PolicyInputError: ``bad_scope``.
    """
    kind, _, value = text.partition(":")
    found = next((item for item in ScopeKind if item == kind), None)
    good = found is not None and bool(value) != (found is ScopeKind.EVERYTHING)
    if found is None or not good or (found is ScopeKind.POLICY and not HANDLE.fullmatch(value)):
        raise PolicyInputError(
            "bad_scope", "write everything, policy:NAME, module:FORM/QUESTION, purpose:X, recipient:X or loci:NAME"
        )
    return Scope(found, value)


def answer_scope(policy: str) -> Scope:
    """Scope of an answer: a bare name is a policy, ``purpose:``, ``recipient:`` and ``loci:`` keys stand for themselves.

    Raises:
        PolicyInputError: ``bad_scope``.
    """
    found = Scope(ScopeKind.POLICY, policy) if HANDLE.fullmatch(policy) else scope(policy)
    if found.kind in {ScopeKind.EVERYTHING, ScopeKind.MODULE} or (found.kind is ScopeKind.POLICY and ":" in policy):
        raise PolicyInputError("bad_scope", "an answer names a policy, or a purpose:, recipient: or loci: key", "policy")
    return found


def digest(event: ConsentEvent) -> str:
    """64 hex digits: SHA-256 of the canonical JSON of the event."""
    return canonical.sha256(as_dict(event))


def as_dict(event: ConsentEvent) -> dict[str, object]:
    """The event as JSON values, which ``records.parse_event`` reads; empty fields are left out."""
    full: dict[str, object] = {
        "event_id": event.event_id,
        "seq": event.seq,
        "legal_time": canonical.instant_text(event.legal_time),
        "recorded_at": canonical.instant_text(event.recorded_at),
        "answers": [_answer_dict(item) for item in event.answers],
        "withdrawal": _withdrawal_dict(event.withdrawal),
        "status": event.status,
        "form": None if event.form is None else vars(event.form),
        "signer": event.signer,
        "signer_ref": event.signer_ref,
        "lapses_at": canonical.instant_text(event.lapses_at),
        "on_majority": None if event.on_majority is OnMajority.LAPSE else event.on_majority,
        "valid_from": canonical.instant_text(event.valid_from),
        "valid_to": canonical.instant_text(event.valid_to),
        "qc": event.qc,
        "supersedes": event.supersedes,
        "recorded_by": event.recorded_by,
        "evidence_hash": event.evidence_hash,
        "channel": event.channel,
        "language": event.language,
        "rules": None if event.rules == 1 else event.rules,
        "precision": None if event.precision is Precision.INSTANT else event.precision,
        "clock_behind": event.clock_behind or None,
        "correction": event.correction,
    }
    return {key: value for key, value in full.items() if value or value == 0}


def _answer_dict(item: PolicyAnswer) -> dict[str, object]:
    full: dict[str, object] = {
        "policy": item.policy,
        "answer": item.answer,
        "version": item.version,
        "module": item.module,
        "bundled": not item.explicit,
        "terms": None if item.terms is None else [one.as_dict() for one in item.terms.alternatives],
        "loci": [rule.as_dict() for rule in item.loci],
        "valid_to": canonical.instant_text(item.valid_to),
    }
    return {key: value for key, value in full.items() if value or (key == "terms" and value is not None)}


def _withdrawal_dict(item: Withdrawal | None) -> dict[str, object] | None:
    if item is None:
        return None
    found: dict[str, object] = {"scope": item.scope, "level": item.level.name.lower()}
    return {**found, "loci": [rule.as_dict() for rule in item.loci]} if item.loci else found
