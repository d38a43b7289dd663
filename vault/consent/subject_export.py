"""Export for a subject (GDPR Articles 15 and 20): events, decisions, releases and log entries, as JSON and as an HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from policies import canonical, consent, reasons, states
from policies.consent import ConsentEvent
from policies.corrections import corrected_by
from policies.standing import Standing, standing
from policies.states import ConsentState
from vault.access import projects, releases
from vault.audit.actions import Action, Outcome
from vault.consent import ledger
from vault.consent.subject_decision import decide_subject
from vault.errors import InputError
from vault.files.plain_text import html_text
from vault.files.private_files import make_folder, write_new
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects import registrations
from vault.subjects.identities import open_identities
from vault.subjects.references import ReferenceIndex, resolve

FORMAT = "genovault/dossier/1"
JSON_NAME, PAGE_NAME = "dossier.json", "dossier.html"


def export(vault: UnlockedVault, reference: str, folder: Path) -> dict[str, Any]:
    """Write a subject's consent data into a new folder, and return the document.

    Raises:
        InputError: ``subject_unknown``, ``subject_ambiguous``; ``output_exists``: the folder is already there.
    """
    with vault.trail.attempting(Action.CONSENT_EXPORT):
        subject = resolve(vault, reference)
        if folder.exists():
            raise InputError("output_exists", f"{folder} is already there", hint="name a folder that does not exist yet")
        document = _document(vault, subject)
        # Logged before the first byte is written: an export discloses names.
        vault.trail.record(Action.CONSENT_EXPORT, Outcome.DONE, subjects=[subject])
        make_folder(folder)
        text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True)
        write_new(folder / JSON_NAME, text + "\n")
        write_new(folder / PAGE_NAME, _page(document))
    return document


def _document(vault: UnlockedVault, subject: SubjectId) -> dict[str, Any]:
    now = vault.clock()
    identity = open_identities(vault, [subject])[subject]
    tokens = vault.subject_keys.tokens(registrations.all_of(vault, subject))
    named = frozenset(tokens)
    with vault.books.read() as tx:
        book = ledger.read(tx, vault)
        private = ledger.private(vault, tx, book, subject)
    events = book.events_of(subject)
    state = states.fold(events, head=book.head.seq)
    where = standing(state, legal_at=now)
    return {
        "format": FORMAT,
        "made": canonical.instant_text(now),
        "handle": ReferenceIndex(vault).handle(subject),
        "identity": {
            name: list(value) if isinstance(value, tuple) else value for name, value in identity._asdict().items() if value
        },
        "consent": [{**consent.as_dict(event), "private": dict(private[event.seq])} for event in events],
        "standing": _standing(where),
        "preferences": preferences(events, private),
        "decisions": _decisions(vault, subject, state, now),
        "releases": [
            _release(one)
            for one in releases.list_all(vault)
            if not named.isdisjoint(vault.trail.log.subjects_of(one.subject_set))
        ],
        "log": [_entry(entry.index, entry.leaf) for entry in vault.trail.log.entries_at(vault.trail.log.entries_of(*tokens))],
    }


def preferences(events: Sequence[ConsentEvent], private: Mapping[int, Mapping[str, str]]) -> dict[str, str]:
    """Latest stated preference by category, corrected ones apart. Preferences never decide a release."""
    found: dict[str, str] = {}
    stand = [event for event in events if corrected_by(events, event.event_id) is None]
    for event in sorted(stand, key=lambda event: (event.legal_time, event.seq)):
        stated = private[event.seq].items()
        found |= {name.removeprefix("preference:"): value for name, value in stated if name.startswith("preference:")}
    return found


def _standing(where: Standing) -> dict[str, object]:
    return {
        "granted": [grant.policy for grant in where.grants],
        "refused": {policy: reasons.WORDS[code] for policy, code in where.refused},
        "excluded_places": [rule.as_dict() for rule in where.mask],
        "restricted": where.restricted,
    }


def _decisions(vault: UnlockedVault, subject: SubjectId, state: ConsentState, now: datetime) -> list[dict[str, Any]]:
    """Decision of each project whose datasets hold data of the subject."""
    found = []
    for project in projects.list_all(vault):
        with vault.books.read() as tx:
            decided = decide_subject(vault, tx, project, subject, state, legal_at=now)
        if decided.data_at is None:
            continue
        answer, why = str(decided.decision.outcome), [reason.words() for reason in decided.decision.reasons]
        title = project.declaration.title
        found.append({"project": project.code, "title": title, "state": project.state, "answer": answer, "reasons": why})
    return found


def _release(one: releases.Release) -> dict[str, Any]:
    asked = {key: value for key, value in one.content.asked.items() if key in {"dataset", "regions", "panel", "kind"} and value}
    return {"release": one.release_id, "project": one.project, "state": one.state, "made": one.created, "asked": asked}


def _entry(index: int, leaf: bytes | None) -> dict[str, Any]:
    if leaf is None:
        return {"entry": index}
    fields = json.loads(leaf)
    found = {
        "entry": index,
        "time": fields["t"],
        "act": fields["act"],
        "outcome": fields["outcome"],
        "by": fields["actor"]["id"],
    }
    return found | {key: fields[key] for key in ("project", "purpose") if key in fields}


def _page(document: Mapping[str, Any]) -> str:
    """HTML page without scripts, external styles or links."""
    identity = [(name, _text(value)) for name, value in document["identity"].items()]
    granted = ", ".join(document["standing"]["granted"]) or "nothing"
    refused = [(policy, words) for policy, words in document["standing"]["refused"].items()]
    events = [(e["legal_time"], e["recorded_at"], _event_text(e), _text(e["private"])) for e in document["consent"]]
    decided = [(d["project"], d["title"], d["answer"], " ".join(d["reasons"])) for d in document["decisions"]]
    left = [(r["made"], r["project"], r["state"], _text(r["asked"])) for r in document["releases"]]
    log = [
        (x.get("time", ""), x.get("act", ""), x.get("outcome", ""), x.get("by", ""), x.get("project", ""))
        for x in document["log"]
    ]
    parts = [
        f"<h1>What is held about your consent</h1><p>Made {html_text(document['made'])} for {html_text(document['handle'])}.</p>",
        "<h2>You</h2>",
        _table(("what", "value"), identity),
        f"<h2>What you allow now</h2><p>Allowed: {html_text(granted)}.</p>",
        _table(("not allowed", "why"), refused),
        "<h2>What you want to be told</h2>",
        _table(("about", "answer"), list(document["preferences"].items())),
        "<h2>What you said, and what was recorded</h2>",
        _table(("valid from", "recorded", "what", "kept with it"), events),
        "<h2>Projects that could ask for your data</h2>",
        _table(("project", "title", "answer now", "why"), decided),
        "<h2>Where your data went</h2>",
        _table(("when", "project", "state", "what was asked for"), left),
        "<h2>Who did what (every entry of the log about you)</h2>",
        _table(("when", "what", "outcome", "who", "project"), log),
    ]
    return _HEAD + "\n".join(parts) + "\n</body></html>\n"


def _event_text(event: Mapping[str, Any]) -> str:
    parts = [f"{answer['policy']}: {answer['answer']}" for answer in event.get("answers", ())]
    if "withdrawal" in event:
        parts.append(f"withdrawal of {event['withdrawal']['scope']} ({event['withdrawal']['level']})")
    if "status" in event:
        parts.append(str(event["status"]))
    form = f" (form {event['form']['form']}@{event['form']['version']})" if "form" in event else ""
    if "supersedes" in event:
        parts.append(f"{'takes back' if event.get('correction') == 'void' else 'corrects'} event {event['supersedes']}")
    return "; ".join(parts) + form


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_text(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "<p>Nothing.</p>"
    head = "".join(f"<th>{html_text(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{html_text(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>What is held about your consent</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid #ccc;padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}</style></head><body>
"""
