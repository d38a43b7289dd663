"""Client of the reader process: files read by a process of their own (``reader_process``)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from vault.errors import GenovaultError, UnavailableError
from vault.files.child_process import module_command, scrubbed
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.personal_calls import PersonalCalls
from vault.genotypes.ingest.pipe_frames import FrameKind, described, read_frame
from vault.genotypes.ingest.reading import Progress, ReadFile

_READER = "vault.genotypes.ingest.reader_process"


class ReadingApart:
    """``Reading`` through another process.

    Raises:
        OSError: there is no room for another process.
    """

    def __init__(self, paths: Sequence[Path], assembly: str, fasta: Path | None = None) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            module_command(_READER),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=scrubbed(),
        )
        self._files: list[_FileApart] | None = None
        self._failure: Exception | None = None
        named = None if fasta is None else str(fasta.absolute())
        self.say({"files": [str(path.absolute()) for path in paths], "assembly": assembly, "fasta": named})

    def files(self) -> Sequence[ReadFile]:
        """As ``Reading``."""
        if self._files is None:
            body = self.hear(FrameKind.OPENED)[1]
            with _understood():
                self._files = [
                    _FileApart(self, int(size), tuple(map(str, samples)), gvcf=bool(gvcf))
                    for size, samples, gvcf in json.loads(body)
                ]
        return self._files

    def close(self) -> None:
        """As ``Reading``."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def say(self, order: object) -> None:
        """A line down to the process."""
        with suppress(BrokenPipeError):  # it has ended; its last frame, or the lack of one, is read next
            self._process.stdin.write(json.dumps(order).encode() + b"\n")  # type: ignore[union-attr]

    def hear(self, *expected: FrameKind) -> tuple[FrameKind, bytearray]:
        """The next frame.

        Raises:
            GenovaultError: the error that the process met.
            UnavailableError: ``reader_ended``: it ended without a frame, or sent one that does not fit.
        """
        if self._failure is None:
            try:
                return _frame(self._process.stdout.readinto, expected)  # type: ignore[union-attr]
            except Exception as error:  # noqa: BLE001 - after any error there is no other frame
                self._failure = error
        raise self._failure


class _FileApart:
    def __init__(self, reading: ReadingApart, size: int, samples: tuple[str, ...], *, gvcf: bool) -> None:
        self._reading, self.size, self.samples, self.gvcf = reading, size, samples, gvcf

    def personal(self, rule: AssayRule, progress: Progress) -> PersonalCalls:
        from vault.genotypes.ingest.personal_frames import PersonalFrames  # noqa: PLC0415 - most files are no gVCF

        reading, frames, counts = self._reading, PersonalFrames(), dict[str, int]()
        reading.say({"rule": rule.text()})
        while True:
            kind, body = reading.hear(FrameKind.PROGRESS, FrameKind.CONTIG, FrameKind.COUNTS, FrameKind.END)
            with _understood():
                if kind is FrameKind.END:
                    return frames.finish(counts)
                if kind is FrameKind.CONTIG:
                    frames.add(body)
                if kind is FrameKind.COUNTS:
                    counts = {str(name): int(count) for name, count in json.loads(body).items()}
                read, sites = map(int, json.loads(body)) if kind is FrameKind.PROGRESS else (0, 0)
            if kind is FrameKind.PROGRESS:
                progress(read, sites)

    def chunks(self, columns: Sequence[int], progress: Progress) -> Iterator[SiteChunk]:
        reading = self._reading
        wanted = list(columns)
        reading.say(None if wanted == list(range(len(self.samples))) else wanted)
        while True:
            kind, body = reading.hear(FrameKind.PROGRESS, FrameKind.CHUNK, FrameKind.END)
            if kind is FrameKind.END:
                return
            with _understood():
                chunk = SiteChunk.from_bytes(body) if kind is FrameKind.CHUNK else None
                read, sites = map(int, json.loads(body)) if kind is FrameKind.PROGRESS else (0, 0)
            if chunk is not None:
                yield chunk
            else:
                progress(read, sites)


def _frame(readinto: Callable[[memoryview], int], expected: Sequence[FrameKind]) -> tuple[FrameKind, bytearray]:
    with _understood():
        kind, body = read_frame(readinto)
        if kind is FrameKind.FAILED:
            raise _failure(json.loads(body))
        if kind not in expected:
            raise ValueError
    return kind, body


@contextmanager
def _understood() -> Iterator[None]:
    """Map protocol errors of the reader process to ``reader_ended``."""
    try:
        yield
    except (EOFError, OSError, ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise UnavailableError(
            "reader_ended",
            "the process that reads the files ended early",
            hint="look for a lack of memory in the system's log, and repeat",
        ) from None


def _failure(fields: list[Any]) -> Exception:
    if not fields[0]:  # a defect of the reader, reported as one
        return RuntimeError(f"the reading process failed: {fields[1]} at {fields[2]}")
    error: GenovaultError = described(fields)
    return error
