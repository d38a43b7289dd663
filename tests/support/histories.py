"""Random consent histories and purposes, from one seeded generator so that a failure is one number."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

from policies.consent import (
    Answer,
    ConsentEvent,
    CorrectionKind,
    Level,
    OnMajority,
    PolicyAnswer,
    Precision,
    QcState,
    SignerRole,
    Withdrawal,
)
from policies.purposes import Commitment, Organisation, Profit, Purpose, Topic, UseKind
from policies.terms import Terms, parse_expression
from tests.support.consenting import CANCER, DIABETES, DISEASE, LUNG, T0

STRANGE = "MONDO:9999999"
PERMISSIONS = ["NRES", "GRU", "GRU", "HMB", "HMB", f"DS({CANCER})", f"DS({LUNG},{DIABETES})", f"DS({STRANGE})", "POA"]
MODIFIERS = ["NMDS", "NPOA", "NPU", "NCU", "NPUNCU", "GS(DE)", "PUB", "RTN", "IRB", "TS(6)", "TS(24)", "CC"]
AT = T0 + timedelta(days=27)


def terms(random: Random) -> Terms:
    """One to three alternatives."""
    parts = []
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        chosen = random.sample(MODIFIERS, random.choice([0, 0, 0, 1, 1, 2]))
        if {"TS(6)", "TS(24)"} <= set(chosen):
            chosen.remove("TS(6)")
        parts.append("+".join([random.choice(PERMISSIONS), *chosen]))
    return parse_expression("|".join(parts))


def answers(random: Random) -> tuple[PolicyAnswer, ...]:
    """Answers to one or both policies, mostly acceptances."""
    found = []
    for policy in random.choice([["research_use"], ["research_use"], ["research_use", "recontact"], ["recontact"]]):
        said = random.choice([Answer.ACCEPTED] * 6 + list(Answer))
        found.append(
            PolicyAnswer(
                policy,
                said,
                module=random.choice(["broad/use", "other/use"]),
                explicit=random.random() < 0.7,
                terms=terms(random) if said is Answer.ACCEPTED and policy == "research_use" else None,
                valid_to=T0 + timedelta(days=random.choice([5, 26, 27, 28, 900])) if random.random() < 0.1 else None,
            )
        )
    return tuple(found)


def event(random: Random, seq: int) -> ConsentEvent:
    """One event; legal times lie on whole days so that ties are common, and now and then in the future."""
    legal = T0 + timedelta(days=random.choice([*range(12), 40]))
    withdrawal = None
    if random.random() < 0.3:
        reach = random.choice(["everything", "policy:research_use", "policy:recontact", "module:broad/use"])
        withdrawal = Withdrawal(reach, random.choice([Level.NO_CONTACT, Level.NO_NEW_USE, Level.ERASE]))
    guardian = random.random() < 0.2
    return ConsentEvent(
        event_id=f"e{seq}",
        seq=seq,
        legal_time=legal,
        recorded_at=T0 + timedelta(days=random.randrange(30)),
        answers=() if withdrawal and random.random() < 0.8 else answers(random),
        withdrawal=withdrawal,
        signer=SignerRole.GUARDIAN if guardian else SignerRole.SELF,
        signer_ref=random.choice(["", "mother", "father"]) if guardian else "",
        lapses_at=T0 + timedelta(days=random.choice([20, 27, 28, 900])) if guardian and random.random() < 0.8 else None,
        on_majority=random.choice([OnMajority.LAPSE, OnMajority.LAPSE, OnMajority.CONTINUE_UNTIL_OBJECTION]),
        valid_to=T0 + timedelta(days=random.choice([26, 27, 28, 900])) if random.random() < 0.1 else None,
        valid_from=None,
        qc=random.choice([QcState.VALID] * 8 + [QcState.PENDING, QcState.INVALID]),
        supersedes=f"e{random.choice([*range(1, seq), seq + 1])}" if random.random() < 0.3 else "",
        evidence_hash=random.choice(["", "ab"]),
    )


def history(random: Random) -> list[ConsentEvent]:
    """Up to seven events with distinct ledger positions, the first few perhaps from before rule set 2."""
    events = [event(random, seq) for seq in range(1, random.randrange(1, 8))]
    upgrade = random.choice([0, 0, 2, len(events)])
    return events[:upgrade] + [corrected(random, recorded_now(random, one)) for one in events[upgrade:]]


def corrected(random: Random, one: ConsentEvent) -> ConsentEvent:
    """The event, as a correction half the time where it supersedes another."""
    if not one.supersedes or random.random() < 0.5:
        return one
    if random.random() < 0.4:
        return replace(one, correction=CorrectionKind.VOID, answers=(), withdrawal=None)
    return replace(one, correction=CorrectionKind.RESTATED)


def recorded_now(random: Random, one: ConsentEvent) -> ConsentEvent:
    """The event under rule set 2: its time a date, or an instant some hours into it; the clock behind now and then."""
    one = replace(one, clock_behind=random.random() < 0.1)
    if random.random() < 0.5:
        return replace(
            one, rules=2, precision=Precision.DAY, legal_time=one.legal_time + timedelta(hours=random.choice([0, 0, 1]))
        )
    return replace(one, rules=2, legal_time=one.legal_time + timedelta(hours=random.choice([0, 0, 9, 23])))


def a_purpose(random: Random) -> Purpose:
    """A purpose with any mix of kinds, mostly with the commitment that every release needs."""
    kinds = set(random.sample(list(UseKind), random.choice([1, 1, 1, 2])))
    sick = {UseKind.DISEASE, UseKind.CLINICAL_CARE} & kinds
    diseases = random.sample([CANCER, LUNG, DIABETES, DISEASE, STRANGE], random.choice([1, 1, 2])) if sick else []
    if sick == {UseKind.CLINICAL_CARE} and random.random() < 0.3:
        diseases = []
    commitments = {Commitment.NO_REID} if random.random() < 0.95 else set()
    commitments |= set(random.sample(list(Commitment), random.randrange(3)))
    return Purpose(
        use_kinds=tuple(kind for kind in UseKind if kind in kinds),
        diseases=tuple(diseases),
        commercial=random.choice([None, True, False, False]),
        commitments=tuple(item for item in Commitment if item in commitments),
        irb_ref=random.choice(["", "1/25"]),
        irb_expires=random.choice([None, AT, AT + timedelta(days=9)]),
        topics=(Topic.CONTROLS,) if random.random() < 0.1 else (),
        rulings=tuple(random.sample(["ancestry", "controls", "GS", "PUB", "IRB"], random.randrange(6))),
        organisation=Organisation(
            country=random.choice(["", "DE", "FR"]),
            profit=random.choice([None, Profit.NON_PROFIT, Profit.NON_PROFIT, Profit.FOR_PROFIT]),
        ),
    )
