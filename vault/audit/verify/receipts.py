"""Receipts (C2SP tlog-proof): one entry, its place in the tree, and a signed head over it (``docs/formats/audit.md`` §9)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from vault.audit.verify.checkpoints import checked_heads, parse_vkey
from vault.audit.verify.hashing import decode_base64, node_hash
from vault.audit.verify.model import Checks, LogFinding

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF = 64  # hashes: a tree has at most 2^63 leaves
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class ReceiptReport:
    """Result of checking a receipt. What it proves holds only if there is no finding."""

    origin: str  # of the log whose head it carries
    index: int  # of the leaf in that log
    size: int  # entries under the signed head
    leaf: dict[str, Any] | None  # the entry; None where the receipt carries none, or what is no entry
    leaf_hash: str | None  # hex
    findings: tuple[LogFinding, ...]

    @property
    def ok(self) -> bool:
        """True if there is no finding."""
        return not self.findings


class _Parsed(NamedTuple):
    place: int
    proof: list[bytes]
    note: str
    leaf: bytes | None


def is_receipt(text: str) -> bool:
    """True if a text has the form of a receipt, whatever it proves."""
    return _parse(text) is not None


def check_receipt(text: str, vkey: str) -> ReceiptReport | None:
    """Check a receipt against ``vkey``: one or more vkey lines from elsewhere. None for what has not the form of a receipt."""
    parsed = _parse(text)
    if parsed is None:
        return None
    checks = Checks()
    keys = [key for line in vkey.split("\n") if (key := parse_vkey(line)) is not None]
    if not keys:
        checks.found("key_malformed", None, "there is no readable public key to check signatures with")
    origin, stated, *_ = parsed.note.split("\n")
    heads = checked_heads([parsed.note], keys, checks)
    hashed = None if parsed.leaf is None else hashlib.sha256(b"\x00" + parsed.leaf).digest()
    if hashed is None:
        checks.found("receipt_without_leaf", None, "the receipt does not carry its entry")
    for size, root in heads if hashed is not None else ():
        if not _included(hashed, parsed, size, root):
            checks.found("inclusion_fails", None, f"entry {parsed.place} is not shown to be in the log that was signed")
    return ReceiptReport(
        origin=origin,
        index=parsed.place,
        size=heads[0][0] if heads else int(stated) if stated.isascii() and stated.isdecimal() else 0,
        leaf=_document(parsed.leaf),
        leaf_hash=None if hashed is None else hashed.hex(),
        findings=tuple(checks.findings),
    )


def receipt_lines(report: ReceiptReport) -> list[str]:
    """The result as lines of text for a terminal."""
    leaf = report.leaf or {}
    actor = leaf.get("actor", {})
    said = [("act", leaf.get("act")), ("outcome", leaf.get("outcome")), ("time", leaf.get("t")), ("by", actor.get("id"))]
    said += [("for", actor.get("for")), ("project", leaf.get("project")), ("request", leaf.get("req"))]
    lines = [f"leaf {report.index} of the log {report.origin}", *(f"{name:8} {value}" for name, value in said if value)]
    lines += [f"BAD: {finding.message} [{finding.code}]" for finding in report.findings]
    holds = f"the receipt holds: this entry is in the log that was signed at {report.size} entries"
    lines.append(holds if report.ok else "the receipt does NOT hold")
    return lines


def _parse(text: str) -> _Parsed | None:
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines.pop(0) != HEADER or "\n" not in note:
        return None
    leaf = None
    if lines and lines[0].startswith("extra "):
        leaf = decode_base64(lines.pop(0).removeprefix("extra "))
        if leaf is None:
            return None
    index = _INDEX.fullmatch(lines.pop(0)) if lines else None
    proof = [decode_base64(line) for line in lines]
    if index is None or len(proof) > MAX_PROOF:
        return None
    hashes = [one for one in proof if one is not None and len(one) == 32]
    return _Parsed(int(index[1]), hashes, note, leaf) if len(hashes) == len(proof) else None


def _included(hashed: bytes | None, receipt: _Parsed, size: int, root: bytes) -> bool:
    """RFC 9162 §2.1.3.2: true if the proof leads from the leaf's hash to the root."""
    if hashed is None or receipt.place >= size:
        return False
    at, last, found = receipt.place, size - 1, hashed
    for other in receipt.proof:
        if last == 0:
            return False
        if at % 2 or at == last:
            found = node_hash(other, found)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            found = node_hash(found, other)
        at, last = at // 2, last // 2
    return last == 0 and found == root


def _document(leaf: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(leaf or b"null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("actor", {}), dict) else None


def readable_keys(text: str) -> Sequence[str]:
    """The lines of a text that are vkeys."""
    return [line.strip() for line in text.splitlines() if parse_vkey(line.strip()) is not None]
