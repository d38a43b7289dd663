"""Page of a subject's own export, in words for the person whom it is about: no ids of policies, no codes, no seconds. Pure.

Everything that the page says stands in the document beside it, in full and for programs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from vault.files.plain_text import html_text

_ANSWERS = {
    "accepted": "You said yes to",
    "declined": "You said no to",
    "not_asked": "You were not asked about",
    "withdrawn": "You took back",
    "invalidated": "Declared invalid",
    "objected": "You objected to",
}
_LEVELS = {
    "no_contact": "You are not contacted any more.",
    "no_new_data": "No new data are gathered about you, and you are not contacted.",
    "no_new_use": "Your data are not used in anything new.",
    "erase": "Your data are to be erased.",
}
_FACTS = {
    "restricted": "Use of your data was restricted.",
    "restriction_lifted": "The restriction of the use of your data was lifted.",
    "deceased": "It was recorded that the person has died.",
    "capacity_lost": "It was recorded that you can no longer decide for yourself.",
    "capacity_regained": "It was recorded that you can decide for yourself again.",
    "emancipated": "It was recorded that you decide for yourself.",
}
_DECISIONS = {"permit": "yes", "deny": "no", "review": "not until it is ruled on"}
_IDENTITY = {
    "samples": "samples of you are called",
    "mrn": "record number",
    "name": "name",
    "birth_date": "born",
    "sex": "sex",
    "country": "country",
    "diagnoses": "diagnoses",
    "pedigree": "family",
}
_ACTS = {
    "subject.import": "you were entered in the register",
    "subject.update": "your entry in the register was changed",
    "subject.list": "a list of people with you on it was shown",
    "subject.show": "your entry in the register was looked at",
    "subject.find": "you were looked up in the register",
    "subject.restrict": "use of your data was restricted",
    "subject.erase": "your data were erased",
    "subject.merge": "two entries about you were made one",
    "subject.merge.propose": "it was proposed that two entries are both about you",
    "subject.compare": "your entry was compared with another",
    "consent.import": "your answers were recorded",
    "consent.record": "what you said was recorded",
    "consent.correct": "a record of what you said was corrected",
    "consent.correct.propose": "it was proposed to correct a record of what you said",
    "consent.correct.take_back": "a proposal to correct a record of what you said was taken back",
    "consent.withdraw": "your withdrawal was recorded",
    "consent.show": "what you said was looked at",
    "consent.explain": "it was looked up what you allow a project",
    "consent.export": "a copy of what is held, such as this one, was made",
    "dataset.import": "your genetic data were taken in",
    "view.intent": "a program of a project asked for your genetic data",
    "view.outcome": "what became of it",
    "view.read": "a program of a project was given your genetic data",
    "panel.settle": "it was worked out which places of many people's genetic data a project's programs see",
    "view.changes": "a program of a project was told that you take part, or do not any more",
    "stream.header": "a project was told the codes of everybody in its data, yours among them",
    "view.match.intent": "a program of a project asked for whom of many people its questions about genes hold",
    "view.match.outcome": "what became of it",
    "extract.intent": "a project asked for your genetic data",
    "extract.outcome": "what became of it",
    "request.risk": "it was worked out what would be told of the people whom a project asks for",
    "audit.disclosures": "it was looked up where your data went",
    "pseudonym.resolve": "a code was traced back to you",
}
_ENDS = {"intent": "begun", "done": "done", "refused": "refused", "failed": "did not succeed", "aborted": "broken off"}
_TO_YOU = (
    ("The person has died and did not agree to use after death", "A death was recorded, and use after death was not agreed to"),
    ("The person's", "Your"), ("the person's", "your"), ("this person's", "your"), ("their withdrawal", "your withdrawal"),
    ("the person must now decide for themselves", "you must now decide for yourself"),
    ("The person was", "You were"), ("The person allows", "You allow"), ("The person has", "You have"), ("The person can", "You can"),
    ("The person", "You"), ("the person", "you"),
)  # fmt: skip


def page(document: Mapping[str, Any], *, zone: tzinfo) -> str:
    """HTML page of an export, without scripts, external styles or links; times are of ``zone``."""
    words = document["wordings"]
    granted = [named(policy, words) for policy in document["standing"]["granted"]]
    refused = [(named(policy, words), to_you(why)) for policy, why in document["standing"]["refused"].items()]
    wishes = [(named(f"preference:{about}", words), _spaced(answer)) for about, answer in document["preferences"].items()]
    days = {event["event_id"]: _day(event["recorded_at"], zone) for event in document["consent"]}
    said = [
        (_day(event["legal_time"], zone), _day(event["recorded_at"], zone), _said(event, words, days), _kept(event, words))
        for event in document["consent"]
    ]
    decided = [
        (one["title"] or one["project"], _DECISIONS.get(one["answer"], one["answer"]), to_you(" ".join(one["reasons"])))
        for one in document["decisions"]
    ]
    log = [
        (_moment(one.get("time", ""), zone), _act(one), _who(one), one.get("project", ""), _ended(one)) for one in document["log"]
    ]
    parts = [
        "<h1>What is held about your consent</h1>",
        f"<p>Made on {_day(document['made'], zone)}; days and times are of {html_text(str(zone))}.</p>",
        f"<p>The file beside this page says the same for programs. In it you are called {html_text(document['handle'])}.</p>",
        "<h2>You</h2>",
        _table(
            ("what is held", ""),
            [(_IDENTITY.get(name, _spaced(name)), _text(value)) for name, value in document["identity"].items()],
        ),
        "<h2>What you allow now</h2>",
        f"<ul>{''.join(f'<li>{html_text(one)}</li>' for one in granted)}</ul>" if granted else "<p>Nothing.</p>",
        _table(("what you do not allow", "why"), refused) if refused else "",
        "<h2>What you want to be told</h2>",
        _table(("about", "your answer"), wishes),
        "<h2>What you said, and what was recorded</h2>",
        _table(("holds from", "recorded", "what", "kept with it"), said, dated=2),
        "<h2>Projects that could ask for your data</h2>",
        _table(("project", "could it get them now?", "why"), decided),
        "<h2>Where your data went</h2>",
        "<p>Under a code in place of your name.</p>" if document["releases"] else "",
        _table(
            ("when", "who received them", "for which project", "what", "how sure"),
            [_release(one, zone) for one in document["releases"]],
            dated=1,
        ),
        "<h2>Who did what with what is held about you</h2>",
        _table(("when", "what", "who", "project", "how it ended"), log, dated=1),
    ]
    return _HEAD + "\n".join(part for part in parts if part) + "\n</body></html>\n"


def named(policy: str, words: Mapping[str, str]) -> str:
    """A policy in the words that the person was asked with; else in words made of its name."""
    if policy in words:
        return f"“{words[policy]}”"
    kind, separator, value = policy.partition(":")
    if not separator:
        return _spaced(policy)
    spelt = {
        "purpose": "use that is {}",
        "recipient": "handing on to {}",
        "loci": "the places in your genes called {}",
        "preference": "{}",
    }
    return spelt.get(kind, "{}").format(_spaced(value))


def to_you(text: str) -> str:
    """A sentence about a person, said to that person."""
    text = re.sub(r" \[[^\]]*\]", "", text)  # the policy or code that a reason is about
    for about, to in _TO_YOU:
        text = text.replace(about, to)
    return text


def _release(one: Mapping[str, Any], zone: tzinfo) -> tuple[str, ...]:
    names = ["the people of the project" if name == one["project"] else name for name in one["recipients"]]
    if one["organisation"] and one["organisation"] not in names:
        names.append(one["organisation"])
    to = ", ".join(names) + (f" ({one['country']})" if one["country"] else "") + (f", for {one['for']}" if one["for"] else "")
    asked = one["asked"]
    places = asked.get("panel") or ", ".join(asked.get("regions", ())) or "all places"
    sure = "handed over" if one["ended"] == "done" else "perhaps: it is not recorded how it ended"
    return _day(one["made"], zone), to, one["title"] or one["project"], f"{asked.get('dataset', '')}: {places}", sure


def _said(event: Mapping[str, Any], words: Mapping[str, str], days: Mapping[str, str]) -> str:
    parts = [f"{_ANSWERS.get(one['answer'], one['answer'])} {named(one['policy'], words)}" for one in event.get("answers", ())]
    if "withdrawal" in event:
        scope = event["withdrawal"]["scope"]
        taken = "everything" if scope == "everything" else named(scope.removeprefix("policy:"), words)
        parts.append(f"You withdrew {taken}. {_LEVELS.get(event['withdrawal']['level'], '')}".strip())
    if "status" in event:
        parts.append(_FACTS.get(str(event["status"]), _spaced(str(event["status"]))))
    if "supersedes" in event:
        does = "takes back" if event.get("correction") == "void" else "corrects"
        parts.append(f"This {does} what was recorded on {days.get(event['supersedes'], 'an earlier day')}.")
    return "; ".join(parts) or "nothing of this is about a use of your data"


def _kept(event: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Private notes of an event, and the form that was signed."""
    kept = [f"{named(name, words)}: {_spaced(str(value))}" for name, value in event["private"].items()]
    if "form" in event:
        kept.append(f"form {event['form']['form']}, version {event['form']['version']}")
    return "; ".join(kept)


def _act(one: Mapping[str, Any]) -> str:
    act = one.get("act", "")
    inside = "your data were worked on inside the vault" if act.startswith(("dataset.", "panel.")) else act.replace(".", ": ")
    return _ACTS.get(act, inside)


def _ended(one: Mapping[str, Any]) -> str:
    """End of an act; of an access what became of the data."""
    if "ended" in one:
        return {"done": "handed over", "assumed": "not recorded: perhaps handed over"}.get(
            one["ended"], "nothing was handed over"
        )
    return _ENDS.get(one.get("outcome", ""), "")


def _who(one: Mapping[str, Any]) -> str:
    return f"{one.get('by', '')} for {one['for']}" if one.get("for") else str(one.get("by", ""))


def _day(text: str, zone: tzinfo) -> str:
    at = _at(text, zone)
    return text if at is None else f"{at.day} {at:%B %Y}"


def _moment(text: str, zone: tzinfo) -> str:
    at = _at(text, zone)
    return text if at is None else f"{at.day} {at:%B %Y, %H:%M}"


def _at(text: str, zone: tzinfo) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(zone)
    except ValueError:
        return None


def _spaced(text: str) -> str:
    return re.sub(r"[_\-]+", " ", text)


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{_spaced(str(key))}: {_text(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, dated: int = 0) -> str:
    """A table whose first ``dated`` columns hold days, which are not broken."""
    if not rows:
        return "<p>Nothing.</p>"
    head = "".join(f"<th>{html_text(column)}</th>" for column in columns)
    kinds = [' class="day"' if at < dated else "" for at in range(len(columns))]
    cells = ("".join(f"<td{kind}>{html_text(str(cell))}</td>" for kind, cell in zip(kinds, row, strict=True)) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><tr>{head}</tr>{body}</table>"


_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>What is held about your consent</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body{font:16px/1.5 sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid #ccc;padding:.3rem .7rem .3rem 0;text-align:left;vertical-align:top;overflow-wrap:break-word}
.day{white-space:nowrap}</style></head><body>
"""
