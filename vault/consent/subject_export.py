"""Export for a subject (GDPR Articles 15 and 20): events, decisions, releases and log entries, as JSON and as an HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from policies import canonical, consent, reasons, states
from policies.consent import ConsentEvent
from policies.corrections import corrected_by
from policies.standing import Standing, standing
from policies.states import ConsentState
from vault.access import accounting, projects
from vault.access.accounting import Disclosure
from vault.audit.actions import Action, Outcome
from vault.consent import forms, ledger
from vault.consent.subject_decision import decide_subject
from vault.consent.subject_page import page
from vault.errors import InputError
from vault.files.private_files import make_folder, write_new
from vault.ids import SubjectId
from vault.session.time_zone import zone_of
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.identities import open_identities
from vault.subjects.references import ReferenceIndex, resolve

FORMAT = "genovault/dossier/2"
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
        document = _document(vault, reference, subject)
        # Logged before the first byte is written: an export discloses names.
        vault.trail.record(Action.CONSENT_EXPORT, Outcome.DONE, subjects=[subject])
        make_folder(folder)
        text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True)
        write_new(folder / JSON_NAME, text + "\n")
        write_new(folder / PAGE_NAME, page(document, zone=zone_of(vault)))
    return document


def _document(vault: UnlockedVault, reference: str, subject: SubjectId) -> dict[str, Any]:
    now = vault.clock()
    identity = open_identities(vault, [subject])[subject]
    tokens = accounting.tokens_of(vault, reference)
    titles = {project.code: project.declaration.title for project in projects.list_all(vault)}
    accesses = accounting.disclosures(vault, tokens)
    ends = {one.index: one.ended for one in accesses}
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
        "wordings": _wordings(vault, events),
        "standing": _standing(where),
        "preferences": preferences(events, private),
        "decisions": _decisions(vault, subject, state, now),
        "releases": [_release(one, titles) for one in accesses if one.disclosed],
        "log": [
            _entry(entry.index, entry.leaf, ends.get(entry.index))
            for entry in vault.trail.log.entries_at(vault.trail.log.entries_of(*tokens))
        ],
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


def _wordings(vault: UnlockedVault, events: Sequence[ConsentEvent]) -> dict[str, str]:
    """Policy, or ``preference:CATEGORY`` -> the words that the person was asked with, as signed last."""
    found: dict[str, str] = {}
    for event in events:
        if event.form is None:
            continue
        with suppress(InputError):  # a form that is held no longer has no words
            form, _ = forms.find(vault, f"{event.form.form}@{event.form.version}")
            if form.wording_sha256 != event.form.wording_sha256:
                continue
            for question in form.questions:
                words = " ".join(question.wording.split())
                found |= dict.fromkeys(question.policies, words)
                if question.category:
                    found[f"preference:{question.category}"] = words
    return found


def _release(one: Disclosure, titles: Mapping[str, str]) -> dict[str, Any]:
    """An access that disclosed, or of which that has to be assumed, with its kind and recipients."""
    asked = {key: value for key, value in one.what.items() if key in {"dataset", "regions", "panel", "alleles"} and value}
    return {
        "release": one.release,
        "kind": one.kind,
        "project": one.project,
        "title": one.what.get("title") or titles.get(one.project or "", ""),
        "made": one.time,
        "by": one.actor,
        "for": one.asserted_for,
        "ended": one.ended,
        "recipients": list(one.recipients),
        "organisation": one.what.get("organisation") or "",
        "country": one.what.get("country") or "",
        "asked": asked,
    }


def _entry(index: int, leaf: bytes | None, ended: str | None) -> dict[str, Any]:
    """An entry; of an access also how it ended."""
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
    if ended is not None:
        found["ended"] = ended
    if "for" in fields["actor"]:
        found["for"] = fields["actor"]["for"]
    return found | {key: fields[key] for key in ("project", "purpose") if key in fields}
