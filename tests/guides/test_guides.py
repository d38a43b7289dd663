"""The guides of docs/, from the first block to the last."""

from __future__ import annotations

import pytest

from tests.support.guides import run_guide
from tests.support.shell import Shell


@pytest.mark.parametrize("page", ["steward-guide.md", "researcher-guide.md", "engineer-guide.md", "sealed-parcel.md"])
def test_a_guide_prints_what_it_says(page, tmp_path, monkeypatch):
    run_guide(page, Shell(tmp_path, monkeypatch))
