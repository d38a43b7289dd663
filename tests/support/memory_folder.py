"""The folder for temporary files that lies in memory, where the machine has one.

A vault waits for the disk with every commit (``synchronous=FULL``), about forty times in a test that opens one, works and closes it.
The calls are made all the same, and what they mean is tested by counting and by failing them; the disk itself proves nothing here.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FOLDER = Path("/dev/shm")
ROOM = 4 * 2**30  # bytes; the suites take less than half
MEMORY = 6 * 2**30  # bytes that must be available


def use() -> None:
    """Have this process and those that it starts make temporary files there, unless TMPDIR says where."""
    if "TMPDIR" not in os.environ and _is_fit():
        os.environ["TMPDIR"] = str(FOLDER)
        tempfile.tempdir = None  # asked for anew


def _is_fit() -> bool:
    """Room for the suites, and programs may be run from there, as tests do."""
    try:
        found = os.statvfs(FOLDER)
        lines = Path("/proc/meminfo").read_text().splitlines()
    except (OSError, AttributeError):  # another system
        return False
    available = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)
    may_run = not found.f_flag & os.ST_NOEXEC
    return may_run and os.access(FOLDER, os.W_OK) and found.f_bavail * found.f_frsize >= ROOM and available >= MEMORY
