"""Entries: hash, parse and check the form of each (``docs/formats/audit.md`` §2).

Two ways lead to the same result. One regular expression accepts an entry as the writer nearly always writes it, which is
faster than parsing; any other entry is parsed exactly. ``tests/vault/audit/verify/test_leaves.py`` holds the two against each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from vault.audit.verify.folder import read_bundle
from vault.audit.verify.hashing import LEAF_HASHER, TILE_WIDTH, tile_root
from vault.audit.verify.model import Chunk, Examined, IntentKind

_REQUIRED = frozenset({"v", "id", "t", "boot", "actor", "act", "outcome", "n"})
_OPTIONAL = frozenset(
    {"obj", "project", "req", "purpose", "reasons", "counts", "flags", "subj", "consent", "blobs", "refers", "prev", "detail"}
)
_RELEASING = frozenset({b"view", b"extract"})  # first word of the acts by which genotypes leave the vault
_OUTCOMES = frozenset({"intent", "done", "refused", "failed", "aborted"})
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_NONCE = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _refuse(_text: str) -> Any:
    """Refuse a float or a constant such as NaN. Raises ValueError."""
    raise ValueError("no floats in entries")


def _quick_form() -> re.Pattern[bytes]:
    """Compile the pattern of a usual leaf: bytes that match it and are plain (``_PLAIN``) are canonical JSON and have the form.

    Other leaves (text beyond plain ASCII, a rare field, an error) do not match and go to ``_parse_leaf``.
    """
    text, number, digest = '"[^"]*+"', r"(?:0|[1-9][0-9]{0,14})", '"[0-9a-f]{64}"'
    event, tally = f'"({_ID.pattern})"', rf"(\{{{text}:{number}(?:,{text}:{number})*+\}})"
    fields = (
        rf'\{{"act":"([^"]*+)","actor":\{{(?:"for":{text},)?"id":{text},"kind":{text}\}}',
        rf'(?:,"blobs":\{{"list":{text},"n":{number}\}})?',
        rf',"boot":\{{"id":{text},"seq":{number}\}}',
        rf'(?:,"consent":\{{(?:"added":({number}),)?"head":"([0-9a-f]{{64}})","seq":({number})\}})?',
        rf'(?:,"counts":{tally})?(,"detail":{digest})?(?:,"flags":\[{text}(?:,{text})*+\])?',
        rf',"id":{event},"n":"{_NONCE.pattern}"(?:,"obj":\{{"kind":{text},"ref":{text}\}})?',
        rf',"outcome":"(intent|done|refused|failed|aborted)"(?:,"project":{text})?(?:,"purpose":{text})?',
        rf'(?:,"reasons":{tally})?(?:,"refers":{event})?(?:,"req":{text})?(,"subj":\{{"n":{number},"set":{text}\}})?',
        rf',"t":"({_TIME.pattern})","v":1\}}',
    )
    return re.compile("".join(fields).encode())


_QUICK = _quick_form()
_PLAIN = bytes(c if 0x20 <= c < 0x7F and c != 0x5C else 0x20 for c in range(256))
"""Translation table that changes the backslash and each byte outside printable ASCII; a leaf that it leaves alone has no escapes."""
_TALLIED = re.compile(rb'"([^"]*+)":')
_DECODER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


_Fields = tuple[bytes, IntentKind | None, bytes | None, tuple[int, bytes, int] | None, bool, bool, bytes]
"""Facts of an entry that the checks need: event id, of what kind an intent it is, id of the intent that it closes, consent (seq, head,
added), has a detail, has ``prev`` (continues another log), time."""


def examine_all(chunks: Sequence[Chunk]) -> list[Examined]:
    """Examine chunks, in order: a task of a worker process."""
    return [_examine(chunk) for chunk in chunks]


def _examine(chunk: Chunk) -> Examined:
    """Hash and parse the entries of a chunk."""
    leaves, rest = read_bundle(Path(chunk.bundle)) if chunk.bundle else (chunk.leaves, False)
    hashes: list[bytes] = []
    found = Examined(chunk.first, b"", b"", [], rest=rest)
    ids, stored, detailed = found.ids, chunk.hashes, chunk.detailed
    for i, leaf in enumerate(leaves):
        if not leaf or type(leaf) is not bytes:  # SQLite stores values of any type in a column
            _note_bare(found, i, None if stored is None else stored[i], hashes, dropped=leaf is None or leaf == b"")
            continue
        hashing = LEAF_HASHER.copy()
        hashing.update(leaf)
        hashed = hashing.digest()
        hashes.append(hashed)
        if stored is not None and stored[i] != hashed:
            found.altered.append(i)
        fields = _fields_of(leaf)
        if fields is None:
            found.malformed.append(i)
            ids.append(b"")
            found.times.append(b"")
            continue
        if detailed is not None and detailed[i] != fields[4]:
            (found.detail_missing if fields[4] else found.detail_foreign).append(i)
        _note_fields(found, i, fields)
    found.hashes = b"".join(hashes)
    if len(hashes) == TILE_WIDTH and not found.unhashed:
        found.root = tile_root(hashes)
    return found


def _note_fields(found: Examined, i: int, fields: _Fields) -> None:
    """Add the facts of the entry at offset ``i``."""
    event_id, intent, refers, consent, _, continues, time = fields
    found.ids.append(event_id)
    found.times.append(time)
    if intent is not None:
        found.intents.append((i, intent))
    if refers is not None:
        found.refers.append((i, refers))
    if consent is not None:
        found.consents.append((i, *consent))
    if continues and i == 0 and found.first == 0:
        found.continues = True


def _note_bare(found: Examined, i: int, stored: object, hashes: list[bytes], *, dropped: bool) -> None:
    """Note an entry without payload bytes: its stored hash, if there is one, takes its place in the tree."""
    (found.redacted if dropped else found.malformed).append(i)
    found.ids.append(b"")
    found.times.append(b"")
    if isinstance(stored, bytes) and len(stored) == 32:
        hashes.append(stored)
    else:
        hashes.append(bytes(32))
        found.unhashed.append(i)


def _fields_of(leaf: bytes) -> _Fields | None:
    """The facts of a leaf; None unless its form is exact."""
    match = _QUICK.fullmatch(leaf)
    if match is None or leaf.translate(_PLAIN) != leaf:
        return _exact_fields(leaf)
    act, added, head, seq, counts, detail, event_id, outcome, reasons, refers, subj, time = match.groups()
    if (counts and not _keys_ascend(counts)) or (reasons and not _keys_ascend(reasons)):
        return _exact_fields(leaf)
    consent = None if head is None else (int(seq), head, int(added or 0))
    if outcome == b"intent":
        return event_id, _kind_of(act, people=subj is not None), refers, consent, detail is not None, False, time
    return event_id, None, refers, consent, detail is not None, False, time


def _kind_of(act: bytes, *, people: bool) -> IntentKind:
    """Open question of an intent that nothing closes (``docs/formats/audit.md`` §2)."""
    if act.partition(b".")[0] in _RELEASING:
        return IntentKind.RELEASES
    return IntentKind.OPENS if people else IntentKind.ACTS


@lru_cache(maxsize=4_096)  # few distinct tallies occur in a log
def _keys_ascend(tally: bytes) -> bool:
    """True if the keys of a JSON object of counts are distinct and sorted, as RFC 8785 requires."""
    keys = _TALLIED.findall(tally)
    return all(keys[i] < keys[i + 1] for i in range(len(keys) - 1))


def _exact_fields(leaf: bytes) -> _Fields | None:
    """The facts of a leaf by full parsing; None unless its form is exact."""
    fields = _parse_leaf(leaf)
    if fields is None:
        return None
    consent, refers = fields.get("consent"), fields.get("refers")
    return (
        fields["id"].encode(),
        _kind_of(fields["act"].encode(), people="subj" in fields) if fields["outcome"] == "intent" else None,
        None if refers is None else refers.encode(),
        None if consent is None else (consent["seq"], consent["head"].encode(), consent.get("added", 0)),
        "detail" in fields,
        "prev" in fields,
        fields["t"].encode(),
    )


def _parse_leaf(leaf: bytes) -> dict[str, Any] | None:
    """The fields of a leaf of version 1; None unless it is canonical JSON (RFC 8785) of the exact form."""
    try:
        text = leaf.decode()
        fields = _DECODER.decode(text)
        return fields if _ENCODER.encode(fields) == text and _has_form(fields) else None
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None


def _has_form(fields: dict[str, Any]) -> bool:
    """True if the required fields are there, no unknown one is, and each has its type and pattern."""
    consent = fields.get("consent", {"seq": 0, "head": "0" * 64})
    return bool(
        _REQUIRED <= fields.keys() <= _REQUIRED | _OPTIONAL
        and fields["v"] == 1
        and _ID.fullmatch(fields["id"])
        and _TIME.fullmatch(fields["t"])
        and _NONCE.fullmatch(fields["n"])
        and fields["outcome"] in _OUTCOMES
        and isinstance(fields["act"], str)
        and isinstance(fields["actor"]["kind"], str)
        and isinstance(fields["actor"]["id"], str)
        and isinstance(consent["seq"], int)
        and isinstance(consent.get("added", 0), int)
        and _DIGEST.fullmatch(consent["head"])
        and _DIGEST.fullmatch(fields.get("detail", "0" * 64))
        and _ID.fullmatch(fields.get("refers", fields["id"]))
        and isinstance(fields.get("prev", ""), str)
    )
