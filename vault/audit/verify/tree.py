"""One pass over all entries: the Merkle tree (RFC 6962 section 2.1), its tiles, intents and the consent ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from vault.audit.verify.hashing import TILE_WIDTH, node_hash, tile_root
from vault.audit.verify.model import MAX_FINDINGS, Checks, EntrySource, Examined, IntentKind

SLACK_SECONDS = 60.0  # entries are stamped before they wait for the lock, and the clocks of several machines differ


class TreeWalk:
    """State of the pass: the tree so far, open intents, the consent ledger's head.

    The tree is kept as the roots of its perfect subtrees, one per set bit of ``size``; its root is compared at each signed size.
    """

    def __init__(self, source: EntrySource, heads: Sequence[tuple[int, bytes]], checks: Checks) -> None:
        self.size = 0
        self.redacted = 0
        self.intents: dict[bytes, tuple[int, IntentKind]] = {}  # event id -> index and kind, of intents without an outcome
        self.closed_before: list[
            bytes
        ] = []  # ids that entries close and that no entry here has: of the log that this one continues
        self.steps_back: list[tuple[int, str, str]] = []  # entry, its time, the later time of those before it
        self._source = source
        self._heads = dict(heads)
        self._checks = checks
        self._good = 0  # largest signed size whose root was reproduced
        self._diverged = False  # a signed root differs: every later one would too
        self._broken = False  # an entry is missing: later ones have no place in the tree
        self._perfect: list[tuple[int, bytes]] = []  # (height, root) of the perfect subtrees, leftmost first
        self._levels: list[list[bytes]] = [[]]  # per level: hashes of the unfinished tile
        self._done: list[int] = [0]  # per level: how many tiles are finished
        self._ids: set[bytes] = set()
        self._continues = False
        self._latest = b""  # time of an entry since the last step back
        self._consent_seq = 0
        self._consent_heads: dict[int, bytes] = {}  # seq -> head (hex) that an entry recorded
        self._check_root()

    def take(self, found: Examined) -> None:
        """Take the next chunk of the source."""
        if self._broken:
            return
        first = self.size
        if found.first != first:
            self._checks.found("entry_missing", first, f"entry {first} is missing: entry {found.first} comes next")
            self._broken = True
            return
        if found.rest:
            last = first + len(found.ids) - 1
            self._checks.found("bundle_altered", last, f"behind entry {last} its bundle holds what is no entry")
        self._note_entries(found)
        self._follow(found)
        hashes = [found.hashes[i : i + 32] for i in range(0, len(found.hashes), 32)]
        for i in found.unhashed:
            hashes[i] = self._tile_hash(first + i)
        # A whole tile in which no signed size lies needs no root in between.
        if found.root and not self._levels[0] and not any(size in self._heads for size in range(first + 1, first + TILE_WIDTH)):
            self._compare_tile(0, self._done[0], found.hashes)
            self._done[0] += 1
            self._push(8, found.root)
            self.size += TILE_WIDTH
            self._grow(1, found.root)
            self._check_root()
            return
        for hashed in hashes:
            self._push(0, hashed)
            self.size += 1
            self._grow(0, hashed)
            self._check_root()

    def finish(self, signed: int) -> None:
        """Check what needs the whole log: its length, its last partial tiles and the stored head.

        ``signed``: the largest signed size.
        """
        if self._broken:
            return
        if self.size < signed:
            self._checks.found("truncated", self.size, f"{signed} entries were signed, but only {self.size} are there")
        for level, hashes in enumerate(self._levels):
            if hashes:
                self._compare_tile(level, self._done[level], b"".join(hashes))
        head = self._source.head()
        if head is not None and head[0] != self.size:
            self._checks.found(
                "head_mismatch", min(head[0], self.size), f"the log says it has {head[0]} entries, but {self.size} are there"
            )
        elif head is not None and head[1] != self.root():
            self._checks.found(
                "head_mismatch",
                self._good,
                f"the log's head does not belong to its entries from {self._good} on",
                last=self.size - 1,
            )

    def root(self) -> bytes:
        """32-byte root over the entries taken so far."""
        root = b""
        for _, left in reversed(self._perfect):
            root = node_hash(left, root) if root else left
        return root or hashlib.sha256().digest()

    def _push(self, height: int, root: bytes) -> None:
        """Append a perfect subtree, merging equal heights."""
        while self._perfect and self._perfect[-1][0] == height:
            root = node_hash(self._perfect.pop()[1], root)
            height += 1
        self._perfect.append((height, root))

    def _note_entries(self, found: Examined) -> None:
        """Add the findings about single entries of a chunk."""
        self.redacted += len(found.redacted)
        for code, positions, message in (
            ("entry_altered", found.altered, "entry {} does not have the hash stored with it"),
            ("entry_malformed", found.malformed, "entry {} does not have the form of an entry"),
            ("detail_missing", found.detail_missing, "the sealed detail of entry {} is missing"),
            ("detail_foreign", found.detail_foreign, "entry {} has a sealed detail that it does not commit to"),
        ):
            for i in positions:
                self._checks.found(code, found.first + i, message.format(found.first + i))

    def _follow(self, found: Examined) -> None:
        """Follow intents, their outcomes and the consent ledger through a chunk, in the order of its entries."""
        first = found.first
        if first == 0:
            self._continues = found.continues
        self._take_ids(found)
        self._take_times(found)
        self.intents.update([(found.ids[i], (first + i, kind)) for i, kind in found.intents])
        position = {event_id: first + i for i, event_id in enumerate(found.ids)} if found.refers else {}
        intents = {i for i, _ in found.intents} if found.refers else set()
        for i, refers in found.refers:
            # An outcome after a rollback may close an intent of the log before (docs/formats/audit.md §7).
            unknown = refers not in self._ids or position.get(refers, -1) >= first + i
            if unknown and not self._continues:
                self._checks.found("intent_missing", first + i, f"entry {first + i} closes an intent that is not in the log")
            if i in intents:
                continue  # it begins something itself
            if unknown:
                self.closed_before.append(refers)
            else:
                self.intents.pop(refers, None)
        for i, seq, head, added in found.consents:
            self._follow_consent(first + i, seq, head, added)

    def _take_ids(self, found: Examined) -> None:
        """Remember the event ids of a chunk; one seen before is a finding."""
        new = set(found.ids)
        if len(new) == len(found.ids) and b"" not in new and new.isdisjoint(self._ids):  # no id repeats
            self._ids |= new
            return
        for i, event_id in enumerate(found.ids, found.first):
            if event_id and event_id in self._ids:
                self._checks.found("entry_repeated", i, f"entry {i} repeats an earlier event")
            if event_id:
                self._ids.add(event_id)

    def _take_times(self, found: Examined) -> None:
        """Note where times go back by more than writers differ; each step once."""
        for i, time in enumerate(found.times, found.first):
            if time >= self._latest:
                self._latest = time
            elif time and _seconds(time, self._latest) > SLACK_SECONDS:
                if len(self.steps_back) < MAX_FINDINGS:
                    self.steps_back.append((i, time.decode(), self._latest.decode()))
                self._latest = time

    def _tile_hash(self, index: int) -> bytes:
        """Leaf hash of an entry that is stored in its tile only; empty, and a finding, if it is not there either."""
        n, offset = divmod(index, TILE_WIDTH)
        stored = (self._source.tile(0, n, offset + 1) or b"")[offset * 32 : offset * 32 + 32]
        if len(stored) != 32:
            self._checks.found("entry_missing", index, f"entry {index} has neither content nor hash")
        return stored

    def _grow(self, level: int, hashed: bytes) -> None:
        """Append a hash to a level's tile; a full tile is compared with the stored one and feeds the level above."""
        if level == len(self._levels):
            self._levels.append([])
            self._done.append(0)
        hashes = self._levels[level]
        hashes.append(hashed)
        if len(hashes) == TILE_WIDTH:
            self._compare_tile(level, self._done[level], b"".join(hashes))
            root = tile_root(hashes)
            hashes.clear()
            self._done[level] += 1
            self._grow(level + 1, root)

    def _compare_tile(self, level: int, n: int, computed: bytes) -> None:
        """Compare a tile with the stored one; the finding is at the first hash that differs."""
        width = len(computed) // 32
        stored = self._source.tile(level, n, width)
        if stored is None or stored == computed:
            return
        offset = next((i for i in range(width) if stored[i * 32 : i * 32 + 32] != computed[i * 32 : i * 32 + 32]), width)
        if offset * 32 >= len(stored):
            self._checks.found("tile_missing", None, f"tile {level}/{n} is missing or not of its length")
        elif level == 0:
            index = n * TILE_WIDTH + offset
            self._checks.found("entry_altered", index, f"entry {index} is not the one that the tree was built with")
        else:
            first = (n * TILE_WIDTH + offset) * TILE_WIDTH**level
            self._checks.found(
                "tile_altered",
                first,
                f"tile {level}/{n} does not belong to the entries from {first} on",
                last=first + TILE_WIDTH**level - 1,
            )

    def _check_root(self) -> None:
        """Compare the root with the signed one, if a checkpoint has this size."""
        wanted = self._heads.get(self.size)
        if wanted is None or self._diverged:
            return
        if wanted == self.root():
            self._good = self.size
        else:
            self._diverged = True
            self._checks.found(
                "root_mismatch",
                self._good,
                f"an entry from {self._good} to {self.size - 1} is not the one that was signed",
                last=self.size - 1,
            )

    def _follow_consent(self, index: int, seq: int, head: bytes, added: int) -> None:
        """Check one entry's consent head: no gap in recorded events, a quoted head was recorded (``docs/formats/audit.md`` §4)."""
        if index == 0 and self._continues:
            self._consent_seq, self._consent_heads[seq] = seq, head
        elif added:
            if seq != self._consent_seq + added:
                self._checks.found(
                    "consent_gap", index, f"entry {index} continues the consent ledger at {seq - added}, not {self._consent_seq}"
                )
            self._consent_seq = max(seq, self._consent_seq)
            self._consent_heads[seq] = head
        elif seq > self._consent_seq:
            self._checks.found("consent_gap", index, f"entry {index} relies on consent events that the log does not have")
        elif seq and self._consent_heads.get(seq) != head:
            self._checks.found("consent_fork", index, f"entry {index} relies on another consent ledger than the logged one")


def _seconds(earlier: bytes, later: bytes) -> float:
    """Seconds between two times of entries; 0 where one is no time of the calendar."""
    try:
        return (datetime.fromisoformat(later.decode()) - datetime.fromisoformat(earlier.decode())).total_seconds()
    except ValueError:
        return 0.0
