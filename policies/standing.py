"""Standing of one subject at a legal time: policies granted, and reasons why the others are not (docs/design/consent.md §3, §4, §11).

A standing holds no times and no event ids, so that a cohort has few distinct standings and each is decided once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policies import consent, reasons
from policies.acts import Acceptance, Opposition, outlives, overtaken
from policies.consent import FormRef, Level, OnMajority, ScopeKind, SignerRole, Status
from policies.loci import LocusRule, RuleKind
from policies.states import ConsentState
from policies.terms import Alternative, Modifier
from policies.times import add_months, first_moment

TS_RUNNING = "running"
TS_OVER = "over"


@dataclass(frozen=True)
class TimeWindow:
    """``[start, end)``; None leaves that side open."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """True if ``at`` lies inside."""
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)


@dataclass(frozen=True)
class Grant:
    """Granted policy with the terms in force. ``data_before``: data gathered from then on are excluded."""

    policy: str
    alternatives: tuple[Alternative, ...]
    form: FormRef | None = None
    data_before: datetime | None = None


@dataclass(frozen=True)
class Standing:
    """Standing of one subject at one legal time.

    ``refused`` gives the reason for each policy that any event mentions and that is not granted, ``otherwise`` for all others.
    """

    grants: tuple[Grant, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    otherwise: str = reasons.NO_ACTIVE_CONSENT
    purposes: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    mask: tuple[LocusRule, ...] = ()
    restricted: bool = False
    deceased: bool = False
    capacity_lost: bool = False

    def grant(self, policy: str) -> Grant | None:
        """Grant of a policy, or None."""
        return next((item for item in self.grants if item.policy == policy), None)

    def why_not(self, policy: str) -> str:
        """Reason code for a policy that is not granted."""
        return next((reason for name, reason in self.refused if name == policy), self.otherwise)


@dataclass(frozen=True)
class Sources:
    """Events behind a standing: the evidence of a decision, and the acceptances that limit its duration."""

    granting: tuple[tuple[str, Acceptance], ...]  # policy or scope key, acceptance
    opposing: tuple[str, ...]  # event ids
    deceased: bool = False


NO_WINDOW = TimeWindow()


def standing(state: ConsentState, *, legal_at: datetime, domain: TimeWindow = NO_WINDOW) -> Standing:
    """Standing of the subject at ``legal_at``. ``domain`` is the time window of the whole study."""
    return _View(state, legal_at, domain).standing()


def sources(state: ConsentState, *, legal_at: datetime, domain: TimeWindow = NO_WINDOW) -> Sources:
    """Events behind ``standing`` for the same arguments."""
    view = _View(state, legal_at, domain)
    granting = ((name, view.granted(name)) for name in view.names())
    return Sources(
        granting=tuple((name, found) for name, found in granting if found is not None),
        opposing=tuple(sorted({item.event_id for item in view.oppositions})),
        deceased=view.deceased,
    )


def end_of(acceptance: Acceptance, modifiers: tuple[Modifier, ...], *, domain: TimeWindow = NO_WINDOW) -> datetime | None:
    """Earliest end of an acceptance for the alternative with these modifiers (as signed), or None."""
    ends = [acceptance.valid_to, acceptance.answer.valid_to, domain.end, acceptance.lapse]
    ends += [_limit(acceptance, item) for item in modifiers if item.code == "TS"]
    return min((end for end in ends if end is not None), default=None)


class _View:
    """Consent state at one legal time, with the acceptances, oppositions and marks in force then."""

    def __init__(self, state: ConsentState, legal_at: datetime, domain: TimeWindow) -> None:
        self.state = state
        self.at = legal_at
        self.domain = domain
        # INVARIANT: with a ledger head, opposition counts once recorded; only a question about the past waits for its legal time.
        past = state.head is None
        self.oppositions = [item for item in state.oppositions if not past or item.legal_time <= legal_at]
        self.marks = [
            item for item in state.marks if (item.status not in consent.RELIEVING and not past) or item.legal_time <= legal_at
        ]
        self.deceased = any(item.status is Status.DECEASED for item in self.marks)
        freed = [item.legal_time for item in self.marks if item.status is Status.EMANCIPATED]
        self.freed_at = min(freed, default=None)
        self.in_force = [item for item in state.acceptances if self._fault(item) is None]

    def standing(self) -> Standing:
        grants, refused = [], []
        for name in self.names():
            found = self.granted(name)
            if found is None:
                refused.append((name, self._why(name)))
            elif ":" not in name:
                grants.append(Grant(name, self._alternatives(found), found.form, self._data_before(name, found)))
        keys = dict(refused)
        return Standing(
            grants=tuple(grants),
            refused=tuple(item for item in refused if ":" not in item[0]),
            otherwise=self._otherwise(),
            purposes=tuple(name.partition(":")[2] for name in keys if name.startswith("purpose:")),
            recipients=tuple(name.partition(":")[2] for name in keys if name.startswith("recipient:")),
            mask=self._mask(keys),
            restricted=self._marked(Status.RESTRICTED, Status.RESTRICTION_LIFTED),
            deceased=self.deceased,
            capacity_lost=self._marked(Status.CAPACITY_LOST, Status.CAPACITY_REGAINED),
        )

    def names(self) -> list[str]:
        """Every policy and scope key that any event mentions, sorted."""
        names = set(self.state.asked)
        for item in self.oppositions:
            if item.scope.kind is ScopeKind.POLICY:
                names.add(item.scope.value)
            elif item.scope.kind not in {ScopeKind.EVERYTHING, ScopeKind.MODULE} and item.level >= Level.NO_NEW_USE:
                names.add(item.scope.key)
        return sorted(names)

    def granted(self, name: str) -> Acceptance | None:
        """Acceptance that grants ``name``, or None: the latest, explicit and later than all opposition (docs/design/consent.md §11).

        Where the latest one's module is withdrawn nothing older takes its place: its terms may be wider.
        """
        latest = self._latest(name)
        if latest is None or self._module_withdrawn(latest):
            return None
        against = self._against(name)
        if any(not (outlives(latest, item) and latest.answer.explicit) for item in against):
            return None
        if any(_disagree(latest, item) for item in against):
            return None
        return latest

    def _latest(self, name: str) -> Acceptance | None:
        against = self._against(name)
        found = [
            item for item in self.in_force if item.answer.policy == name and not any(overtaken(item, other) for other in against)
        ]
        return max(found, key=lambda item: (item.legal_time, item.place, item.seq), default=None)

    def _against(self, name: str) -> list[Opposition]:
        return [item for item in self.oppositions if covers(item, name) and _stops(item.level, name)]

    def _module_withdrawn(self, acceptance: Acceptance) -> bool:
        return any(
            item.scope.kind is ScopeKind.MODULE
            and item.scope.value == acceptance.answer.module
            and _stops(item.level, acceptance.answer.policy)
            and not (outlives(acceptance, item) and acceptance.answer.explicit)
            for item in self.oppositions
        )

    def _why(self, name: str) -> str:
        against = self._against(name)
        if against:
            return self._opposed(against, self._latest(name))
        own = [item for item in self.state.acceptances if item.answer.policy == name]
        if any(self._module_withdrawn(item) for item in own):
            return reasons.WITHDRAWN
        faults = {self._fault(item) for item in own}
        for fault in (reasons.PENDING_RECONSENT, reasons.CONSENT_EXPIRED, reasons.CONSENT_NOT_YET_VALID):
            if fault in faults:
                return fault
        if name in self.state.unchecked:
            return reasons.CONSENT_NOT_CHECKED
        return reasons.NO_ACTIVE_CONSENT if own or name not in self.state.asked else reasons.NOT_ASKED

    def _opposed(self, against: list[Opposition], latest: Acceptance | None) -> str:
        stands = [item for item in against if latest is None or not outlives(latest, item)]
        if stands or latest is None:
            return max(stands, key=lambda item: (item.legal_time, item.seq)).cause
        if self._module_withdrawn(latest):
            return reasons.WITHDRAWN
        return reasons.GUARDIANS_DISAGREE if latest.answer.explicit else reasons.NOT_NAMED_AGAIN

    def _otherwise(self) -> str:
        """Reason code for a policy that no event mentions."""
        whole = [item for item in self.oppositions if item.scope.kind is ScopeKind.EVERYTHING and item.level >= Level.NO_NEW_USE]
        return max(whole, key=lambda item: (item.legal_time, item.seq)).cause if whole else reasons.NO_ACTIVE_CONSENT

    def _fault(self, item: Acceptance) -> str | None:
        """Reason code why an acceptance is not in force at this time, or None."""
        if item.signer is SignerRole.NEXT_OF_KIN and not self.deceased:
            return reasons.NO_ACTIVE_CONSENT
        if item.legal_time > self.at or (item.valid_from is not None and item.valid_from > self.at):
            return reasons.CONSENT_NOT_YET_VALID
        if item.signer is SignerRole.GUARDIAN and self._guardian_over(item):
            return reasons.PENDING_RECONSENT
        ends = (item.valid_to, item.answer.valid_to)
        if any(end is not None and end <= self.at for end in ends) or not self.domain.holds(self.at):
            return reasons.CONSENT_EXPIRED
        return None

    def _guardian_over(self, item: Acceptance) -> bool:
        if self.freed_at is not None and self.freed_at <= self.at:
            return True
        if item.on_majority is OnMajority.CONTINUE_UNTIL_OBJECTION:
            return False
        return item.lapses_at is None or item.lapses_at <= self.at

    def _alternatives(self, item: Acceptance) -> tuple[Alternative, ...]:
        """Signed alternatives, time limits resolved to running or over, so that standings carry no dates."""
        signed = item.answer.terms.alternatives if item.answer.terms is not None else ()
        return tuple(self._resolved(item, alternative) for alternative in signed)

    def _resolved(self, item: Acceptance, alternative: Alternative) -> Alternative:
        if not any(mod.code == "TS" and mod.params for mod in alternative.modifiers):
            return alternative
        modifiers = tuple(self._timed(item, mod) if mod.code == "TS" and mod.params else mod for mod in alternative.modifiers)
        return Alternative(
            permission=alternative.permission,
            diseases=alternative.diseases,
            modifiers=modifiers,
            data_classes=alternative.data_classes,
            only=alternative.only,
            exclude=alternative.exclude,
            obligations=alternative.obligations,
        )

    def _timed(self, item: Acceptance, modifier: Modifier) -> Modifier:
        end = _limit(item, modifier)
        return modifier if end is None else Modifier("TS", (TS_RUNNING if self.at < end else TS_OVER,))

    def _data_before(self, name: str, grant: Acceptance) -> datetime | None:
        """Start of the exclusion of new data: the earliest such withdrawal that no later explicit acceptance overrides."""
        stops = [
            min(item.legal_time, item.recorded_at)
            for item in self.oppositions
            if item.level is Level.NO_NEW_DATA
            and (covers(item, name) or item.scope.key == f"module:{grant.answer.module}")
            and not (outlives(grant, item) and grant.answer.explicit)
        ]
        return min(stops, default=None)

    def _mask(self, refused: dict[str, str]) -> tuple[LocusRule, ...]:
        """Excluded places. A key without known places becomes a category of that name: unless a catalogue resolves it, the release
        is refused rather than left unmasked.
        """
        known = dict(self.state.loci)
        keys = [key for key in refused if key.startswith(f"{ScopeKind.LOCI}:")]
        rules = {rule for key in keys for rule in known.get(key) or (LocusRule(RuleKind.CATEGORY, key.partition(":")[2]),)}
        return tuple(sorted(rules))

    def _marked(self, mark: Status, relief: Status) -> bool:
        """True if ``mark`` stands without a later ``relief``; at the same instant the mark wins."""
        relieved = [item for item in self.marks if item.status is relief]
        return any(item.status is mark and not any(outlives(one, item) for one in relieved) for item in self.marks)


def covers(item: Opposition, name: str) -> bool:
    """True if an opposition covers a policy or key: ``everything`` covers all, any other scope only its own name."""
    if item.scope.kind is ScopeKind.EVERYTHING:
        return True
    return item.scope.value == name if item.scope.kind is ScopeKind.POLICY else item.scope.key == name


def _stops(level: Level, name: str) -> bool:
    return level >= Level.NO_NEW_USE or name in consent.CONTACT_POLICIES


def _disagree(acceptance: Acceptance, item: Opposition) -> bool:
    """True for a guardian's acceptance against a guardian's opposition, unless both are known to be the same person's."""
    both = acceptance.signer is SignerRole.GUARDIAN and item.signer is SignerRole.GUARDIAN
    return both and not (acceptance.signer_ref and acceptance.signer_ref == item.signer_ref)


def _limit(acceptance: Acceptance, modifier: Modifier) -> datetime | None:
    """End of a time limit (DUO TS): the earliest of its values, months counted from the signature."""
    ends = [
        add_months(acceptance.legal_time, int(value)) if value.isdigit() else first_moment(value) for value in modifier.params
    ]
    return min((end for end in ends if end is not None), default=None)
