"""Merkle tree of RFC 6962 section 2.1 with SHA-256: hashes, compact range, proofs and their verification. Pure.

Node (level, index) is the root of the perfect subtree over leaves ``index * 2**level`` to ``(index + 1) * 2**level`` (exclusive). The
storage passes a ``ReadNode``; proofs ask it for complete subtrees only, so stored nodes never change. Hashes are 32 bytes.

Verification follows RFC 9162 sections 2.1.3.2 and 2.1.4.2 (``docs/design/audit-log.md`` §2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from vault.errors import InputError, IntegrityError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()

ReadNode = Callable[[int, int], bytes]
"""(level, index) -> 32-byte root of that complete subtree."""


def leaf_hash(data: bytes) -> bytes:
    """Leaf hash: SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Node hash: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class CompactRange:
    """Compact range: the roots of a tree's perfect subtrees, largest (leftmost) first, which is all that appending needs.

    ``hashes`` has one hash for each set bit of ``size``, at most 63. Raises IntegrityError (``tree_malformed``) otherwise.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or self.size.bit_count() != len(self.hashes) or any(len(h) != HASH_BYTES for h in self.hashes):
            raise IntegrityError("tree_malformed", "the stored tree head does not describe a tree")

    @classmethod
    def from_bytes(cls, size: int, stack: bytes) -> Self:
        """Read the stored form. Raises IntegrityError (``tree_malformed``) if the number of hashes does not fit ``size``."""
        return cls(size, tuple(stack[i : i + HASH_BYTES] for i in range(0, len(stack), HASH_BYTES)))

    def to_bytes(self) -> bytes:
        """Stored form: the hashes concatenated, largest subtree first."""
        return b"".join(self.hashes)

    def extend(self, leaf_hashes: Iterable[bytes]) -> CompactRange:
        """Tree after appending ``leaf_hashes`` in order."""
        size, stack = self.size, list(self.hashes)
        for added in leaf_hashes:
            merged, carry = added, size
            while carry & 1:  # as binary addition: each set low bit is a subtree to merge with
                merged = node_hash(stack.pop(), merged)
                carry >>= 1
            stack.append(merged)
            size += 1
        return CompactRange(size, tuple(stack))

    def root(self) -> bytes:
        """Root of the tree; SHA-256 of the empty string for the empty tree."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Root over 2**k sibling hashes: of a full tile, or of a node inside a tile."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def compact_range(size: int, read: ReadNode) -> CompactRange:
    """Compact range of the first ``size`` leaves."""
    return CompactRange(size, tuple(read(level, index) for level, index in _subtrees(0, size)))


def range_root(start: int, end: int, read: ReadNode) -> bytes:
    """MTH(D[start:end]) of RFC 6962 section 2.1, for a range aligned as its recursion makes them."""
    hashes = [read(level, index) for level, index in _subtrees(start, end)]
    if not hashes:
        return EMPTY_ROOT
    root = hashes.pop()
    while hashes:
        root = node_hash(hashes.pop(), root)
    return root


def inclusion_proof(index: int, size: int, read: ReadNode) -> tuple[bytes, ...]:
    """Inclusion proof PATH(index, D[size]) of RFC 6962 section 2.1.1: the leaf's sibling first.

    Raises InputError (``no_such_entry``) unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise InputError("no_such_entry", f"entry {index} is not in a log of {size} entries")
    proof = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(range_root(middle, end, read))
            end = middle
        else:
            proof.append(range_root(start, middle, read))
            start = middle
    return tuple(reversed(proof))


def consistency_proof(old: int, new: int, read: ReadNode) -> tuple[bytes, ...]:
    """Consistency proof PROOF(old, D[new]) of RFC 6962 section 2.1.2.

    Raises InputError (``no_such_size``) unless 0 < old <= new.
    """
    if not 0 < old <= new:
        raise InputError("no_such_size", f"no consistency proof exists between sizes {old} and {new}")
    proof = []
    start, end, known = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(range_root(middle, end, read))
            end = middle
        else:
            proof.append(range_root(start, middle, read))
            start, known = middle, False
    if not known:
        proof.append(range_root(start, end, read))
    return tuple(reversed(proof))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash ``leaf`` is leaf ``index`` of the tree (``size``, ``root``), as RFC 9162 section 2.1.3.2.

    Raises IntegrityError (``inclusion_fails``).
    """
    if not 0 <= index < size or any(len(h) != HASH_BYTES for h in (leaf, root, *proof)):
        raise _inclusion_fails()
    fn, sn, computed = index, size - 1, leaf  # fn, sn: positions of the leaf and of the last leaf, as named in the RFC
    for sibling in proof:
        if sn == 0:
            raise _inclusion_fails()
        if fn & 1 or fn == sn:
            computed = node_hash(sibling, computed)
            fn, sn = _ascend(fn, sn)
        else:
            computed = node_hash(computed, sibling)
        fn >>= 1
        sn >>= 1
    if sn != 0 or computed != root:
        raise _inclusion_fails()


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree (``new``, ``new_root``) extends (``old``, ``old_root``), as RFC 9162 section 2.1.4.2, 0 < old <= new.

    Size 0 is refused: every tree extends the empty one. Raises IntegrityError (``consistency_fails``).
    """
    if not 0 < old <= new or any(len(h) != HASH_BYTES for h in (old_root, new_root, *proof)):
        raise _consistency_fails()
    if old == new:
        if proof or old_root != new_root:
            raise _consistency_fails()
        return
    if not proof:
        raise _consistency_fails()
    # The proof of an old tree of 2**k leaves leaves out its root, which the verifier has.
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    first = second = path[0]
    for sibling in path[1:]:
        if sn == 0:
            raise _consistency_fails()
        if fn & 1 or fn == sn:
            first = node_hash(sibling, first)
            second = node_hash(sibling, second)
            fn, sn = _ascend(fn, sn)
        else:
            second = node_hash(second, sibling)
        fn >>= 1
        sn >>= 1
    if sn != 0 or first != old_root or second != new_root:
        raise _consistency_fails()


def _subtrees(start: int, end: int) -> Iterable[tuple[int, int]]:
    """(level, index) of the perfect subtrees of an aligned range, left to right."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _split(count: int) -> int:
    """Largest power of two below ``count`` (> 1): the left subtree's number of leaves."""
    return 1 << ((count - 1).bit_length() - 1)


def _ascend(fn: int, sn: int) -> tuple[int, int]:
    """Skip the levels on which a node of the right edge has no sibling."""
    while fn and not fn & 1:
        fn >>= 1
        sn >>= 1
    return fn, sn


def _inclusion_fails() -> IntegrityError:
    return IntegrityError("inclusion_fails", "the inclusion proof does not lead from the entry to the tree head")


def _consistency_fails() -> IntegrityError:
    return IntegrityError("consistency_fails", "the consistency proof does not connect the two tree heads")
