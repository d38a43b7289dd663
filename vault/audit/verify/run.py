"""The whole verification: checkpoints first, then one pass over the entries (``docs/formats/audit.md`` §10)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vault.audit.verify.checkpoints import checked_heads, parse_vkey
from vault.audit.verify.folder import FolderSource
from vault.audit.verify.leaves import examine_all
from vault.audit.verify.model import Checks, EntrySource, IntentKind, VerificationReport
from vault.audit.verify.tree import TreeWalk
from vault.audit.verify.workers import CHUNKS_AT_ONCE, PARALLEL_FROM, spread


def verify(source: EntrySource, vkey: str | None = None, *, later: Sequence[VerificationReport] = ()) -> VerificationReport:
    """Verify a log against ``vkey``: one or more vkey lines from a source other than the log.

    ``later``: the reports of the logs that continue this one, whose entries may close intents of this one.

    Without ``vkey`` the log's own key is used, and the report says so (``key_given``). Any defect of the log becomes a
    finding, never an error.
    """
    checks = Checks()
    text = vkey if vkey is not None else source.vkey()
    keys = [key for line in (text or "").split("\n") if (key := parse_vkey(line)) is not None]
    if not keys:
        checks.found("key_malformed", None, "there is no readable public key to check signatures with")
    heads = checked_heads(source.checkpoints(), keys, checks)
    if not heads:
        checks.found("unsigned", None, "no signed checkpoint covers this log")
    signed = max((size for size, _ in heads), default=0)
    walk = TreeWalk(source, heads, checks)
    for found in spread(examine_all, source.chunks(), CHUNKS_AT_ONCE, parallel=signed >= PARALLEL_FROM):
        walk.take(found)
    walk.finish(signed)
    closed = {event_id.encode() for report in later for event_id in report.closed_before}
    left_open = [place for event_id, place in walk.intents.items() if event_id not in closed]
    return VerificationReport(
        entries=walk.size,
        signed=min(signed, walk.size),
        root=walk.root().hex(),
        unsigned=(signed, walk.size - 1) if walk.size > signed else (),
        redacted=walk.redacted,
        key_given=vkey is not None,
        key=text,
        open_intents=tuple(index for index, _ in left_open),
        assumed=tuple(index for index, kind in left_open if kind is IntentKind.RELEASES),
        opened=tuple(index for index, kind in left_open if kind is IntentKind.OPENS),
        closed_before=tuple(event_id.decode() for event_id in walk.closed_before),
        steps_back=tuple(walk.steps_back),
        findings=tuple(sorted(checks.findings, key=lambda f: (f.entry is None, f.entry or 0))),
    )


def verify_folder(folder: Path, vkey: str | None = None) -> VerificationReport:
    """Verify an exported tlog-tiles folder. Arguments and result as of ``verify``."""
    return verify(FolderSource(folder), vkey)
