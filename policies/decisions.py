"""The decision for one subject and one purpose, and for many subjects at once.

``decide`` is a pure function of the consent state, the purpose, the legal time and the rule set: the same inputs give the same bytes
of ``Decision.explain()``. ``judge`` decides from a standing alone, so that a cohort is decided once for each distinct standing
(docs/design/consent.md §11).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from policies import canonical, consent, obligations, reasons
from policies.acts import Acceptance
from policies.loci import LocusRule
from policies.obligations import Obligations
from policies.ontology import Ontology
from policies.purposes import REQUIRED_POLICY, Purpose, UseKind
from policies.reasons import Reason
from policies.rules import DEFAULT, EVALUATOR, RULE_SETS, Rules
from policies.standing import Grant, Sources, Standing, end_of, sources, standing
from policies.states import ConsentState
from policies.term_matching import Effect, TermMatch, match, match_without_terms, preference
from policies.terms import Alternative, Modifier

PLAIN_POLICIES = frozenset({consent.RECONTACT, consent.RETURN_OF_RESULTS})
"""Policies that are a plain yes and need no DUO terms."""

NOT_APPLICABLE = "NOT_APPLICABLE"
NO_MATCHING_POLICY = "NO_MATCHING_POLICY"
NO_SATISFIED_POLICY = "NO_SATISFIED_POLICY"
HAS_SATISFIED_POLICY = "HAS_SATISFIED_POLICY"


def anywhere(_rule: LocusRule) -> bool:
    """Take every place as one that can be placed: for planning, where no data are asked for."""
    return True


@dataclass(frozen=True)
class DecisionRequest:
    """Decision request (XACML): the purpose and the circumstances, the same for every subject.

    ``leave_out``: the project takes nobody who excludes places. ``data_at`` is when the requested data were gathered; ``understood`` names the obligations that the enforcement point can fulfil,
    ``placeable`` tells which excluded places it can find on the data's assembly.
    """

    purpose: Purpose
    legal_at: datetime
    ontology: Ontology | None = None
    rules: Rules = DEFAULT
    data_at: datetime | None = None
    understood: frozenset[str] = obligations.UNDERSTOOD
    placeable: Callable[[LocusRule], bool] = field(default=anywhere, compare=False)
    leave_out: bool = False


@dataclass(frozen=True)
class Verdict:
    """Effect of one standing on one purpose. ``alternative`` is its index in the grant, None when none was used."""

    outcome: Effect
    reasons: tuple[Reason, ...]
    obligations: Obligations
    alternative: int | None = None


@dataclass(frozen=True)
class Evidence:
    """One event that was examined, and its outcome: one of the four constants above."""

    event_id: str
    sha256: str
    outcome: str


@dataclass(frozen=True)
class Decision:
    """Decision for one subject. ``reasons`` has at least one; those that refuse come first, the strongest first. ``legal_at`` is in UTC.

    ``known`` is the ledger head as a number, or the instant of a question about the past as text.
    """

    outcome: Effect
    reasons: tuple[Reason, ...]
    obligations: Obligations
    evidence: tuple[Evidence, ...]
    alternative: int | None
    legal_at: datetime
    known: int | str | None
    pack_sha256: str
    ontology: str = ""
    rule_set_id: str = RULE_SETS[1]

    @property
    def permitted(self) -> bool:
        """True if data may be released; REVIEW is not permission."""
        return self.outcome is Effect.PERMIT

    def explain(self) -> str:
        """Canonical JSON for stewards and auditors (docs/design/consent.md §13), byte-identical for the same inputs. No subject is named."""
        return canonical.dumps(
            {
                "decision": str(self.outcome),
                "reasons": [canonical.plain(item) for item in self.reasons],
                "evidence": [canonical.plain(item) for item in self.evidence],
                "obligations": self.obligations.as_dict() if self.permitted else {},
                "alternative": self.alternative,
                "rule_set_id": self.rule_set_id,
                "evaluator_version": EVALUATOR,
                "policy_pack_sha256": self.pack_sha256,
                "ontology": self.ontology,
                "legal_at": canonical.instant_text(self.legal_at),
                "known_at": self.known,
            }
        )


@dataclass(frozen=True)
class Basis:
    """An acceptance that a permission rests on, and the modifiers of the alternative that was used, as signed."""

    acceptance: Acceptance
    modifiers: tuple[Modifier, ...]


@dataclass(frozen=True)
class Tally:
    """Counts over a cohort: each subject once, under its first reason."""

    subjects: int
    permit: int
    deny: tuple[tuple[str, int], ...]
    review: tuple[tuple[str, int], ...]

    def as_dict(self) -> dict[str, object]:
        """``{"subjects": n, "permit": n, "deny": {reason: n}, "review": {reason: n}}``."""
        return {"subjects": self.subjects, "permit": self.permit, "deny": dict(self.deny), "review": dict(self.review)}


def decide(
    state: ConsentState,
    purpose: Purpose,
    *,
    legal_at: datetime,
    ontology: Ontology | None = None,
    rules: Rules = DEFAULT,
    data_at: datetime | None = None,
    understood: frozenset[str] = obligations.UNDERSTOOD,
    placeable: Callable[[LocusRule], bool] = anywhere,
    leave_out: bool = False,
) -> Decision:
    """Decide one purpose for one subject. Arguments as the fields of ``DecisionRequest``.

    Raises:
        PolicyInputError: ``time_without_zone``.
    """
    request = DecisionRequest(purpose, canonical.aware(legal_at), ontology, rules, data_at, understood, placeable, leave_out)
    found = judge(standing(state, legal_at=request.legal_at, domain=rules.domain), request)
    behind = sources(state, legal_at=request.legal_at, domain=rules.domain)
    return Decision(
        outcome=found.outcome,
        reasons=found.reasons,
        obligations=replace(found.obligations, expires=_expires(behind, purpose, found, rules)),
        evidence=_evidence(state, behind, purpose, found),
        alternative=found.alternative,
        legal_at=request.legal_at,
        known=state.head if state.known_at is None else canonical.instant_text(state.known_at),
        pack_sha256=rules.pack_sha256(),
        ontology=ontology.version if ontology is not None else "",
        rule_set_id=RULE_SETS[max((event.rules for event in state.events), default=1)],
    )


def judge(where: Standing, request: DecisionRequest) -> Verdict:
    """Decide a purpose from a standing: facts about the subject first, then the policy, then its terms."""
    policy = REQUIRED_POLICY[request.purpose.action]
    grant = where.grant(policy)
    denied, open_questions = _person(where, request.purpose), _person_reviews(where)
    if grant is None:
        denied.append(Reason(where.why_not(policy), policy))
        return _refusal(denied, open_questions)
    denied += _grant_limits(grant, request)
    if grant.data_before is not None and request.data_at is None:
        open_questions.append(Reason(reasons.DATA_TIME_UNKNOWN, policy))
    best, index = _best(grant, request)
    if best is None:
        denied.append(Reason(reasons.NO_TERMS, policy))
        return _refusal(denied, open_questions)
    if best.outcome is Effect.DENY:
        denied += best.reasons
    elif best.outcome is Effect.REVIEW:
        open_questions += best.reasons
    carried = replace(best.obligations, mask=tuple(sorted({*best.obligations.mask, *where.mask})))
    if not denied and not open_questions:
        denied += _unfulfillable(carried, request)
    if denied or open_questions:
        return _refusal(denied, open_questions, alternative=index)
    return Verdict(Effect.PERMIT, best.reasons, carried, index)


def bases(behind: Sources, purpose: Purpose, found: Verdict) -> tuple[Basis, ...]:
    """Acceptances on which a permission rests: the permission ends with the first of them.

    These are the requested policy, use after death for a deceased subject, and the purposes, recipients and places that are included
    only because they were accepted.
    """
    policy = REQUIRED_POLICY[purpose.action]
    rests = []
    for name, acceptance in behind.granting:
        if name == policy:
            signed = acceptance.answer.terms.alternatives if acceptance.answer.terms is not None else ()
            rests.append(Basis(acceptance, signed[found.alternative].modifiers if found.alternative is not None else ()))
        elif ":" in name or (name == consent.USE_AFTER_DEATH and behind.deceased):
            rests.append(Basis(acceptance, ()))
    return tuple(rests)


def _refusal(denied: list[Reason], open_questions: list[Reason], *, alternative: int | None = None) -> Verdict:
    outcome = Effect.DENY if denied else Effect.REVIEW
    ordered = [*sorted(denied, key=reasons.strength), *open_questions]
    return Verdict(outcome, tuple(dict.fromkeys(ordered)), Obligations(), alternative)


def _person(where: Standing, purpose: Purpose) -> list[Reason]:
    found = []
    if where.restricted:
        found.append(Reason(reasons.RESTRICTED))
    if where.deceased and where.grant(consent.USE_AFTER_DEATH) is None:
        found.append(Reason(reasons.DECEASED))
    found += [_served(purpose, name) for name in where.purposes if _serves(purpose, name)]
    found += [_received(purpose, name) for name in where.recipients if _receives(purpose, name)]
    return found


def _person_reviews(where: Standing) -> list[Reason]:
    return [Reason(reasons.CAPACITY_LOST)] if where.capacity_lost else []


def _serves(purpose: Purpose, name: str) -> bool:
    """True if the purpose falls under an excluded one. An undeclared property and an unknown name count as excluded."""
    if name == "commercial":
        return purpose.commercial is not False
    known = {*(str(kind) for kind in UseKind), *(str(action) for action in REQUIRED_POLICY), *_TOPICS}
    if name not in known:
        return True
    return (
        name in purpose.use_kinds
        or name == purpose.action
        or name in purpose.all_topics()
        or UseKind.GENERAL in purpose.use_kinds
    )


def _served(purpose: Purpose, name: str) -> Reason:
    undeclared = name == "commercial" and purpose.commercial is None
    return Reason(reasons.PURPOSE_NOT_DECLARED if undeclared else reasons.PURPOSE_EXCLUDED, name)


def _receives(purpose: Purpose, name: str) -> bool:
    """True if the recipient falls under an excluded one: ``country:XX``, ``project:CODE``, ``org:ID`` or a bare organisation id."""
    _, mine, other = _recipient(purpose, name)
    return not mine or mine == other


def _received(purpose: Purpose, name: str) -> Reason:
    kind, mine, _ = _recipient(purpose, name)
    return Reason(reasons.RECIPIENT_EXCLUDED, name) if mine else Reason(reasons.RECIPIENT_NOT_DECLARED, kind)


def _recipient(purpose: Purpose, name: str) -> tuple[str, str, str]:
    """Kind of an excluded recipient, what the project declares of that kind, and what is excluded."""
    kind, _, value = name.partition(":")
    stated = {"country": purpose.organisation.country, "project": purpose.project, "org": purpose.organisation.id}
    return (kind, stated[kind], value) if kind in stated else ("org", purpose.organisation.id, name)


def _grant_limits(grant: Grant, request: DecisionRequest) -> list[Reason]:
    found = []
    if grant.data_before is not None and request.data_at is not None and request.data_at >= grant.data_before:
        found.append(Reason(reasons.NO_NEW_DATA, grant.policy))
    declared = request.purpose.declared_at
    for change in request.rules.material_changes:
        other = grant.form is not None and grant.form.form == change.form and grant.form.version != change.version
        if other and (declared is None or declared >= change.effective):
            found.append(Reason(reasons.MATERIAL_CHANGE, f"{change.form}@{change.version}"))
    return found


def _best(grant: Grant, request: DecisionRequest) -> tuple[TermMatch | None, int | None]:
    """The preferred alternative and its index; (None, None) when the grant lacks the terms it needs."""
    if grant.policy in PLAIN_POLICIES:
        return match_without_terms(request.purpose, legal_at=request.legal_at, rules=request.rules), None
    tried = [(_tried(item, request), at) for at, item in enumerate(grant.alternatives)]
    return min(tried, key=lambda item: (preference(item[0]), item[1]), default=(None, None))


def _tried(item: Alternative, request: DecisionRequest) -> TermMatch:
    """Match one alternative; an obligation that cannot be fulfilled makes it a denial, so that another alternative may still permit."""
    found = match(item, request.purpose, legal_at=request.legal_at, ontology=request.ontology, rules=request.rules)
    lacking = _unfulfillable(found.obligations, request)
    if found.outcome is not Effect.PERMIT or not lacking:
        return found
    return replace(found, outcome=Effect.DENY, reasons=tuple(lacking))


def _unfulfillable(carried: Obligations, request: DecisionRequest) -> list[Reason]:
    """Obligations that are not fulfilled, and places that cannot be found: they count against this subject and no other."""
    left_out = [Reason(reasons.PLACES_EXCLUDED)] if request.leave_out and carried.mask else []
    found = left_out + [
        Reason(reasons.UNKNOWN_OBLIGATION, name) for name in obligations.not_understood(carried, request.understood)
    ]
    places = sorted({*carried.mask, *(rule for group in carried.only for rule in group)})
    return found + [Reason(reasons.LOCI_UNRESOLVED, rule.text) for rule in places if not request.placeable(rule)]


def _expires(behind: Sources, purpose: Purpose, found: Verdict, rules: Rules) -> datetime | None:
    if found.outcome is not Effect.PERMIT:
        return None
    ends = [end_of(item.acceptance, item.modifiers, domain=rules.domain) for item in bases(behind, purpose, found)]
    return min((end for end in ends if end is not None), default=None)


def _evidence(state: ConsentState, behind: Sources, purpose: Purpose, found: Verdict) -> tuple[Evidence, ...]:
    policy = REQUIRED_POLICY[purpose.action]
    needed = {policy, consent.USE_AFTER_DEATH}
    granting = {item.event_id for name, item in behind.granting if name in needed}
    standing_ids = {item.event_id for item in state.acceptances} | {item.event_id for item in state.marks}
    named = {item.event_id for item in state.acceptances if item.answer.policy in needed}
    outcomes = []
    for event in state.events:
        if event.event_id in granting:
            outcome = HAS_SATISFIED_POLICY if found.outcome is Effect.PERMIT else NO_SATISFIED_POLICY
        elif event.event_id in behind.opposing:
            outcome = NO_SATISFIED_POLICY
        elif event.event_id in standing_ids and event.event_id not in named:
            outcome = NO_MATCHING_POLICY
        else:
            outcome = NOT_APPLICABLE
        outcomes.append(Evidence(event.event_id, consent.digest(event), outcome))
    return tuple(outcomes)


_TOPICS = frozenset(str(topic) for topic in DEFAULT.review_topics)
