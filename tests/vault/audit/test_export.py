"""Exports of the log: a tlog-tiles folder and JSON lines."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from tests.support.log_verification import KEY
from vault.audit.export import export_jsonl, export_tiles
from vault.errors import InputError, UnavailableError


def test_export_refuses_an_existing_folder(export, grown):
    with pytest.raises(InputError) as caught:
        export_tiles(grown.log, export, vkey=KEY)
    assert caught.value.code == "output_exists"


@pytest.mark.parametrize("place", ["/dev/null/export", "/proc/export"])
def test_an_export_that_cannot_be_written_is_no_bug(grown, place):
    with pytest.raises(UnavailableError) as caught:
        export_tiles(grown.log, Path(place), vkey=KEY)
    assert caught.value.code == "output_unwritable"


def test_half_an_export_is_taken_away(grown, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vault.audit.export.tile_path", full)
    with pytest.raises(UnavailableError) as caught:
        export_tiles(grown.log, tmp_path / "out", vkey=KEY)
    assert caught.value.code == "output_unwritable"
    assert list(tmp_path.iterdir()) == []


def test_export_needs_a_checkpoint(books, tmp_path):
    with pytest.raises(UnavailableError) as caught:
        export_tiles(books.log, tmp_path / "out", vkey=KEY)
    assert caught.value.code == "not_signed_yet"


def test_jsonl_holds_every_entry(grown, tmp_path):
    with (tmp_path / "log.jsonl").open("w+") as out:
        assert export_jsonl(grown.log, out, start=10, stop=12) == 2
        out.seek(0)
        lines = [json.loads(line) for line in out]
    assert [line["index"] for line in lines] == [10, 11]
    assert lines[0]["leaf"]["act"] == "dataset.show"
