"""The offline verifier: is this log complete, unedited, in order, and signed by the key I was given?

    python -m vault.audit.verify EXPORT --key VKEY

One file, on purpose: an auditor reads it whole. It shares formats with the writer (``docs/formats/audit.md``) and no code: its own
parsers, its own tree. From the rest of genovault it takes the Ed25519 check and nothing else. ``--key`` is a vkey line or a file
that holds one, obtained from somewhere else than the export; without it the export's own ``log.vkey`` is used and the report
says that the key is not independently trusted.

Exit codes: 0 everything holds, 2 usage, 4 no such export, 5 something does not hold.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from vault.crypto.primitives import verify_signature
from vault.errors import IntegrityError

T = TypeVar("T")
R = TypeVar("R")

MAX_FINDINGS = 100  # more say nothing new
PARALLEL_FROM = 200_000  # signed entries from which starting further processes pays
PARALLEL_SIGNATURES_FROM = 5_000  # the same of signatures
_CHUNKS_AT_ONCE = 16  # 4,096 entries: sending a task costs little beside hashing it
_SIGNATURES_AT_ONCE = 200
_TILE = 256
_REQUIRED = frozenset({"v", "id", "t", "boot", "actor", "act", "outcome", "n"})
_OPTIONAL = frozenset(
    {"obj", "project", "req", "purpose", "reasons", "counts", "flags", "subj", "consent", "blobs", "refers", "prev", "detail"}
)
_OUTCOMES = frozenset({"intent", "done", "refused", "failed", "aborted"})
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_NONCE = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


def _refuse(_text: str) -> Any:
    raise ValueError("no floats in entries")


def _quick_form() -> re.Pattern[bytes]:
    """A leaf as the writer nearly always writes it, in one pattern: whatever matches and is plain (``_PLAIN``) is canonical and
    has the form.

    Anything else (text beyond plain ASCII, a field of a rarer kind, anything wrong) takes the exact way, ``_parse_leaf``.
    """
    text, number, digest = '"[^"]*+"', r"(?:0|[1-9][0-9]{0,14})", '"[0-9a-f]{64}"'
    event, tally = f'"({_ID.pattern})"', rf"(\{{{text}:{number}(?:,{text}:{number})*+\}})"
    fields = (
        rf'\{{"act":{text},"actor":\{{(?:"for":{text},)?"id":{text},"kind":{text}\}}',
        rf'(?:,"blobs":\{{"list":{text},"n":{number}\}})?',
        rf',"boot":\{{"id":{text},"seq":{number}\}}',
        rf'(?:,"consent":\{{(?:"added":({number}),)?"head":"([0-9a-f]{{64}})","seq":({number})\}})?',
        rf'(?:,"counts":{tally})?(,"detail":{digest})?(?:,"flags":\[{text}(?:,{text})*+\])?',
        rf',"id":{event},"n":"{_NONCE.pattern}"(?:,"obj":\{{"kind":{text},"ref":{text}\}})?',
        rf',"outcome":"(intent|done|refused|failed|aborted)"(?:,"project":{text})?(?:,"purpose":{text})?',
        rf'(?:,"reasons":{tally})?(?:,"refers":{event})?(?:,"req":{text})?(?:,"subj":\{{"n":{number},"set":{text}\}})?',
        rf',"t":"{_TIME.pattern}","v":1\}}',
    )
    return re.compile("".join(fields).encode())


_QUICK = _quick_form()
_PLAIN = bytes(c if 0x20 <= c < 0x7F and c != 0x5C else 0x20 for c in range(256))
"""Changes every byte that JSON text may not hold as it is, or that is not ASCII."""
_LEAF_HASH = hashlib.sha256(b"\x00")  # to go on from, for each entry
_TALLIED = re.compile(rb'"([^"]*+)":')
_DECODER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class Chunk(NamedTuple):
    """Consecutive entries as a source has them: up to a tile's worth, from a multiple of 256 on where none is missing."""

    first: int
    leaves: Sequence[bytes | None]  # None: payload dropped by retention, only the hash is left
    hashes: Sequence[bytes] | None = None  # stored beside the entries; None: this source keeps none
    detailed: Sequence[bool] | None = None  # whether each has a sealed detail; None: this source keeps none
    bundle: str = ""  # file with the entries as tlog-tiles bundles them, instead of ``leaves``


class Source(Protocol):
    """Where a log is read from: an exported folder, or a live database."""

    def vkey(self) -> str | None:
        """The key that comes with the log; several lines after a change of key."""

    def checkpoints(self) -> Sequence[str]:
        """Signed notes, oldest first."""

    def head(self) -> tuple[int, bytes] | None:
        """(size, root) that the log believes to have, signed or not."""

    def chunks(self) -> Iterator[Chunk]:
        """All entries, ascending."""

    def tile(self, level: int, n: int, width: int) -> bytes | None:
        """A tile's hashes; None when this source does not keep that tile, shorter than it should be when it is missing."""


@dataclass(frozen=True)
class Finding:
    """Something that does not hold, and where: at ``entry``, or somewhere from ``entry`` to ``last``. None: at no entry."""

    code: str
    entry: int | None
    message: str
    last: int | None = None


@dataclass(frozen=True)
class Report:
    """What was checked and what does not hold."""

    entries: int  # read and hashed
    signed: int  # covered by a checkpoint whose signature holds
    root: str  # hex, of the entries read
    unsigned: tuple[int, ...]  # (first, last) of the tail that no checkpoint covers; empty when there is none
    redacted: int
    key_given: bool  # the key came from outside
    key: str | None
    open_intents: tuple[int, ...]  # accesses without an outcome: assume fully disclosed
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether everything that was checked holds."""
        return not self.findings

    @property
    def first_bad(self) -> int | None:
        """The first entry that something is wrong with; the start of a range only if no finding names an entry in it."""
        exact = [f.entry for f in self.findings if f.entry is not None and f.last is None]
        ranges = [(f.entry, f.last) for f in self.findings if f.entry is not None and f.last is not None]
        unexplained = [first for first, last in ranges if not any(first <= entry <= last for entry in exact)]
        return min(exact + unexplained, default=None)


class FolderSource:
    """An export in tlog-tiles layout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def vkey(self) -> str | None:
        """The key beside the checkpoint."""
        path = self._folder / "log.vkey"
        return path.read_text("utf-8", errors="replace").removesuffix("\n") if path.is_file() else None

    def checkpoints(self) -> Sequence[str]:
        """The one checkpoint of an export."""
        path = self._folder / "checkpoint"
        return [path.read_bytes().decode("utf-8", "replace")] if path.is_file() else []

    def head(self) -> tuple[int, bytes] | None:
        """An export has no head besides the checkpoint."""
        return None

    def chunks(self) -> Iterator[Chunk]:
        """A bundle is missing where no full or partial one exists; whatever follows it is not read."""
        n = 0
        while True:
            full = self._folder / _path("entries", n, _TILE)
            bundles = [full] if full.is_file() else _partials(full)
            if not bundles:
                return
            yield Chunk(n * _TILE, (), bundle=str(bundles[0]))
            if bundles[0] != full:
                return
            n += 1

    def tile(self, level: int, n: int, width: int) -> bytes | None:
        """An export keeps every tile; one that is missing, or longer than a tile is, reads as empty."""
        full, exact = self._folder / _path(str(level), n, _TILE), self._folder / _path(str(level), n, width)
        found, held = (exact, width) if exact.is_file() else (full, _TILE)
        data = found.read_bytes() if found.is_file() else b""
        return data[: width * 32] if len(data) <= held * 32 else b""


def verify(source: Source, vkey: str | None = None) -> Report:
    """Check a whole log. Never raises for what the log holds: that is what the findings are for."""
    checks = _Checks()
    text = vkey if vkey is not None else source.vkey()
    keys = [key for line in (text or "").split("\n") if (key := _parse_vkey(line)) is not None]
    if not keys:
        checks.found("key_malformed", None, "there is no readable public key to check signatures with")
    heads = _checked_heads(source.checkpoints(), keys, checks)
    if not heads:
        checks.found("unsigned", None, "no signed checkpoint covers this log")
    signed = max((size for size, _ in heads), default=0)
    walk = _Walk(source, heads, checks)
    for found in _spread(_examine_all, source.chunks(), _CHUNKS_AT_ONCE, parallel=signed >= PARALLEL_FROM):
        walk.take(found)
    walk.finish(signed)
    return Report(
        entries=walk.size,
        signed=min(signed, walk.size),
        root=walk.root().hex(),
        unsigned=(signed, walk.size - 1) if walk.size > signed else (),
        redacted=walk.redacted,
        key_given=vkey is not None,
        key=text,
        open_intents=tuple(walk.intents.values()),
        findings=tuple(sorted(checks.findings, key=lambda f: (f.entry is None, f.entry or 0))),
    )


def verify_folder(folder: Path, vkey: str | None = None) -> Report:
    """Check an exported folder."""
    return verify(FolderSource(folder), vkey)


@dataclass
class _Checks:
    findings: list[Finding] = field(default_factory=list)

    def found(self, code: str, entry: int | None, message: str, *, last: int | None = None) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(code, entry, message, last))


@dataclass
class _Examined:
    """What can be said of a chunk by itself, so that other processes can say it. Positions are offsets in the chunk."""

    first: int
    hashes: bytes  # of the entries, 32 bytes each; zeros where only the source's tile has it
    root: bytes  # of a whole chunk of 256, otherwise empty
    ids: list[bytes]  # event ids; empty where there is none
    unhashed: list[int] = field(default_factory=list)
    redacted: list[int] = field(default_factory=list)
    altered: list[int] = field(default_factory=list)
    malformed: list[int] = field(default_factory=list)
    detail_missing: list[int] = field(default_factory=list)
    detail_foreign: list[int] = field(default_factory=list)
    intents: list[int] = field(default_factory=list)
    refers: list[tuple[int, bytes]] = field(default_factory=list)
    consents: list[tuple[int, int, bytes, int]] = field(default_factory=list)  # offset, seq, head, added
    rest: bool = False  # bytes follow its entries that are none
    continues: bool = False  # the first entry says that this log goes on where another ended


def _examine(chunk: Chunk) -> _Examined:
    """Hash and read the entries of a chunk. A database may hold anything in a column: what is not bytes is no entry and no hash."""
    leaves, rest = _bundled(Path(chunk.bundle)) if chunk.bundle else (chunk.leaves, False)
    hashes: list[bytes] = []
    found = _Examined(chunk.first, b"", b"", [], rest=rest)
    ids, stored, detailed = found.ids, chunk.hashes, chunk.detailed
    for i, leaf in enumerate(leaves):
        if not leaf or type(leaf) is not bytes:
            _note_bare(found, i, None if stored is None else stored[i], hashes, dropped=leaf is None or leaf == b"")
            continue
        hashing = _LEAF_HASH.copy()
        hashing.update(leaf)
        hashed = hashing.digest()
        hashes.append(hashed)
        if stored is not None and stored[i] != hashed:
            found.altered.append(i)
        fields = _fields_of(leaf)
        if fields is None:
            found.malformed.append(i)
            ids.append(b"")
            continue
        if detailed is not None and detailed[i] != fields[4]:
            (found.detail_missing if fields[4] else found.detail_foreign).append(i)
        _note_fields(found, i, fields)
    found.hashes = b"".join(hashes)
    if len(hashes) == _TILE and not found.unhashed:
        found.root = _root(hashes)
    return found


def _note_fields(found: _Examined, i: int, fields: _Fields) -> None:
    event_id, intent, refers, consent, _, continues = fields
    found.ids.append(event_id)
    if intent:
        found.intents.append(i)
    if refers is not None:
        found.refers.append((i, refers))
    if consent is not None:
        found.consents.append((i, *consent))
    if continues and i == 0 and found.first == 0:
        found.continues = True


def _note_bare(found: _Examined, i: int, stored: object, hashes: list[bytes], *, dropped: bool) -> None:
    """An entry that is not there as bytes: the tree goes on with the hash that is stored for it, if there is one."""
    (found.redacted if dropped else found.malformed).append(i)
    found.ids.append(b"")
    if isinstance(stored, bytes) and len(stored) == 32:
        hashes.append(stored)
    else:
        hashes.append(bytes(32))
        found.unhashed.append(i)


def _examine_all(chunks: Sequence[Chunk]) -> list[_Examined]:
    return [_examine(chunk) for chunk in chunks]


def _spread(work: Callable[[list[T]], list[R]], items: Iterable[T], at_once: int, *, parallel: bool) -> Iterator[R]:
    """``work`` on all items, so many at once, in order; with ``parallel`` by as many processes as there are processors."""
    remaining = iter(items)
    tasks = iter(lambda: list(islice(remaining, at_once)), [])
    workers = min(os.cpu_count() or 1, 8)
    if not parallel or workers == 1:
        yield from chain.from_iterable(map(work, tasks))
        return
    helpers = _Helpers()
    try:
        with ThreadPoolExecutor(workers) as pool:
            under_way: deque[Future[list[R]]] = deque()
            for task in tasks:
                under_way.append(pool.submit(helpers.run, work, task))
                if len(under_way) > 2 * workers:
                    yield from under_way.popleft().result()
            while under_way:
                yield from under_way.popleft().result()
    finally:
        helpers.end()


class _Helpers:
    """Further processes, one for each thread that asks. Each starts afresh and imports this file alone: a fork would copy the locks
    of other threads as they are.
    """

    def __init__(self) -> None:
        self._mine = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []

    def run(self, work: Callable[[T], R], task: T) -> R:
        """``work(task)``, done elsewhere; here when a process cannot be started or has ended."""
        try:
            helper = self._process()
            if helper.stdin is None or helper.stdout is None:
                return work(task)
            pickle.dump((work, task), helper.stdin, pickle.HIGHEST_PROTOCOL)
            helper.stdin.flush()
            done: R = pickle.load(helper.stdout)  # noqa: S301 - from this very program
        except (OSError, EOFError, pickle.UnpicklingError):
            return work(task)
        return done

    def end(self) -> None:
        """End the processes."""
        for helper in self._all:
            with suppress(OSError):
                helper.communicate()

    def _process(self) -> subprocess.Popen[bytes]:
        found: subprocess.Popen[bytes] | None = getattr(self._mine, "process", None)
        if found is None:
            path = os.pathsep.join(folder for folder in sys.path if folder)
            found = subprocess.Popen(  # noqa: S603 - this interpreter, this file
                [sys.executable, "-c", f"from {__name__} import help_out; help_out()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
            )
            self._all.append(found)
            self._mine.process = found
        return found


def help_out() -> None:
    """Be one of another process's ``_Helpers``: do what comes on standard input until it ends."""
    with suppress(EOFError):
        while True:
            work, task = pickle.load(sys.stdin.buffer)  # noqa: S301 - from this very program
            pickle.dump(work(task), sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
            sys.stdout.buffer.flush()


class _Walk:
    """One pass over the entries: compare with the tiles, grow the tree, follow intents and the consent ledger."""

    def __init__(self, source: Source, heads: Sequence[tuple[int, bytes]], checks: _Checks) -> None:
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

    def take(self, found: _Examined) -> None:
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
        if found.root and not self._levels[0] and not any(size in self._heads for size in range(first + 1, first + _TILE)):
            self._compare_tile(0, self._done[0], found.hashes)
            self._done[0] += 1
            self._push(8, found.root)
            self.size += _TILE
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
            root = _node(left, root) if root else left
        return root or hashlib.sha256().digest()

    def _push(self, height: int, root: bytes) -> None:
        while self._perfect and self._perfect[-1][0] == height:
            root = _node(self._perfect.pop()[1], root)
            height += 1
        self._perfect.append((height, root))

    def _say(self, found: _Examined) -> None:
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

    def _follow(self, found: _Examined) -> None:
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

    def _take_ids(self, found: _Examined) -> None:
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
        n, offset = divmod(index, _TILE)
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
        if len(hashes) == _TILE:
            self._compare_tile(level, self._done[level], b"".join(hashes))
            root = _root(hashes)
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
            index = n * _TILE + offset
            self._checks.found("entry_altered", index, f"entry {index} is not the one that the tree was built with")
        else:
            first = (n * _TILE + offset) * _TILE**level
            self._checks.found(
                "tile_altered",
                first,
                f"tile {level}/{n} does not belong to the entries from {first} on",
                last=first + _TILE**level - 1,
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


_Fields = tuple[bytes, bool, bytes | None, tuple[int, bytes, int] | None, bool, bool]
"""What the checks need of an entry: event id; whether it is an intent; the id of one that it closes; consent as (seq, head, added);
whether there is a detail; whether it is leaf 0 of a log that goes on where another ended."""


def _fields_of(leaf: bytes) -> _Fields | None:
    """None unless the form is exact."""
    match = _QUICK.fullmatch(leaf)
    if match is None or leaf.translate(_PLAIN) != leaf:
        return _exact_fields(leaf)
    added, head, seq, counts, detail, event_id, outcome, reasons, refers = match.groups()
    if (counts and not _keys_ascend(counts)) or (reasons and not _keys_ascend(reasons)):
        return _exact_fields(leaf)
    consent = None if head is None else (int(seq), head, int(added or 0))
    return event_id, outcome == b"intent", refers, consent, detail is not None, False


@lru_cache(maxsize=4_096)  # the same tallies come again and again
def _keys_ascend(tally: bytes) -> bool:
    keys = _TALLIED.findall(tally)
    return all(keys[i] < keys[i + 1] for i in range(len(keys) - 1))


def _exact_fields(leaf: bytes) -> _Fields | None:
    fields = _parse_leaf(leaf)
    if fields is None:
        return None
    consent, refers = fields.get("consent"), fields.get("refers")
    return (
        fields["id"].encode(),
        fields["outcome"] == "intent",
        None if refers is None else refers.encode(),
        None if consent is None else (consent["seq"], consent["head"].encode(), consent.get("added", 0)),
        "detail" in fields,
        "prev" in fields,
    )


def _parse_leaf(leaf: bytes) -> dict[str, Any] | None:
    """The fields of an entry of version 1, None unless its form is exact."""
    try:
        text = leaf.decode()
        fields = _DECODER.decode(text)
        return fields if _ENCODER.encode(fields) == text and _has_form(fields) else None
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None


def _has_form(fields: dict[str, Any]) -> bool:
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


class _Key(NamedTuple):
    name: str
    key_id: bytes
    public: bytes


def _parse_vkey(text: str) -> _Key | None:
    parts = text.split("+", 2)
    raw = _base64(parts[2]) if len(parts) == 3 else None
    if raw is None or len(raw) != 33 or raw[0] != 1 or not parts[0] or " " in parts[0]:
        return None
    key_id = hashlib.sha256(parts[0].encode() + b"\n" + raw).digest()[:4]
    return _Key(parts[0], key_id, raw[1:]) if parts[1] == key_id.hex() else None


class _Head(NamedTuple):
    text: str  # the signed bytes
    signatures: list[tuple[str, bytes]]  # (name, key id ‖ signature)
    origin: str
    size: int
    root: bytes


_Signature = tuple[bytes, bytes, bytes]  # public key, signature, message


def _checked_heads(notes: Sequence[str], keys: Sequence[_Key], checks: _Checks) -> list[tuple[int, bytes]]:
    """(size, root) of each checkpoint that one of ``keys`` signed; the others are findings."""
    heads = [_parse_head(note) for note in notes]
    found = [[] if head is None else _signatures(head, keys) for head in heads]
    wanted = [signature for signatures in found for signature in signatures]
    held = _spread(_all_hold, wanted, _SIGNATURES_AT_ONCE, parallel=len(wanted) >= PARALLEL_SIGNATURES_FROM)
    good = []
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
            good.append((head.size, head.root))
    return good


def _signatures(head: _Head, keys: Sequence[_Key]) -> list[_Signature]:
    """Those that say they are by one of the keys: all of them have to hold."""
    message = head.text.encode()
    return [
        (key.public, raw[4:], message)
        for name, raw in head.signatures
        for key in keys
        if (name, raw[:4]) == (key.name, key.key_id)
    ]


def _all_hold(signatures: Sequence[_Signature]) -> list[bool]:
    """Of each signature whether it holds."""
    held = []
    for public, signature, message in signatures:
        try:
            verify_signature(public, signature, message)
            held.append(True)
        except IntegrityError:
            held.append(False)
    return held


def _parse_head(note: str) -> _Head | None:
    text, separator, block = note.rpartition("\n\n")
    lines = text.split("\n")
    root = _base64(lines[2]) if len(lines) == 3 else None
    if not separator or root is None or len(root) != 32 or not _SIZE.fullmatch(lines[1]) or not block.endswith("\n"):
        return None
    signatures = []
    for line in block[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        raw = _base64(encoded)
        if dash != "—" or not name or raw is None or len(raw) < 5:
            return None
        signatures.append((name, raw))
    return _Head(text + "\n", signatures, lines[0], int(lines[1]), root)


def _base64(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def _root(hashes: Sequence[bytes]) -> bytes:
    """Root over a tile's worth of equally high subtrees, level by level."""
    level, sha256 = list(hashes), hashlib.sha256
    while len(level) > 1:
        level = [sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level), 2)]
    return level[0]


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _bundled(path: Path) -> tuple[list[bytes], bool]:
    """The entries of a bundle, of a cut one those that are whole; and whether more than them is in one that has them all."""
    entries, used, total = _unbundle(path.read_bytes())
    width = int(path.name) if path.parent.suffix == ".p" else _TILE
    return entries, used < total and len(entries) == width


def _unbundle(data: bytes) -> tuple[list[bytes], int, int]:
    entries, start, total = [], 2, len(data)
    while start <= total:
        end = start + (data[start - 2] << 8 | data[start - 1])
        if end > total:
            break
        entries.append(data[start:end])
        start = end + 2
    return entries, start - 2, total


def _path(level: str, n: int, width: int) -> str:
    digits = f"{n:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    name = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{name}" + ("" if width == _TILE else f".p/{width}")


def _partials(full: Path) -> list[Path]:
    """Partial bundles beside a full one's place, the widest first."""
    folder = full.with_name(full.name + ".p")
    found = [path for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
    return sorted(found, key=lambda path: -int(path.name))


def lines_of(report: Report) -> list[str]:
    """The report for people."""
    lines = [f"{report.entries} entries, {report.signed} covered by a signed checkpoint, root {report.root}"]
    if not report.key_given:
        lines.append("note: the key came with the log itself, so it is not independently trusted (give --key)")
    if report.unsigned:
        lines.append(f"note: entries {report.unsigned[0]} to {report.unsigned[1]} are not signed yet")
    if report.redacted:
        lines.append(f"note: {report.redacted} entries keep only their hash")
    lines += [f"note: entry {index} is an intent without an outcome: assume fully disclosed" for index in report.open_intents]
    lines += [f"BAD: {finding.message} [{finding.code}]" for finding in report.findings]
    lines.append("everything holds" if report.ok else "the log does NOT hold")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m vault.audit.verify", description="Verify an exported audit log offline.")
    parser.add_argument("export", type=Path, help="folder with checkpoint and tile/")
    parser.add_argument("--key", help="vkey line, or a file that holds one, from somewhere else than the export")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    if not options.export.is_dir():
        sys.stderr.write(f"{options.export} is not a folder\n")
        return 4
    key = options.key
    if key is not None and "+" not in key and Path(key).is_file():
        key = Path(key).read_text("utf-8", errors="replace").strip()
    report = verify_folder(options.export, key)
    if options.json:
        document = asdict(report) | {"ok": report.ok, "first_bad": report.first_bad}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        sys.stdout.write("\n".join(lines_of(report)) + "\n")
    return 0 if report.ok else 5


if __name__ == "__main__":
    # Once more under its own name, by which further processes know what is here.
    sys.exit(import_module("vault.audit.verify").main())
