"""One entry of the log: what callers say (``Event``) and the public leaf it becomes (``docs/formats/audit.md`` §2).

Leaf bytes are published, so nothing private goes in: handles, closed codes, counts and digests only, each checked against its
pattern here. Subjects appear as one salted hash over their sorted audit tokens (``subject_set``), whatever their number, so that
neither size nor order of writing gives a second form. What only auditors may read goes into ``detail``, which is sealed beside
the tree; the leaf holds a salted commitment to it. A random nonce keeps anyone who sees only hashes from guessing a leaf.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from vault.audit import canonical
from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.canonical import Json
from vault.audit.note import Checkpoint, Note, encode_base64
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
    """Who acts, by public handle. ``asserted_for``: the person a steward says they act for (``--for``)."""

    role: ActorKind
    handle: str
    asserted_for: str | None = None


@dataclass(frozen=True)
class ObjectRef:
    """What was acted on: a kind ("dataset", "request", "manifest") and an opaque id or digest, never a private name."""

    kind: str
    ref: str


@dataclass(frozen=True)
class ConsentHead:
    """The consent ledger as this entry knows it: its last sequence number and chain head, *after* the ``added`` ledger events
    that this very entry records (0 for an entry that only relies on the ledger).
    """

    seq: int
    head: bytes  # 32 bytes
    added: int = 0


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a caller wants recorded. Time, id, nonce and index are the log's."""

    act: Action
    actor: Actor
    outcome: Outcome
    obj: ObjectRef | None = None
    project: str | None = None  # project code
    request: str | None = None  # request or release id
    purpose: str | None = None  # DUO terms
    reasons: Mapping[str, int] = field(default_factory=dict)  # refusal or limit code -> how many
    counts: Mapping[str, int] = field(default_factory=dict)  # "subjects", "sites", "rows", "bytes" … -> how many
    flags: Sequence[str] = ()  # e.g. "self_approved"
    subjects: Sequence[AuditToken] = ()
    consent: ConsentHead | None = None
    blobs: Sequence[bytes] = ()  # SHA-256 of the sealed blobs written or manifest released, in a documented order
    refers: str | None = None  # event id of the intent that this entry closes
    previous: str | None = None  # leaf 0 of a log that continues another: the last good checkpoint of that one, whole
    detail: Mapping[str, Json] | None = None  # for auditors only


class SubjectSet(NamedTuple):
    """A set of subjects, content-addressed: ``digest`` is salted per vault."""

    tokens: tuple[AuditToken, ...]  # sorted, distinct
    digest: bytes  # 32 bytes


class Stamp(NamedTuple):
    """What the log adds to an event."""

    event_id: str  # UUIDv7
    time: datetime
    session: bytes  # 16 bytes: the process that wrote it, and the key its detail is sealed under
    seq: int  # events prepared in this session so far; a gap is a transaction that was rolled back
    nonce: bytes  # 16 bytes
    detail_salt: bytes  # 16 bytes


class Prepared(NamedTuple):
    """An entry ready to be appended: size-checked, so that nothing that follows can make it unloggable."""

    event_id: str
    leaf: bytes
    subjects: SubjectSet | None
    detail: bytes | None  # salt ‖ canonical JSON, what gets sealed
    refers: str | None = None


def prepare(event: Event, stamp: Stamp, *, set_salt: bytes) -> Prepared:
    """The leaf of an event.

    Raises:
        InputError: ``audit_event_invalid``: a field does not match its pattern; ``audit_event_too_large``: over 65,535 bytes;
            ``not_canonical_json``: from the detail. IntegrityError: ``previous`` is no checkpoint.
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
    """The fields of a leaf. Raises IntegrityError (``not_canonical_json``, ``leaf_version_unknown``)."""
    leaf = canonical.decode(data)
    if not isinstance(leaf, dict) or leaf.get("v") != LEAF_VERSION:
        raise IntegrityError("leaf_version_unknown", "an audit entry has an unknown format version")
    return leaf


def subject_set(tokens: Sequence[AuditToken], salt: bytes) -> SubjectSet:
    """The content-addressed set of ``tokens`` (duplicates count once) under the vault's 16-byte set salt.

    Raises:
        InputError: ``audit_event_invalid``: not an audit token.
    """
    distinct = tuple(sorted(set(tokens)))
    for token in distinct:
        _matching(_TOKEN, token, "subjects")
    return SubjectSet(distinct, set_digest(distinct, salt))


def set_digest(tokens: Sequence[AuditToken], salt: bytes) -> bytes:
    """SHA-256("genovault/subject-set/v1" NUL ‖ salt[16] ‖ u64 n ‖ each token, followed by a newline) of distinct tokens in byte order."""
    listed = "\n".join([*tokens, ""]).encode()
    return hashlib.sha256(b"genovault/subject-set/v1\x00" + salt + len(tokens).to_bytes(8, "big") + listed).digest()


def blob_list_digest(blobs: Sequence[bytes]) -> bytes:
    """SHA-256("genovault/blob-list/v1" NUL ‖ u64 n ‖ the 32-byte digests in order): one value for an import of any size."""
    if any(len(blob) != 32 for blob in blobs):
        raise _invalid("blobs")
    return hashlib.sha256(b"genovault/blob-list/v1\x00" + len(blobs).to_bytes(8, "big") + b"".join(blobs)).digest()


def commitment(salted_detail: bytes) -> bytes:
    """SHA-256(0x02 ‖ salt[16] ‖ detail): what the leaf says of a sealed detail."""
    return hashlib.sha256(b"\x02" + salted_detail).digest()


def event_id_bytes(event_id: str) -> bytes:
    """The 16 bytes by which tables know an event."""
    return bytes.fromhex(event_id.replace("-", ""))


def event_id_text(raw: bytes) -> str:
    """As the leaf writes it."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


# Parts of the leaf, in canonical JSON. What matched one of the patterns above needs no escapes: it is its own JSON text.


def _actor(actor: Actor) -> str:
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
    """A signed note, which is public; anything else might not be."""
    Checkpoint.from_text(Note.from_text(text).text)
    return canonical.encode(text).decode()


def _tally(tally: Mapping[str, int], name: str) -> str:
    numbers = tally.values()
    if len(tally) > MAX_REASONS or {*map(type, numbers)} - {int} or min(numbers) < 0 or max(numbers) > canonical.MAX_INTEGER:
        raise _invalid(name)
    return "{" + ",".join([f'"{_matching(_CODE, code, name)}":{tally[code]}' for code in sorted(tally)]) + "}"


def is_handle(text: str) -> bool:
    """Whether a leaf can name somebody so: 1 to 64 letters, digits and ``._@-``, the first one a letter or digit."""
    return _HANDLE.fullmatch(text) is not None


def _matching(pattern: re.Pattern[str], value: str, name: str) -> str:
    """The value itself never appears in the error: it may be what must not be written down."""
    if not pattern.fullmatch(value):
        raise _invalid(name)
    return value


def _invalid(name: str) -> InputError:
    return InputError("audit_event_invalid", f"the field {name} of an audit event does not have its form")
