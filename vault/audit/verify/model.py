"""The verifier's data: entries as a source has them, findings and the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

MAX_FINDINGS = 100  # a log that was rewritten has one per entry; the first ones locate the damage


class IntentKind(IntEnum):
    """Consequence of an intent without an outcome (``docs/formats/audit.md`` §2)."""

    ACTS = 0  # it names nobody: an act that was cut off
    OPENS = 1  # people's genotypes were being opened inside the vault, by an act that releases nothing
    RELEASES = 2  # an access: assume that everything was disclosed


class Chunk(NamedTuple):
    """Consecutive entries of a source: up to 256, beginning at a multiple of 256 unless an entry is missing."""

    first: int  # index of the first entry
    leaves: Sequence[bytes | None]  # None: payload dropped by retention; the hash stays
    hashes: Sequence[bytes] | None = None  # 32 bytes each, stored beside the entries; None: the source has none
    detailed: Sequence[bool] | None = None  # True where a sealed detail is stored; None: the source has no details
    bundle: str = ""  # path of an entry bundle (C2SP tlog-tiles), read in place of ``leaves``


class EntrySource(Protocol):
    """Origin of the entries: an exported folder or a live database."""

    def vkey(self) -> str | None:
        """The vkey lines that come with the log, one per line: several after a key rotation. None if there are none."""

    def checkpoints(self) -> Sequence[str]:
        """Signed checkpoints (C2SP signed-note), oldest first."""

    def head(self) -> tuple[int, bytes] | None:
        """(size, 32-byte root) of the stored head, signed or not; None if the source stores no head."""

    def chunks(self) -> Iterator[Chunk]:
        """All entries, by ascending index."""

    def tile(self, level: int, n: int, width: int) -> bytes | None:
        """The first ``width`` hashes of a tile, 32 bytes each (C2SP tlog-tiles).

        None if the source stores no such tile; fewer bytes than ``width * 32`` if the tile is lost or cut.
        """


@dataclass(frozen=True)
class LogFinding:
    """A failed check, located at ``entry``, or in the range ``entry`` to ``last``; ``entry`` is None if it concerns no entry.

    The codes are listed in ``docs/formats/audit.md`` §10.
    """

    code: str
    entry: int | None
    message: str
    last: int | None = None


@dataclass(frozen=True)
class VerificationReport:
    """Result of a verification: coverage and findings."""

    entries: int  # read and hashed
    signed: int  # covered by a checkpoint whose signature holds
    root: str  # hex, of the entries read
    unsigned: tuple[int, ...]  # (first, last) of the tail that no checkpoint covers; empty when there is none
    redacted: int  # entries whose payload retention dropped
    key_given: bool  # the key came from outside
    key: str | None  # vkey lines that were used
    open_intents: tuple[int, ...]  # entries without an outcome
    assumed: tuple[int, ...]  # those of them that are accesses: assume fully disclosed
    opened: tuple[int, ...]  # those of them that opened people's genotypes inside the vault
    closed_before: tuple[
        str, ...
    ]  # ids of intents that entries here close, and that are not in this log: in one that it continues
    steps_back: tuple[
        tuple[int, str, str], ...
    ]  # entry, its time, the later time of those before it: a clock was behind or set back
    findings: tuple[LogFinding, ...]

    @property
    def ok(self) -> bool:
        """True if there is no finding."""
        return not self.findings

    @property
    def first_bad(self) -> int | None:
        """Smallest index with a finding; a range counts by its start, and only if no finding names an entry inside it."""
        exact = [f.entry for f in self.findings if f.entry is not None and f.last is None]
        ranges = [(f.entry, f.last) for f in self.findings if f.entry is not None and f.last is not None]
        unexplained = [first for first, last in ranges if not any(first <= entry <= last for entry in exact)]
        return min(exact + unexplained, default=None)


@dataclass
class Checks:
    """Findings so far, at most ``MAX_FINDINGS``."""

    findings: list[LogFinding] = field(default_factory=list)

    def found(self, code: str, entry: int | None, message: str, *, last: int | None = None) -> None:
        """Add a finding."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(LogFinding(code, entry, message, last))


@dataclass
class Examined:
    """Facts of one chunk that need no other chunk, so a worker process can establish them. Positions are offsets in the chunk."""

    first: int
    hashes: bytes  # leaf hashes, 32 bytes each; zeros at ``unhashed``
    root: bytes  # root of a chunk of 256 hashed entries; empty otherwise
    ids: list[bytes]  # event ids; empty at entries without one
    unhashed: list[int] = field(default_factory=list)  # neither payload nor hash: only the tile can have the hash
    redacted: list[int] = field(default_factory=list)
    altered: list[int] = field(default_factory=list)  # differ from the hash stored beside them
    malformed: list[int] = field(default_factory=list)
    detail_missing: list[int] = field(default_factory=list)
    detail_foreign: list[int] = field(default_factory=list)
    intents: list[tuple[int, IntentKind]] = field(default_factory=list)
    refers: list[tuple[int, bytes]] = field(default_factory=list)
    consents: list[tuple[int, int, bytes, int]] = field(default_factory=list)  # offset, seq, head, added
    rest: bool = False  # the bundle has bytes after its last entry
    continues: bool = False  # leaf 0 has ``prev``: this log continues another
    times: list[bytes] = field(default_factory=list)  # of each entry, as it is written; empty at entries without one


def lines_of(report: VerificationReport) -> list[str]:
    """The report as lines of text for a terminal."""
    lines = [f"{report.entries} entries, {report.signed} covered by a signed checkpoint, root {report.root}"]
    if not report.key_given:
        lines.append("note: the key came with the log itself, so it is not independently trusted (give --key)")
    if report.unsigned:
        first, last = report.unsigned[0], report.unsigned[-1]
        lines.append(
            f"note: entry {last} is not signed yet" if first == last else f"note: entries {first} to {last} are not signed yet"
        )
    if report.redacted:
        lines.append(f"note: {report.redacted} entries keep only their hash")
    lines += [f"note: entry {index} {_left_open(report, index)}" for index in report.open_intents]
    lines += [
        f"note: entry {index} says {time}, earlier than {before} of an entry before it: a clock was behind, or was set back"
        for index, time, before in report.steps_back
    ]
    lines += [f"BAD: {finding.message} [{finding.code}]" for finding in report.findings]
    lines.append(headline(report))
    return lines


def headline(report: VerificationReport) -> str:
    """One sentence on the whole log; of entries that nobody signed yet it claims nothing."""
    if not report.ok:
        return "the log does NOT hold"
    if not report.unsigned:
        return "everything holds"
    waiting = report.entries - report.signed
    return f"the {report.signed} signed entries hold; {waiting} after them {'is' if waiting == 1 else 'are'} not signed yet"


def _left_open(report: VerificationReport, index: int) -> str:
    """Verdict on an entry without an outcome (``docs/formats/audit.md`` §2)."""
    if index in report.assumed:
        return "is an access without an outcome: assume fully disclosed"
    if index in report.opened:
        return "has no outcome: genotypes were opened inside the vault, and nothing was released by it"
    return "has no outcome: the act was cut off, and opened nobody's data"
