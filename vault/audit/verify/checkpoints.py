"""Checkpoints (C2SP tlog-checkpoint in a signed-note): parse them and check their Ed25519 signatures."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from vault.audit.verify.hashing import decode_base64
from vault.audit.verify.model import Checks
from vault.audit.verify.workers import spread
from vault.crypto.primitives import verify_signature
from vault.errors import IntegrityError

PARALLEL_SIGNATURES_FROM = 5_000  # signatures from which further processes pay off
_SIGNATURES_AT_ONCE = 200  # a task of a worker process
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class VerifyingKey(NamedTuple):
    """A log's public key, as its vkey line names it (C2SP signed-note), and the last size that it may sign alone."""

    name: str
    key_id: bytes
    public: bytes
    until: int | None = None  # entries; None: the line names none


class _SignedHead(NamedTuple):
    """A parsed checkpoint; nothing in it is verified."""

    text: str  # the signed bytes
    signatures: list[tuple[str, bytes]]  # (name, key id ‖ signature)
    origin: str
    size: int  # entries
    root: bytes  # 32 bytes


_Signature = tuple[bytes, bytes, bytes]  # public key, signature, message


def parse_vkey(text: str) -> VerifyingKey | None:
    """The Ed25519 key of a vkey line, ``… until N`` behind it or not; None unless it is well-formed and its key id is the key's own."""
    text, separator, until = text.partition(" until ")
    if separator and not _SIZE.fullmatch(until):
        return None
    parts = text.split("+", 2)
    raw = decode_base64(parts[2]) if len(parts) == 3 else None
    if raw is None or len(raw) != 33 or raw[0] != 1 or not parts[0] or " " in parts[0]:
        return None
    key_id = hashlib.sha256(parts[0].encode() + b"\n" + raw).digest()[:4]
    last = int(until) if separator else None
    return VerifyingKey(parts[0], key_id, raw[1:], last) if parts[1] == key_id.hex() else None


def checked_heads(notes: Sequence[str], keys: Sequence[VerifyingKey], checks: Checks) -> list[tuple[int, bytes]]:
    """(size, root) of each checkpoint that one of ``keys`` signed while it might; every other checkpoint becomes a finding."""
    heads = [_parse_head(note) for note in notes]
    found = [[] if head is None else _signatures(head, keys) for head in heads]
    wanted = [(key.public, signature, message) for signatures in found for key, signature, message in signatures]
    held = spread(_all_hold, wanted, _SIGNATURES_AT_ONCE, parallel=len(wanted) >= PARALLEL_SIGNATURES_FROM)
    good: list[tuple[_SignedHead, list[VerifyingKey]]] = []
    for head, signatures in zip(heads, found, strict=True):
        holding = list(islice(held, len(signatures)))
        if head is None:
            checks.found("checkpoint_malformed", None, "a checkpoint does not have its form")
        elif not any(key.name == head.origin for key in keys):
            checks.found("checkpoint_origin", None, "a checkpoint is of another log than the key")
        elif not all(holding):
            checks.found("signature_bad", None, f"the signature of the checkpoint at {head.size} entries does not hold")
        elif not holding:
            checks.found("signature_missing", None, f"the checkpoint at {head.size} entries is not signed by the given key")
        else:
            good.append((head, [key for key, _, _ in signatures]))
    return _within_ranges(good, checks)


def _within_ranges(signed: Sequence[tuple[_SignedHead, list[VerifyingKey]]], checks: Checks) -> list[tuple[int, bytes]]:
    """(size, root) of the checkpoints that a key of their time signed: a key signs nothing beyond the first checkpoint of its successor.

    Of two keys the one whose first checkpoint is larger is the later.
    """
    began: dict[VerifyingKey, int] = {}
    for head, keys in signed:
        for key in keys:
            began[key] = min(head.size, began.get(key, head.size))
    ends = {key: _end(key, began) for key in began}
    heads = []
    for head, keys in signed:
        last = max(ends[key] for key in keys)
        if head.size <= last:
            heads.append((head.size, head.root))
        else:
            message = f"the checkpoint at {head.size} entries is signed by a key that was replaced at {last:.0f} alone"
            checks.found("signer_range", None, message)
    return heads


def _end(key: VerifyingKey, began: Mapping[VerifyingKey, int]) -> float:
    """Largest size that a key may sign alone."""
    later = [size for other, size in began.items() if other.name == key.name and size > began[key]]
    return min([*later, *([] if key.until is None else [key.until])], default=math.inf)


def _signatures(head: _SignedHead, keys: Sequence[VerifyingKey]) -> list[tuple[VerifyingKey, bytes, bytes]]:
    """Signatures that name one of ``keys``: each of them has to hold (C2SP signed-note); those by unknown keys are ignored."""
    message = head.text.encode()
    return [(key, raw[4:], message) for name, raw in head.signatures for key in keys if (name, raw[:4]) == (key.name, key.key_id)]


def _all_hold(signatures: Sequence[_Signature]) -> list[bool]:
    """Verify signatures; True for each that holds."""
    held = []
    for public, signature, message in signatures:
        try:
            verify_signature(public, signature, message)
            held.append(True)
        except IntegrityError:
            held.append(False)
    return held


def _parse_head(note: str) -> _SignedHead | None:
    """The checkpoint of a signed note; None unless its form is exact."""
    text, separator, block = note.rpartition("\n\n")
    lines = text.split("\n")
    root = decode_base64(lines[2]) if len(lines) == 3 else None
    if not separator or root is None or len(root) != 32 or not _SIZE.fullmatch(lines[1]) or not block.endswith("\n"):
        return None
    signatures = []
    for line in block[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        raw = decode_base64(encoded)
        if dash != "—" or not name or raw is None or len(raw) < 5:
            return None
        signatures.append((name, raw))
    return _SignedHead(text + "\n", signatures, lines[0], int(lines[1]), root)
