"""Wall time, processor time and peak memory of commands, and what many runs in turn say of a ratio."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds of wall and processor time, peak memory in MB (the largest single process)."""

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
        with subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if keep else sink,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        ) as process:
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
    return Run(wall, usage[2].ru_utime + usage[2].ru_stime, usage[2].ru_maxrss / 1024, output)


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
