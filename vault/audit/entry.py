"""One entry of the log: an ``Event`` and the public leaf that is made of it (``docs/formats/audit.md`` §2).

Leaf bytes are public, so they hold handles, closed codes, counts and digests only, each checked against its pattern here. Subjects
appear as one salted hash over their sorted audit tokens (``subject_set``), whatever their number and order. Private text goes into
``detail``, which is sealed beside the tree; the leaf holds a salted commitment to it. A random nonce keeps a reader of published
hashes from confirming a guessed leaf (``docs/design/audit-log.md`` §9.1).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import islice
from operator import lt
from typing import Any, NamedTuple

from vault.audit import canonical
from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.canonical import Json
from vault.audit.note import checkpoint_in, encode_base64
from vault.errors import InputError, IntegrityError
from vault.ids import AuditToken
from vault.limits import MAX_AUDIT_LEAF_BYTES
from vault.storage.timestamps import rfc3339

LEAF_VERSION = 1
NONCE_BYTES = 16
DETAIL_SALT_BYTES = 16
MAX_REASONS = 256  # distinct reason codes; the policy has a few dozen

_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")
_OPAQUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/-]{0,127}")
_PURPOSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:.,;|() -]{0,255}")
_EVENT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TOKEN = re.compile(r"hmac-sha256:[A-Za-z0-9._-]{1,32}:[0-9a-f]{64}")


@dataclass(frozen=True)
class Actor:
    """Acting principal, by public handle. ``asserted_for``: the person that a steward claims to act for (``--for``)."""

    role: ActorKind
    handle: str
    asserted_for: str | None = None


@dataclass(frozen=True)
class ObjectRef:
    """Object of the action: a kind ("dataset", "request", "manifest") and an opaque id or digest, never a private name."""

    kind: str
    ref: str


@dataclass(frozen=True)
class ConsentHead:
    """Consent ledger at this entry: last sequence number and head of its hash chain (``docs/formats/audit.md`` §4).

    ``added``: number of ledger events that this entry records, already counted in ``seq``; 0 if it only relies on the ledger.
    """

    seq: int
    head: bytes  # 32 bytes
    added: int = 0


@dataclass(frozen=True, kw_only=True)
class Event:
    """Event to be recorded. The log adds time, id, nonce and index."""

    act: Action
    actor: Actor
    outcome: Outcome
    obj: ObjectRef | None = None
    project: str | None = None  # project code
    request: str | None = None  # request or release id
    purpose: str | None = None  # DUO terms
    reasons: Mapping[str, int] = field(default_factory=dict)  # refusal or limit code -> count
    counts: Mapping[str, int] = field(default_factory=dict)  # "subjects", "sites", "rows", "bytes" … -> count
    flags: Sequence[str] = ()  # e.g. "self_approved"
    subjects: Sequence[AuditToken] = ()
    consent: ConsentHead | None = None
    blobs: Sequence[bytes] = ()  # SHA-256 of the sealed blobs written or manifest released, in a documented order
    refers: str | None = None  # event id of the intent that this entry closes
    previous: str | None = None  # in leaf 0 of a log that continues another: that one's last good checkpoint, the whole note
    detail: Mapping[str, Json] | None = None  # for auditors only


class SubjectSet(NamedTuple):
    """Set of subjects, addressed by its salted digest (``docs/formats/audit.md`` §3)."""

    tokens: tuple[AuditToken, ...]  # sorted, distinct
    digest: bytes  # 32 bytes


class Stamp(NamedTuple):
    """Values that the log adds to an event."""

    event_id: str  # UUIDv7
    time: datetime
    session: bytes  # 16 bytes: id of the writing process and of the key that seals the detail
    seq: int  # events prepared in this session before; a gap in the log is a rolled-back transaction
    nonce: bytes  # 16 bytes
    detail_salt: bytes  # 16 bytes


class Prepared(NamedTuple):
    """Entry ready to be appended: checked and sized, so that appending cannot refuse it."""

    event_id: str
    leaf: bytes
    subjects: SubjectSet | None
    detail: bytes | None  # salt[16] ‖ canonical JSON, to be sealed
    refers: str | None = None


def prepare(event: Event, stamp: Stamp, *, set_salt: bytes) -> Prepared:
    """Make the leaf of an event.

    Raises:
        InputError: ``audit_event_invalid``: a field does not match its pattern; ``audit_event_too_large``: over 65,535 bytes;
            ``not_canonical_json``: from the detail.
        IntegrityError: ``note_malformed``, ``checkpoint_malformed``: ``previous`` is no checkpoint.
    """
    subjects = subject_set(event.subjects, set_salt) if event.subjects else None
    detail = None if event.detail is None else stamp.detail_salt + canonical.encode(event.detail)
    members = (  # in canonical order
        f'"act":"{event.act.value}"',
        f'"actor":{_actor(event.actor)}',
        f'"blobs":{_blob_list(event.blobs)}' if event.blobs else "",
        f'"boot":{{"id":"{stamp.session.hex()}","seq":{stamp.seq}}}',
        f'"consent":{_consent(event.consent)}' if event.consent is not None else "",
        f'"counts":{_tally(event.counts, "counts")}' if event.counts else "",
        f'"detail":"{commitment(detail).hex()}"' if detail else "",
        f'"flags":{_flags(event.flags)}' if event.flags else "",
        f'"id":"{_matching(_EVENT_ID, stamp.event_id, "id")}"',
        f'"n":"{encode_base64(stamp.nonce)}"',
        f'"obj":{_obj(event.obj)}' if event.obj is not None else "",
        f'"outcome":"{event.outcome.value}"',
        f'"prev":{_note(event.previous)}' if event.previous is not None else "",
        f'"project":"{_matching(_HANDLE, event.project, "project")}"' if event.project is not None else "",
        f'"purpose":"{_matching(_PURPOSE, event.purpose, "purpose")}"' if event.purpose is not None else "",
        f'"reasons":{_tally(event.reasons, "reasons")}' if event.reasons else "",
        f'"refers":"{_matching(_EVENT_ID, event.refers, "refers")}"' if event.refers is not None else "",
        f'"req":"{_matching(_OPAQUE, event.request, "request")}"' if event.request is not None else "",
        f'"subj":{{"n":{len(subjects.tokens)},"set":"{subjects.digest.hex()}"}}' if subjects else "",
        f'"t":"{rfc3339(stamp.time)}"',
        f'"v":{LEAF_VERSION}',
    )
    data = f"{{{','.join([member for member in members if member])}}}".encode()
    if len(data) > MAX_AUDIT_LEAF_BYTES:
        raise InputError("audit_event_too_large", f"an audit entry of {len(data)} bytes exceeds {MAX_AUDIT_LEAF_BYTES}")
    return Prepared(stamp.event_id, data, subjects, detail, event.refers)


def decode_leaf(data: bytes) -> dict[str, Any]:
    """Fields of a leaf. Raises IntegrityError (``not_canonical_json``, ``leaf_version_unknown``)."""
    leaf = canonical.decode(data)
    if not isinstance(leaf, dict) or leaf.get("v") != LEAF_VERSION:
        raise IntegrityError("leaf_version_unknown", "an audit entry has an unknown format version")
    return leaf


def subject_set(tokens: Sequence[AuditToken], salt: bytes) -> SubjectSet:
    """Set of distinct tokens, addressed by its digest under the vault's 16-byte set salt.

    Raises:
        InputError: ``audit_event_invalid``: not an audit token.
    """
    listed = tuple(tokens)
    if not all(
        map(lt, listed, islice(listed, 1, None))
    ):  # sorting a cohort that is sorted, by way of a set, takes as long as hashing it
        listed = tuple(sorted(set(listed)))
    return _subject_set(listed, salt)


@lru_cache(maxsize=2)  # an access names the same people several times
def _subject_set(distinct: tuple[AuditToken, ...], salt: bytes) -> SubjectSet:
    for token in distinct:
        _matching(_TOKEN, token, "subjects")
    return SubjectSet(distinct, set_digest(distinct, salt))


def set_digest(tokens: Sequence[AuditToken], salt: bytes) -> bytes:
    """SHA-256("genovault/subject-set/v1" NUL ‖ salt[16] ‖ u64 n ‖ each token and a newline), of distinct tokens in byte order."""
    listed = "\n".join([*tokens, ""]).encode()
    return hashlib.sha256(b"genovault/subject-set/v1\x00" + salt + len(tokens).to_bytes(8, "big") + listed).digest()


def blob_list_digest(blobs: Sequence[bytes]) -> bytes:
    """SHA-256("genovault/blob-list/v1" NUL ‖ u64 n ‖ the 32-byte digests in order): one value for an import of any size.

    Raises InputError (``audit_event_invalid``).
    """
    if any(len(blob) != 32 for blob in blobs):
        raise _invalid("blobs")
    return hashlib.sha256(b"genovault/blob-list/v1\x00" + len(blobs).to_bytes(8, "big") + b"".join(blobs)).digest()


def commitment(salted_detail: bytes) -> bytes:
    """Commitment of a leaf to its sealed detail: SHA-256(0x02 ‖ salt[16] ‖ detail)."""
    return hashlib.sha256(b"\x02" + salted_detail).digest()


def event_id_bytes(event_id: str) -> bytes:
    """Event id as stored: the 16 bytes of its UUID."""
    return bytes.fromhex(event_id.replace("-", ""))


def event_id_text(raw: bytes) -> str:
    """Event id as in a leaf: hyphenated UUID text."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _actor(actor: Actor) -> str:
    """Canonical JSON of an actor. A value that matches one of the patterns needs no escapes, so it is its own JSON text."""
    acting = f'"id":"{_matching(_HANDLE, actor.handle, "actor")}","kind":"{actor.role.value}"'
    if actor.asserted_for is None:
        return f"{{{acting}}}"
    return f'{{"for":"{_matching(_HANDLE, actor.asserted_for, "actor")}",{acting}}}'


def _obj(obj: ObjectRef) -> str:
    return f'{{"kind":"{_matching(_CODE, obj.kind, "obj")}","ref":"{_matching(_OPAQUE, obj.ref, "obj")}"}}'


def _consent(consent: ConsentHead) -> str:
    if len(consent.head) != 32 or not 0 <= consent.added <= consent.seq <= canonical.MAX_INTEGER:
        raise _invalid("consent")
    added = f'"added":{consent.added},' if consent.added else ""
    return f'{{{added}"head":"{consent.head.hex()}","seq":{consent.seq}}}'


def _blob_list(blobs: Sequence[bytes]) -> str:
    return f'{{"list":"{blob_list_digest(blobs).hex()}","n":{len(blobs)}}}'


def _flags(flags: Sequence[str]) -> str:
    distinct = sorted({_matching(_CODE, flag, "flags") for flag in flags})
    return "[" + ",".join([f'"{flag}"' for flag in distinct]) + "]"


def _note(text: str) -> str:
    """Canonical JSON of a signed note; other text could be private. Raises IntegrityError as ``checkpoint_in``."""
    checkpoint_in(text)
    return canonical.encode(text).decode()


def _tally(tally: Mapping[str, int], name: str) -> str:
    numbers = tally.values()
    if len(tally) > MAX_REASONS or {*map(type, numbers)} - {int} or min(numbers) < 0 or max(numbers) > canonical.MAX_INTEGER:
        raise _invalid(name)
    return "{" + ",".join([f'"{_matching(_CODE, code, name)}":{tally[code]}' for code in sorted(tally)]) + "}"


def is_handle(text: str) -> bool:
    """True for a valid handle: 1 to 64 of letters, digits and ``._@-``, beginning with a letter or digit."""
    return _HANDLE.fullmatch(text) is not None


def _matching(pattern: re.Pattern[str], value: str, name: str) -> str:
    """The value, if it matches. Raises InputError (``audit_event_invalid``), without the value: it may be private."""
    if not pattern.fullmatch(value):
        raise _invalid(name)
    return value


def _invalid(name: str) -> InputError:
    return InputError("audit_event_invalid", f"the field {name} of an audit event does not have its form")
