"""Conduct of principals besides accesses: people looked up, acts refused to them, unlocks that failed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vault.audit.actions import Action, Outcome
from vault.audit.reports.records import Record

LOOK_UPS = frozenset(
    act.value
    for act in (
        Action.SUBJECT_LIST,
        Action.SUBJECT_SHOW,
        Action.SUBJECT_FIND,
        Action.SUBJECT_COMPARE,
        Action.CONSENT_SHOW,
        Action.CONSENT_EXPLAIN,
        Action.CONSENT_EXPORT,
        Action.PSEUDONYM_RESOLVE,
        Action.AUDIT_DISCLOSURES,
    )
)
"""Acts that show who somebody is, or what is recorded of them."""
NOT_KNOWN = "(not known)"


@dataclass(frozen=True)
class LookUps:
    """Looks of one principal at people by one act. ``people`` counts somebody once for each look."""

    actor: str
    act: str
    times: int
    people: int


@dataclass(frozen=True)
class RefusedActs:
    """Refusals of one act to one principal in one project."""

    actor: str
    asserted_for: str
    act: str
    project: str
    times: int
    reasons: tuple[str, ...]
    last: str  # time of the newest


@dataclass(frozen=True)
class FailedUnlocks:
    """Unlocks that failed, by the principal whose slot was tried: as asserted by the machine, not proven."""

    tried: str
    times: int
    last: str  # time of the newest entry


@dataclass(frozen=True)
class Conduct:
    """Look-ups, refusals and failed unlocks, the most frequent first."""

    look_ups: tuple[LookUps, ...] = ()
    refused: tuple[RefusedActs, ...] = ()
    failed_unlocks: tuple[FailedUnlocks, ...] = ()


def conduct(entries: Iterable[Record]) -> Conduct:
    """Count over entries in order."""
    looks: dict[tuple[str, str], list[int]] = {}
    refused: dict[tuple[str, str, str, str], tuple[int, dict[str, None], str]] = {}
    unlocks: dict[str, tuple[int, str]] = {}
    for record in entries:
        if record.act == Action.VAULT_UNLOCK_FAILED:
            tried = (record.object or "").removeprefix("principal:") or NOT_KNOWN
            unlocks[tried] = (unlocks.get(tried, (0, ""))[0] + 1, record.time)
        elif record.outcome == Outcome.REFUSED.value:
            key = (record.actor or "", record.asserted_for or "", record.act or "", record.project or "")
            times, reasons, _ = refused.get(key, (0, {}, ""))
            refused[key] = (times + 1, {**reasons, **dict.fromkeys(record.reasons)}, record.time)
        elif record.act in LOOK_UPS and record.outcome == Outcome.DONE.value:
            seen = looks.setdefault((record.actor or "", record.act or ""), [0, 0])
            seen[0] += 1
            seen[1] += record.subjects
    return Conduct(
        tuple(
            sorted(
                (LookUps(*key, *seen) for key, seen in looks.items()), key=lambda found: (-found.people, found.actor, found.act)
            )
        ),
        tuple(
            sorted(
                (RefusedActs(*key, times, tuple(reasons), last) for key, (times, reasons, last) in refused.items()),
                key=lambda found: (-found.times, found.actor, found.act, found.project),
            )
        ),
        tuple(
            sorted(
                (FailedUnlocks(tried, *seen) for tried, seen in unlocks.items()), key=lambda found: (-found.times, found.tried)
            )
        ),
    )
