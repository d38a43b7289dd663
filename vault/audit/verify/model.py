"""The verifier's data: entries as a source has them, findings and the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

MAX_FINDINGS = 100  # more say nothing new


class Chunk(NamedTuple):
    """Consecutive entries as a source has them: up to a tile's worth, from a multiple of 256 on where none is missing."""

    first: int
    leaves: Sequence[bytes | None]  # None: payload dropped by retention, only the hash is left
    hashes: Sequence[bytes] | None = None  # stored beside the entries; None: this source keeps none
    detailed: Sequence[bool] | None = None  # whether each has a sealed detail; None: this source keeps none
    bundle: str = ""  # file with the entries as tlog-tiles bundles them, instead of ``leaves``


class EntrySource(Protocol):
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
class LogFinding:
    """Something that does not hold, and where: at ``entry``, or somewhere from ``entry`` to ``last``. None: at no entry."""

    code: str
    entry: int | None
    message: str
    last: int | None = None


@dataclass(frozen=True)
class VerificationReport:
    """What was checked and what does not hold."""

    entries: int  # read and hashed
    signed: int  # covered by a checkpoint whose signature holds
    root: str  # hex, of the entries read
    unsigned: tuple[int, ...]  # (first, last) of the tail that no checkpoint covers; empty when there is none
    redacted: int
    key_given: bool  # the key came from outside
    key: str | None
    open_intents: tuple[int, ...]  # accesses without an outcome: assume fully disclosed
    findings: tuple[LogFinding, ...]

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


def lines_of(report: VerificationReport) -> list[str]:
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
