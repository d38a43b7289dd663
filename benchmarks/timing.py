"""Wall time, processor time and peak memory of commands, and what many runs in turn say of a ratio."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds of wall and processor time, peak memory in MB (of all its processes, each at its own peak)."""

    wall: float
    cpu: float
    peak: float
    output: bytes = b""


def run(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, stdout: Path | None = None, keep: bool = False
) -> Run:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; the message has the end of what it said.
    """
    with Path(stdout or os.devnull).open("wb") as sink:
        started = time.perf_counter()
        with (
            subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if keep else sink,
                stderr=subprocess.PIPE,
                env={**os.environ, **(env or {})},
            ) as process,
            _Peaks(process.pid) as peaks,
        ):
            output, said, usage = b"", b"", None
            if keep:
                output, said = process.communicate()  # which reaps the process: then only wall time is known
            elif process.stderr is not None:
                said = process.stderr.read()
                usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(usage[1])
            wall = time.perf_counter() - started
    status = process.returncode
    if status:
        raise RuntimeError(f"{command[0]} ended with {status}: {said[-400:].decode(errors='replace')}")
    if usage is None:
        return Run(wall, 0.0, 0.0, output)
    return Run(wall, usage[2].ru_utime + usage[2].ru_stime, max(peaks.megabytes, usage[2].ru_maxrss / 1024), output)


class _Peaks:
    """Watches a process and those that it begins: what the system says of a process that has ended is the largest single one's."""

    def __init__(self, process_id: int) -> None:
        self._root = process_id
        self._found: dict[int, int] = {}  # KiB by process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def megabytes(self) -> float:
        """The sum of all peaks seen."""
        return sum(self._found.values()) / 1024

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            waiting = [self._root]
            while waiting:
                here = Path("/proc", str(waiting.pop()))
                with contextlib.suppress(OSError, IndexError, ValueError):  # it has ended meanwhile
                    waiting += [
                        int(child) for task in (here / "task").iterdir() for child in (task / "children").read_text().split()
                    ]
                    peak = (here / "status").read_text().split("VmHWM:")[1].split(maxsplit=1)[0]
                    self._found[int(here.name)] = max(self._found.get(int(here.name), 0), int(peak))


@dataclass(frozen=True)
class Figures:
    """Seconds of several runs."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """Middle run."""
        return statistics.median(self.runs)

    @property
    def text(self) -> str:
        """Median and range."""
        return f"{show(self.median)} ({show(min(self.runs))} to {show(max(self.runs))})"


def ratio(ours: Figures, peer: Figures) -> float:
    """Median of the ratios of runs that were made in turn."""
    return statistics.median(a / b for a, b in zip(ours.runs, peer.runs, strict=False))


def show(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
