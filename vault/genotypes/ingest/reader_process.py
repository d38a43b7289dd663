"""A process that reads genotype files for another, started by ``reader_client`` and spoken with in ``pipe_frames``.

It holds no key, no database and no secret in its environment, parses what came from outside, and ends with its pipes.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from vault.errors import GenovaultError
from vault.files.hardening import forbid_dumps
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.personal_calls import PersonalCalls
from vault.genotypes.ingest.pipe_frames import FrameKind, describe, write_frame
from vault.genotypes.ingest.read_ahead import ReadingHere
from vault.genotypes.ingest.reading import Progress


def main() -> None:
    """Serve the one job on standard input; frames go to standard output."""
    forbid_dumps()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that began this one, which ends it
    gc.set_threshold(50_000, 20, 50)  # large arrays and few cycles: looking for them costs more than it frees
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints of libraries do not end up in a frame
    try:
        _serve(sys.stdin.buffer, out)
    except BrokenPipeError:
        pass
    except GenovaultError as error:
        _fail(out, describe(error))
    except BaseException as error:  # noqa: BLE001 - told to the process that began this one
        place = traceback.extract_tb(error.__traceback__)[-1]
        _fail(out, ["", type(error).__name__, f"{Path(place.filename).name}:{place.lineno}", ""])
    os._exit(0)  # threads may be in the middle of a file


def _serve(orders: BinaryIO, out: BinaryIO) -> None:
    job = json.loads(orders.readline())
    fasta = None if job["fasta"] is None else Path(job["fasta"])
    reading = ReadingHere([Path(path) for path in job["files"]], job["assembly"], fasta)
    files = reading.files()
    _send(out, FrameKind.OPENED, [[file.size, file.samples, file.gvcf] for file in files])
    for file in files:
        line = orders.readline()
        if not line:
            return
        order = json.loads(line)
        if isinstance(order, dict):
            _send_person(out, file.personal(AssayRule.from_text(order["rule"]), _teller(out)))
        else:
            wanted = range(len(file.samples)) if order is None else order
            for chunk in file.chunks(wanted, _teller(out)):
                write_frame(out, FrameKind.CHUNK, chunk.to_parts())
        write_frame(out, FrameKind.END)


def _teller(out: BinaryIO) -> Progress:
    return lambda read, sites: _send(out, FrameKind.PROGRESS, [read, sites])


def _send_person(out: BinaryIO, calls: PersonalCalls) -> None:
    from vault.genotypes.ingest.personal_frames import contig_parts  # noqa: PLC0415 - most files are no gVCF

    for contig in calls.contigs:
        write_frame(out, FrameKind.CONTIG, contig_parts(calls, contig))
    _send(out, FrameKind.COUNTS, calls.counts.as_dict())


def _send(out: BinaryIO, kind: FrameKind, body: Any) -> None:
    write_frame(out, kind, [json.dumps(body).encode()])


def _fail(out: BinaryIO, fields: list[str]) -> None:
    try:
        _send(out, FrameKind.FAILED, fields)
    except OSError:  # the other side has gone
        return
