"""Test inputs from outside the repository: shared data files, external programs and extras.

All are optional on a developer's machine (the test is skipped); programs and extras are required in CI (the test fails), so that a
conformance test cannot quietly stop running.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def shared(relative: str) -> Path:
    """A file or folder of the shared data folder (GENOVAULT_SHARED, default: ``shared`` beside the repository)."""
    folder = Path(os.environ.get("GENOVAULT_SHARED") or _ROOT.parent / "shared")
    path = folder / relative
    if not path.exists():
        pytest.skip(f"no shared data: {relative}")
    return path


def tool(name: str) -> str:
    """Path of an outside program on PATH."""
    return shutil.which(name) or lacking(name)


def extra(name: str) -> Any:
    """A module that an extra brings."""
    return lacking(name) if importlib.util.find_spec(name) is None else importlib.import_module(name)


def lacking(what: str) -> NoReturn:
    """Skip for want of something that is not installed; fail where CI must run the test."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not installed, and CI must run this test")
    pytest.skip(f"{what} is not installed", allow_module_level=True)
