"""One pass over the entries: tiles, roots, intents and the consent ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from vault.audit.verify.hashing import TILE_WIDTH, node_hash, tile_root
from vault.audit.verify.model import Checks, EntrySource, Examined


class TreeWalk:
    """One pass over the entries: compare with the tiles, grow the tree, follow intents and the consent ledger."""

    def __init__(self, source: EntrySource, heads: Sequence[tuple[int, bytes]], checks: Checks) -> None:
        self.size = 0
        self.redacted = 0
        self.intents: dict[bytes, int] = {}  # event id -> index
        self._source = source
        self._heads = dict(heads)
        self._checks = checks
        self._good = 0  # size of the newest checkpoint whose root was reproduced
        self._diverged = False
        self._broken = False
        self._perfect: list[tuple[int, bytes]] = []  # (height, root) of the perfect subtrees, the leftmost first
        self._levels: list[list[bytes]] = [[]]  # hashes of the unfinished tile of each level
        self._done: list[int] = [0]  # finished tiles of each level
        self._ids: set[bytes] = set()
        self._continues = False
        self._consent_seq = 0
        self._consent_heads: dict[int, bytes] = {}
        self._check_root()

    def take(self, found: Examined) -> None:
        """The next entries of the source."""
        if self._broken:
            return
        first = self.size
        if found.first != first:
            self._checks.found("entry_missing", first, f"entry {first} is missing: entry {found.first} comes next")
            self._broken = True  # what follows a gap cannot be placed in the tree
            return
        if found.rest:
            last = first + len(found.ids) - 1
            self._checks.found("bundle_altered", last, f"behind entry {last} its bundle holds what is no entry")
        self._say(found)
        self._follow(found)
        hashes = [found.hashes[i : i + 32] for i in range(0, len(found.hashes), 32)]
        for i in found.unhashed:
            hashes[i] = self._tile_hash(first + i)
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
        """What can only be said at the end."""
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
        """Root of the entries taken so far."""
        root = b""
        for _, left in reversed(self._perfect):
            root = node_hash(left, root) if root else left
        return root or hashlib.sha256().digest()

    def _push(self, height: int, root: bytes) -> None:
        while self._perfect and self._perfect[-1][0] == height:
            root = node_hash(self._perfect.pop()[1], root)
            height += 1
        self._perfect.append((height, root))

    def _say(self, found: Examined) -> None:
        """What is wrong with single entries."""
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
        """Intents, their outcomes and the consent ledger, in the order of the entries."""
        first = found.first
        if first == 0:
            self._continues = found.continues
        self._take_ids(found)
        self.intents.update([(found.ids[i], first + i) for i in found.intents])
        position = {event_id: first + i for i, event_id in enumerate(found.ids)} if found.refers else {}
        for i, refers in found.refers:
            # A log that continues another may close intents of that one.
            unknown = refers not in self._ids or position.get(refers, -1) > first + i
            if unknown and not self._continues:
                self._checks.found("intent_missing", first + i, f"entry {first + i} closes an intent that is not in the log")
            if not unknown:
                self.intents.pop(refers, None)
        for i, seq, head, added in found.consents:
            self._follow_consent(first + i, seq, head, added)

    def _take_ids(self, found: Examined) -> None:
        new = set(found.ids)
        if len(new) == len(found.ids) and b"" not in new and new.isdisjoint(self._ids):  # nearly always
            self._ids |= new
            return
        for i, event_id in enumerate(found.ids, found.first):
            if event_id and event_id in self._ids:
                self._checks.found("entry_repeated", i, f"entry {i} repeats an earlier event")
            if event_id:
                self._ids.add(event_id)

    def _tile_hash(self, index: int) -> bytes:
        n, offset = divmod(index, TILE_WIDTH)
        stored = (self._source.tile(0, n, offset + 1) or b"")[offset * 32 : offset * 32 + 32]
        if len(stored) != 32:
            self._checks.found("entry_missing", index, f"entry {index} has neither content nor hash")
        return stored

    def _grow(self, level: int, hashed: bytes) -> None:
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
        """The ledger grows without gaps, and whoever relies on it quotes a head that it had."""
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
