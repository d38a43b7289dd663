"""Hardening of a process that holds keys or genotypes, as the system offers it."""

from __future__ import annotations

import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4  # prctl(2)


def forbid_dumps() -> None:
    """Forbid core files and, on Linux, tracing: other processes of the same user can no longer read this one's memory.

    Nothing happens where the system knows neither. It holds for the process's life: a debugger has to start it.
    """
    forbid_core_files()
    if sys.platform != "linux":
        return
    with suppress(ImportError, OSError, AttributeError):
        import ctypes  # noqa: PLC0415 - takes time, and a command that opens nothing needs none

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def forbid_core_files() -> None:
    """Forbid core files alone: a core file would hold keys and genotypes."""
    with suppress(ImportError, OSError, ValueError):  # Windows writes none
        import resource  # noqa: PLC0415 - only where there is such a module

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
