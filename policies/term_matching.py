"""Match of one alternative of a consent with one purpose: permit, review or deny, fail-closed (docs/design/consent.md §9).

1. permission step: every use kind of the purpose against the permission (table of §9.1);
2. modifier step: each modifier by its class (§9.2);
3. review lists: conditions and topics on which a steward must rule (§9.4).

Within one alternative any DENY wins, then any REVIEW. Every rule that applied is reported. A ruling removes a listed REVIEW; it does
not change a DENY or a missing value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from policies import duo, reasons
from policies.canonical import parse_day
from policies.errors import PolicyInputError
from policies.obligations import KNOWN_LOCAL, Obligations
from policies.ontology import Ontology
from policies.purposes import Commitment, Profit, Purpose, UseKind
from policies.reasons import Reason
from policies.rules import Rules
from policies.standing import TS_OVER, TS_RUNNING
from policies.terms import GENOTYPES, Alternative, Modifier


class Effect(StrEnum):
    """Effect of a decision (XACML), the best first. REVIEW acts as DENY until a steward has ruled."""

    PERMIT = "permit"
    REVIEW = "review"
    DENY = "deny"


RANK = {Effect.PERMIT: 0, Effect.REVIEW: 1, Effect.DENY: 2}


@dataclass(frozen=True)
class TermMatch:
    """Result for one alternative and one purpose; ``obligations`` count only with PERMIT.

    ``alternative`` is None for a policy that needs no terms.
    """

    outcome: Effect
    reasons: tuple[Reason, ...]
    obligations: Obligations
    alternative: Alternative | None = None


def match(
    alternative: Alternative, purpose: Purpose, *, legal_at: datetime, ontology: Ontology | None, rules: Rules
) -> TermMatch:
    """Match one alternative with one purpose at a legal time."""
    case = _Case(purpose, legal_at, ontology, rules)
    case.scope(alternative)
    case.permission(alternative)
    for modifier in alternative.modifiers:
        case.modifier(modifier)
    case.commitment(Commitment.NO_REID)
    case.topics()
    return case.result(alternative)


def match_without_terms(purpose: Purpose, *, legal_at: datetime, rules: Rules) -> TermMatch:
    """Match a policy without terms (recontact, return of results): only commitment and topics are checked."""
    case = _Case(purpose, legal_at, None, rules)
    case.commitment(Commitment.NO_REID)
    case.topics()
    return case.result(None)


def preference(found: TermMatch) -> tuple[int, int, int, int, str]:
    """Sort key of matches: better effect, fewer obligations, fewer excluded loci, then text."""
    count = len(found.obligations.names())
    left_out = len(found.obligations.mask) + len(found.obligations.only)
    text = "" if found.alternative is None else repr(found.alternative)
    return RANK[found.outcome], count if found.outcome is Effect.PERMIT else len(found.reasons), left_out, count, text


class _Case:
    """Match in progress: a purpose, and the reasons and obligations found so far."""

    def __init__(self, purpose: Purpose, legal_at: datetime, ontology: Ontology | None, rules: Rules) -> None:
        self.purpose = purpose
        self.kinds = set(purpose.use_kinds)
        self.at = legal_at
        self.ontology = ontology
        self.rules = rules
        self.denied: list[Reason] = []
        self.open: list[Reason] = []
        self.publish = self.return_derived = False
        self.embargo: date | None = None
        self.ethics = ""
        self.collaborate: tuple[str, ...] = ()

    def deny(self, code: str, about: str = "") -> None:
        self.denied.append(Reason(code, about))

    def review(self, code: str, about: str = "") -> None:
        self.open.append(Reason(code, about))

    def result(self, alternative: Alternative | None) -> TermMatch:
        outcome = Effect.DENY if self.denied else Effect.REVIEW if self.open else Effect.PERMIT
        spoken = tuple(dict.fromkeys(self.denied + self.open)) or (Reason(reasons.CONSENT_COVERS_PURPOSE),)
        local = alternative.obligations if alternative is not None else ()
        obligations = Obligations(
            mask=alternative.exclude if alternative is not None else (),
            only=(alternative.only,) if alternative is not None and alternative.only else (),
            min_group=self.rules.min_group,
            max_bits=self.rules.max_bits,
            publish=self.publish,
            publish_embargo=self.embargo,
            ethics_ref=self.ethics,
            collaborate=self.collaborate,
            return_derived=self.return_derived,
            watermark="watermark" in local,
            no_download="no_download" in local,
            unknown=tuple(name for name in local if name not in KNOWN_LOCAL),
        )
        return TermMatch(outcome, spoken, obligations, alternative)

    def scope(self, alternative: Alternative) -> None:
        covered = alternative.data_classes or (GENOTYPES,)
        for wanted in self.purpose.data_classes:
            if wanted not in covered:
                self.deny(reasons.DATA_CLASS_NOT_COVERED, wanted)

    # Step 1: the permission table, docs/design/consent.md §9.1.

    def permission(self, alternative: Alternative) -> None:
        term = duo.find(alternative.permission)
        if term is None or term.kind is not duo.TermKind.PERMISSION:
            self.review(reasons.UNKNOWN_CODE, alternative.permission)
            return
        cares = any((found := duo.find(item.code)) is not None and found.code == "CC" for item in alternative.modifiers)
        for kind in UseKind:
            if kind in self.kinds:
                self._kind(term.code, kind, alternative.diseases, cares=cares)

    def _kind(self, code: str, kind: UseKind, diseases: tuple[str, ...], *, cares: bool) -> None:
        if code == "NRES":
            return
        if kind is UseKind.CLINICAL_CARE:
            self._clinical_care(code, diseases, cares=cares)
        elif code == "GRU":
            return
        elif code == "POA" or kind is UseKind.POA:
            if not (code == "POA" and kind is UseKind.POA):
                self.deny(reasons.ANCESTRY_NOT_COVERED, str(kind))
        elif kind is UseKind.METHODS:
            # Under HMB and DS methods development counts only as a part of research that is itself covered.
            if not {UseKind.HMB, UseKind.DISEASE} & self.kinds:
                self.review(reasons.METHODS_NEED_RULING, code)
        elif kind is UseKind.GENERAL or (code == "DS" and kind is UseKind.HMB):
            self.deny(reasons.PURPOSE_TOO_WIDE, str(kind))
        elif code == "DS":
            self._diseases(diseases)

    def _clinical_care(self, code: str, diseases: tuple[str, ...], *, cares: bool) -> None:
        if code == "POA" or not cares:
            self.deny(reasons.CLINICAL_CARE_NOT_COVERED, code)
        elif code == "DS":
            if not self.purpose.diseases:
                self.deny(reasons.DISEASE_NOT_COVERED, str(UseKind.CLINICAL_CARE))
            self._diseases(diseases)

    def _diseases(self, allowed: tuple[str, ...]) -> None:
        """Require every disease of the purpose to be one of the consent's, or a descendant of one."""
        if not allowed:
            self.review(reasons.DISEASE_MISSING)
        elif self.ontology is None:
            self.review(reasons.ONTOLOGY_NOT_LOADED)
        else:
            unknown = [item for item in allowed if self.ontology.ancestors(item) is None]
            known = frozenset(allowed) - frozenset(unknown)
            for wanted in self.purpose.diseases:
                self._disease(wanted, known, unknown, self.ontology.ancestors(wanted))

    def _disease(self, wanted: str, known: frozenset[str], unknown: list[str], above: frozenset[str] | None) -> None:
        if above is None:
            self.review(reasons.DISEASE_UNKNOWN, wanted)
        elif not ({wanted} | above) & known:
            if unknown:
                self.review(reasons.DISEASE_UNKNOWN, unknown[0])
            else:
                self.deny(reasons.DISEASE_NOT_COVERED, wanted)

    # Step 2: the modifiers, docs/design/consent.md §9.2.

    def modifier(self, modifier: Modifier) -> None:
        term = duo.find(modifier.code)
        rule = _MODIFIERS.get(term.code) if term is not None else None
        if term is None or rule is None:
            self.review(reasons.UNKNOWN_CODE, modifier.code)
            return
        if not modifier.params and term.shape not in {duo.Shape.NOTHING, duo.Shape.WHO}:
            self.review(reasons.PARAMETER_MISSING, term.code)
        else:
            rule(self, term.code, modifier.params)
        if term.code in self.rules.review_modifiers and term.code not in self.purpose.rulings:
            self.review(reasons.MODIFIER_NEEDS_RULING, term.code)

    def excludes_methods(self, code: str, _: tuple[str, ...]) -> None:
        if UseKind.METHODS in self.kinds or "DUO:0000031" in self.purpose.investigations:
            self.deny(reasons.PROHIBITED, code)

    def excludes_ancestry(self, code: str, _: tuple[str, ...]) -> None:
        if UseKind.POA in self.kinds or "DUO:0000033" in self.purpose.investigations:
            self.deny(reasons.PROHIBITED, code)

    def not_for_profit(self, code: str, _: tuple[str, ...]) -> None:
        profit = self.purpose.organisation.profit
        self._limit(code, None if profit is None else profit is Profit.NON_PROFIT)

    def non_commercial(self, code: str, _: tuple[str, ...]) -> None:
        self._limit(code, None if self.purpose.commercial is None else not self.purpose.commercial)

    def not_for_profit_nor_commercial(self, _: str, params: tuple[str, ...]) -> None:
        # Reported as its two parts, so that NPUNCU and NPU with NCU give the same decision.
        self.not_for_profit("NPU", params)
        self.non_commercial("NCU", params)

    def genetic_only(self, code: str, _: tuple[str, ...]) -> None:
        self._limit(code, self.purpose.genetic)

    def countries(self, code: str, params: tuple[str, ...]) -> None:
        place = self.purpose.organisation.country
        self._limit(code, place in params if place else None)

    def institutions(self, code: str, params: tuple[str, ...]) -> None:
        ident = self.purpose.organisation.id
        self._limit(code, ident in params if ident else None)

    def projects(self, code: str, params: tuple[str, ...]) -> None:
        self._limit(code, self.purpose.project in params if self.purpose.project else None)

    def users(self, code: str, params: tuple[str, ...]) -> None:
        people = self.purpose.people
        self._limit(code, set(people) <= set(params) if people else None)

    def studies(self, code: str, params: tuple[str, ...]) -> None:
        """Compare investigation terms; free text needs a ruling."""
        texts = [item for item in params if item not in duo.INVESTIGATIONS]
        if texts:
            if code not in self.purpose.rulings:
                self.review(reasons.MODIFIER_NEEDS_RULING, code)
            return
        stated = set(self.purpose.investigations)
        if not stated:
            self._limit(code, None)
            return
        implied = {UseKind.METHODS: "DUO:0000031", UseKind.POA: "DUO:0000033"}
        stated |= {term for kind, term in implied.items() if kind in self.kinds}
        allowed = set(params) | (duo.NARROWER_THAN_BIOMEDICAL if duo.BIOMEDICAL in params else frozenset())
        self._limit(code, stated <= allowed)

    def time_limit(self, code: str, params: tuple[str, ...]) -> None:
        """Deny a time limit that is over. The standing has already resolved months and days to running or over."""
        if TS_OVER in params:
            self.deny(reasons.TIME_LIMIT_REACHED, code)
        elif params != (TS_RUNNING,):
            self.review(reasons.PARAMETER_MISSING, code)

    def ethics_approval(self, code: str, _: tuple[str, ...]) -> None:
        expires = self.purpose.irb_expires
        if not self.purpose.irb_ref or expires is None or expires <= self.at:
            self.deny(reasons.EVIDENCE_MISSING, code)
        self.ethics = self.purpose.irb_ref

    def collaboration(self, code: str, params: tuple[str, ...]) -> None:
        if not self.purpose.collaboration_ref:
            self.deny(reasons.EVIDENCE_MISSING, code)
        self.collaborate = params or ("the primary investigators",)

    def publication(self, _: str, __: tuple[str, ...]) -> None:
        self.publish = True
        self.commitment(Commitment.PUBLISH)

    def moratorium(self, code: str, params: tuple[str, ...]) -> None:
        try:
            self.embargo = max(parse_day(item) for item in params)
        except PolicyInputError:
            self.review(reasons.PARAMETER_MISSING, code)
        self.commitment(Commitment.MORATORIUM_ACK)

    def return_to_resource(self, _: str, __: tuple[str, ...]) -> None:
        self.return_derived = True
        self.commitment(Commitment.RETURN_RESULTS)

    def widens(self, _: str, __: tuple[str, ...]) -> None:
        """Do nothing: CC acts only in the clinical-care column of the permission table."""

    def commitment(self, wanted: Commitment) -> None:
        if wanted not in self.purpose.commitments:
            self.deny(reasons.COMMITMENT_MISSING, str(wanted))

    def _limit(self, code: str, kept: bool | None) -> None:  # noqa: FBT001 - the three-valued result of a test
        if kept is None:
            self.review(reasons.PURPOSE_INCOMPLETE, code)
        elif not kept:
            self.deny(reasons.CONSTRAINT_VIOLATED, code)

    # Step 3: topics on which a steward must rule, docs/design/consent.md §9.4.

    def topics(self) -> None:
        for topic in self.purpose.all_topics():
            if topic in self.rules.review_topics and topic not in self.purpose.rulings:
                self.review(reasons.TOPIC_NEEDS_RULING, str(topic))


_MODIFIERS: dict[str, Callable[[_Case, str, tuple[str, ...]], None]] = {
    "RS": _Case.studies,
    "NMDS": _Case.excludes_methods,
    "GSO": _Case.genetic_only,
    "NPUNCU": _Case.not_for_profit_nor_commercial,
    "NPU": _Case.not_for_profit,
    "NCU": _Case.non_commercial,
    "PUB": _Case.publication,
    "COL": _Case.collaboration,
    "IRB": _Case.ethics_approval,
    "GS": _Case.countries,
    "MOR": _Case.moratorium,
    "TS": _Case.time_limit,
    "US": _Case.users,
    "PS": _Case.projects,
    "IS": _Case.institutions,
    "RTN": _Case.return_to_resource,
    "CC": _Case.widens,
    "NPOA": _Case.excludes_ancestry,
}
