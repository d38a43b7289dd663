"""Pages of the log: entries by filters, one entry whole, and its receipt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from policies import stated_times
from policies.errors import PolicyInputError
from vault.access.publication import receipt_for
from vault.audit.actions import Action, Outcome
from vault.audit.reports import record_pages
from vault.audit.reports.records import Filter, Record, record_of
from vault.crypto.keystore import Branch
from vault.errors import InputError
from vault.server.console import cells
from vault.server.console.frame import Answer, Badge, ConsolePage, Download
from vault.server.console.visits import Visit
from vault.session.time_zone import instant_in
from vault.session.unlocked_vault import UnlockedVault

ROWS = 50
_FILTERS = ("who", "act", "outcome", "project", "request", "reason", "since", "until")
_OUTCOMES = {"done": "good", "intent": "plain", "refused": "bad", "failed": "bad", "aborted": "off"}


def entries(visit: Visit) -> Answer:
    """The log, the newest entry first, by filters and from a number on."""
    asked = {name: visit.query.get(name, "")[:200] for name in _FILTERS}
    start, upwards = cells.number(visit.query.get("from", "")), cells.number(visit.query.get("after", ""))
    with visit.looking(Action.AUDIT_READ):
        wanted = _filter(visit.vault, asked)
        if upwards is not None:
            found = record_pages.newer(visit.vault.trail.log, wanted, start=upwards, most=ROWS)
        else:
            found = record_pages.older(visit.vault.trail.log, wanted, start=start, most=ROWS)
    kept = {name: value for name, value in asked.items() if value}
    shown = {
        "asked": asked,
        "is_filtered": bool(kept),
        "outcomes": [one.value for one in Outcome],
        "acts": [act.value for act in Action],
        "rows": [_row(record) for record in found.records],
        "exhausted": found.exhausted,
        "older": None if found.older is None else _address(kept, "from", found.older),
        "newer": None if found.newer is None else _address(kept, "after", found.newer),
        "newest": _address(kept),
    }
    return ConsolePage("log.html", "Log", shown)


def entry(visit: Visit) -> Answer:
    """One entry: its fields, the leaf as it stands in the tree, and the sealed detail, where the role reads it."""
    number = visit.number("number")
    with visit.looking(Action.AUDIT_READ):
        found = visit.vault.trail.log.entry(number)
        readable = visit.vault.keyring.has(Branch.AUDIT_READ)
        detail = visit.vault.trail.detail(number) if readable else None
        record = record_of(found)
        closing = visit.vault.trail.log.closings([record.event]).get(record.event, [])
        begun = visit.vault.trail.log.find(record.refers) if record.refers else None
    shown = {
        "number": number,
        "fields": [(name, value) for name, value in _fields(record) if value],
        "outcome": _outcome(record),
        "detail": [
            (name.replace("_", " "), _written(value)) for name, value in (detail or {}).items() if value not in (None, "", [], {})
        ],
        "readable": readable,
        "leaf": None if found.leaf is None else json.dumps(json.loads(found.leaf), indent=2, ensure_ascii=False),
        "leaf_hash": found.leaf_hash.hex(),
        "before": number - 1 if number else None,
        "closed_by": [one.index for one in closing],
        "closes": None if begun is None else begun.index,
    }
    return ConsolePage("entry.html", f"Entry {number:,}", shown)


def proof(visit: Visit) -> Answer:
    """The receipt of an entry, to be copied, and how to check it elsewhere."""
    number, text = _receipt(visit)
    return ConsolePage("proof.html", f"Proof of entry {number:,}", {"number": number, "text": text})


def proof_file(visit: Visit) -> Answer:
    """The receipt of an entry as a file."""
    number, text = _receipt(visit)
    return Download(f"entry-{number}.tlog-proof", text)


def _receipt(visit: Visit) -> tuple[int, str]:
    number = visit.number("number")
    with visit.looking(Action.AUDIT_PROVE):
        visit.sign()
        return number, receipt_for(visit.vault, number)


def _filter(vault: UnlockedVault, asked: Mapping[str, str]) -> Filter:
    """Conditions that a form names. Raises InputError: ``act_unknown``, ``outcome_unknown``, ``bad_time``."""
    act, outcome = asked["act"] or None, asked["outcome"] or None
    if act is not None and not any(one == act or one.startswith(f"{act}.") for one in Action):
        raise InputError("act_unknown", "no entry has this act", hint="an act, extract.intent, or a kind of acts, extract")
    if outcome is not None and outcome not in list(Outcome):
        raise InputError("outcome_unknown", "no entry has this outcome")
    return Filter(
        who=asked["who"] or None, act=act, outcome=outcome, project=asked["project"] or None, request=asked["request"] or None,
        reason=asked["reason"] or None, since=instant(vault, asked["since"]), until=instant(vault, asked["until"], after=True),
    )  # fmt: skip


def instant(vault: UnlockedVault, text: str, *, after: bool = False) -> datetime | None:
    """First instant of a day of the vault's time zone, or, with ``after``, of the day behind it; an instant as it is.

    Raises:
        InputError: ``bad_time``.
    """
    if not text:
        return None
    try:
        stated = stated_times.parse(text)
        if after and not isinstance(stated, datetime):
            stated += timedelta(days=1)
    except (PolicyInputError, OverflowError):
        raise InputError("bad_time", "this is not a day, nor a date and time with a zone", hint="2026-01-31") from None
    return instant_in(vault, stated)


def _row(record: Record) -> tuple[object, ...]:
    return (
        cells.entry(record.index), cells.second(record.time), cells.by(record.actor, record.asserted_for), record.act, _outcome(record),
        record.project, f"{record.subjects:,}" if record.subjects else "", ", ".join(record.reasons),
    )  # fmt: skip


def _outcome(record: Record) -> Badge:
    said = record.outcome or "payload dropped"
    return Badge(said, _OUTCOMES.get(said, "off"))


def _fields(record: Record) -> list[tuple[str, str]]:
    return [
        ("time", record.time),
        ("who", record.actor or ""),
        ("role", record.role or ""),
        ("for", record.asserted_for or ""),
        ("act", record.act or ""),
        ("project", record.project or ""),
        ("request", record.request or ""),
        ("purpose", record.purpose or ""),
        ("object", record.object or ""),
        ("people", f"{record.subjects:,}" if record.subjects else ""),
        ("set of people", record.subject_set or ""),
        ("reasons", _written(record.reasons)),
        ("counts", _written(record.counts)),
        ("flags", ", ".join(record.flags)),
        ("event", record.event),
        ("refers to", record.refers or ""),
    ]


def _written(value: object) -> str:
    """Lists and tallies as text, without brackets."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_written(item)}" for name, item in value.items())
    return ", ".join(map(_written, value)) if isinstance(value, list | tuple) else str(value)


def _address(kept: Mapping[str, str], name: str = "", number: int | None = None) -> str:
    pairs = {**kept, **({} if number is None else {name: str(number)})}
    return f"/log?{urlencode(pairs)}" if pairs else "/log"
