"""What tests take from outside the repository: shared data files and other people's programs.

Both are optional on a developer's machine (the test is skipped) and programs are required in CI (the test fails), so that a
conformance test cannot quietly stop running.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed, and CI must run this test")
        pytest.skip(f"{name} is not installed")
    return path
