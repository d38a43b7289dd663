r"""Receipts: C2SP tlog-proof, a proof that one entry is in the log, checked with a public key alone.

::

    c2sp.org/tlog-proof@v1
    extra <base64 of the leaf>          genovault's use of the line: the entry itself, authenticated by the proof
    index <n>
    <base64 hash>                       the inclusion proof, leaf's sibling first
    <empty line>
    <the signed checkpoint>
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from vault.audit.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from vault.audit.note import Checkpoint, VerifierKey, checkpoint_in, decode_base64, encode_base64, open_checkpoint, parse_size
from vault.errors import IntegrityError
from vault.limits import MAX_NOTE_BYTES

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF = 64  # hashes: a tree has at most 2^63 leaves


@dataclass(frozen=True)
class Receipt:
    """Parsed receipt; nothing in it is verified."""

    index: int  # of the leaf in its log
    proof: tuple[bytes, ...]  # 32 bytes each, the leaf's sibling first
    note: str  # the signed checkpoint
    extra: bytes | None = None  # the leaf

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Parse a receipt. Raises IntegrityError (``receipt_malformed``)."""
        head, separator, note = text.partition("\n\n")
        lines = head.split("\n")
        if len(text) > MAX_NOTE_BYTES or not separator or lines.pop(0) != HEADER:
            raise _malformed()
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "), "receipt_malformed")
        if not lines or not lines[0].startswith("index ") or len(lines) - 1 > MAX_PROOF:
            raise _malformed()
        index = parse_size(lines.pop(0).removeprefix("index "), "receipt_malformed")
        proof = tuple(decode_base64(line, "receipt_malformed") for line in lines)
        if any(len(h) != HASH_BYTES for h in proof):
            raise _malformed()
        return cls(index, proof, note, extra)

    def to_text(self) -> str:
        """Text of a ``.tlog-proof`` file."""
        extra = [] if self.extra is None else [f"extra {encode_base64(self.extra)}"]
        lines = [HEADER, *extra, f"index {self.index}", *map(encode_base64, self.proof)]
        return "\n".join(lines) + "\n\n" + self.note


@dataclass(frozen=True)
class Proven:
    """Verified receipt: ``leaf`` is leaf ``index`` of the log that signed ``checkpoint``."""

    index: int
    leaf: bytes
    checkpoint: Checkpoint


def verify_receipt(text: str, leaf: bytes | None, origin: str, keys: Sequence[VerifierKey]) -> Proven:
    """Verify a receipt: origin and key, signature, then inclusion of the leaf's hash (``docs/formats/audit.md`` §9).

    ``leaf``: the expected leaf; None: the one that the receipt carries, whose content the caller has to read.

    Raises:
        IntegrityError: ``receipt_malformed``, ``receipt_without_leaf``, ``inclusion_fails``, and those of
            ``note.open_checkpoint``.
    """
    receipt = Receipt.from_text(text)
    data = receipt.extra if leaf is None else leaf
    if data is None:
        raise IntegrityError("receipt_without_leaf", "the receipt does not carry its entry, and none was given")
    checkpoint = open_checkpoint(receipt.note, origin, keys)
    verify_inclusion(leaf_hash(data), receipt.index, checkpoint.size, receipt.proof, checkpoint.root)
    return Proven(receipt.index, data, checkpoint)


def checkpoint_of(text: str) -> Checkpoint:
    """Checkpoint of a receipt, unverified. Raises IntegrityError (``receipt_malformed``) and as ``checkpoint_in``."""
    return checkpoint_in(Receipt.from_text(text).note)


def _malformed() -> IntegrityError:
    return IntegrityError("receipt_malformed", "the receipt does not have its form")
