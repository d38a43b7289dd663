"""Processes of our own program: started without this process's secrets, search path or descriptors.

The environment is an allow-list, so that a passphrase in a variable, whatever its name, stays here. Modules come from where this
process has found its own, never from the working folder or ``PYTHONPATH``. ``subprocess`` closes every descriptor but the standard
three.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

PASSED_ON = (
    "HOME",  # where the kernel cache lies, in the order of vault.genotypes.compute.kernel_cache
    "XDG_CACHE_HOME",
    "NUMBA_CACHE_DIR",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "LANG",  # how file names are spelled
    "LC_ALL",
    "LC_CTYPE",
    "TMPDIR",
    "LD_LIBRARY_PATH",  # an interpreter built apart does not start without
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
)
"""Variables that a child process may need; none of them carries a secret."""

_START = "import sys; name, *sys.path = sys.argv[1:]; del sys.argv[1:]; import importlib; importlib.import_module(name).main()"
_HOME = Path(__file__).resolve().parents[2]


def module_command(module: str) -> list[str]:
    """Arguments that run ``main`` of a module in a new interpreter, isolated (-I), with this process's places of installed code."""
    options = ["-I", *(["-B"] if sys.dont_write_bytecode else []), *(["-X", "utf8"] if sys.flags.utf8_mode else [])]
    return [sys.executable, *options, "-c", _START, module, *search_path()]


def search_path() -> list[str]:
    """This process's search path without the working folder, unless the program itself lies there."""
    here = Path.cwd()
    return [entry for entry in sys.path if Path(entry).is_absolute() and (Path(entry) == _HOME or Path(entry) != here)]


def scrubbed(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The part of an environment that is passed on to a child process."""
    return {name: environment[name] for name in PASSED_ON if name in environment}
