"""A year of accesses as entries of a log: for statistics, reports and exports."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from tests.support.audit_log import ANN, SIGNER, Fixture, token
from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.entry import Actor, Event, ObjectRef

ENGINE = Actor(ActorKind.ENGINE, "matcher")
FOR_EVE = Actor(ActorKind.STEWARD, "ann", asserted_for="eve")


class SetClock:
    """A clock that is put where a test wants it."""

    def __init__(self, now: datetime = datetime(2026, 1, 5, 9, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


def grow(books: Fixture, *, days: int = 40, seed: int = 3) -> SetClock:
    """Accesses of three projects by two actors, refusals, one day with far too many, one access left open."""
    clock, rng = SetClock(), random.Random(seed)
    books.log._clock = clock
    start = clock.now
    for day in range(days):
        for n in range(60 if day == 17 else rng.randint(1, 4)):
            clock.now = start + timedelta(days=day, hours=-6 if day == 17 else rng.randint(0, 9), minutes=n % 60)
            _access(books, rng)
        if day % 5 == 0:
            reasons = {rng.choice(["no_consent", "project_expired", "group_too_small"]): 1}
            refused = Event(act=Action.VIEW_INTENT, actor=ENGINE, outcome=Outcome.REFUSED, project="demo", reasons=reasons)
            books.log.record(refused)
    books.log.record(access(ENGINE, "demo", "HMB", "rel-open", [1, 2]))
    books.log.checkpoint(SIGNER)
    return clock


def access(actor: Actor, project: str, purpose: str, release: str, people: list[int], **fields: object) -> Event:
    return Event(
        act=Action.VIEW_INTENT,
        actor=actor,
        outcome=Outcome.INTENT,
        project=project,
        purpose=purpose,
        obj=ObjectRef("release", release),
        subjects=[token(i) for i in people],
        counts={"asked": 9, "permitted": len(people)},
        **fields,
    )


def _access(books: Fixture, rng: random.Random) -> None:
    project, purpose = rng.choice([("demo", "HMB"), ("demo", "HMB"), ("onco", "DS,HMB"), ("<b>x", "GRU")][:3])
    actor = rng.choice([ENGINE, FOR_EVE, ANN])
    people = sorted({1, *rng.sample(range(2, 30), 5)})
    release = f"rel-{rng.getrandbits(32):08x}"
    intent = books.log.record(access(actor, project, purpose, release, people))
    outcome = rng.choice([Outcome.DONE] * 8 + [Outcome.FAILED])
    books.log.record(Event(act=Action.VIEW_OUTCOME, actor=actor, outcome=outcome, project=project, refers=intent.event_id))
