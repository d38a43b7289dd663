"""Exports whose files were edited: each edit is a finding."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.audit_log import SIGNER, event, make_books
from tests.support.log_verification import KEY, codes
from vault.audit.export import export_tiles
from vault.audit.verify import verify_folder
from vault.audit.verify.folder import GROUP, FolderSource
from vault.audit.verify.hashing import TILE_WIDTH


class TestEditedExport:
    def test_a_whole_export_holds(self, export):
        report = verify_folder(export, KEY)
        assert report.ok
        assert (report.entries, report.signed) == (590, 590)
        assert {path.name for path in export.iterdir()} == {"checkpoint", "log.vkey", "tile"}

    @pytest.mark.parametrize("position", [2, 100, 20_000])
    def test_a_changed_entry_is_named(self, export, position):
        bundle = export / "tile/entries/001"
        raw = bytearray(bundle.read_bytes())
        raw[position] ^= 1
        bundle.write_bytes(raw)
        report = verify_folder(export, KEY)
        assert 256 <= report.first_bad < 512

    def test_every_changed_byte_of_a_small_export_is_caught(self, tmp_path):
        books = make_books(tmp_path)
        books.log.record_many([event()] * 3)
        books.log.checkpoint(SIGNER)
        export_tiles(books.log, tmp_path / "small", vkey=KEY)
        for path in sorted((tmp_path / "small").rglob("*")):
            if not path.is_file() or path.name == "log.vkey":
                continue
            whole = path.read_bytes()
            for position in range(len(whole)):
                path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
                assert not verify_folder(tmp_path / "small", KEY).ok, (path.name, position)
            path.write_bytes(whole)
        books.database.close()

    @pytest.mark.parametrize(
        "name", ["tile/entries/000", "tile/entries/002.p/78", "tile/0/001", "tile/0/002.p/78", "tile/1/000.p/2"]
    )
    def test_missing_files_are_caught(self, export, name):
        (export / name).unlink()
        assert not verify_folder(export, KEY).ok

    def test_a_missing_checkpoint_is_caught(self, export):
        (export / "checkpoint").unlink()
        assert "unsigned" in codes(verify_folder(export, KEY))

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("tile/0/000", "tile_missing"),
            ("tile/1/000.p/2", "tile_missing"),
            ("tile/entries/000", "bundle_altered"),
            ("tile/entries/002.p/78", "bundle_altered"),
        ],
    )
    @pytest.mark.parametrize("more", [b"x", b"x" * 40, b"\x00"])
    def test_what_is_put_behind_a_file_s_end_is_found(self, export, name, code, more):
        with (export / name).open("ab") as file:
            file.write(more)
        assert codes(verify_folder(export, KEY)) == {code}

    def test_an_older_checkpoint_leaves_an_unsigned_tail(self, export, grown):
        (export / "checkpoint").write_text(grown.log.checkpoints()[0])
        report = verify_folder(export, KEY)
        assert report.ok
        assert report.unsigned == (300, 589)


@settings(deadline=None)
@given(st.binary(max_size=120), st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=40))
def test_garbage_is_reported_and_never_raises(checkpoint, bundle, tile, key):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tile/entries/000.p").mkdir(parents=True)
        (folder / "tile/0").mkdir()
        (folder / "checkpoint").write_bytes(checkpoint)
        (folder / "tile/entries/000.p/3").write_bytes(bundle)
        (folder / "tile/0/000").write_bytes(tile)
        (folder / "log.vkey").write_bytes(key)
        assert not verify_folder(folder).ok
        assert not verify_folder(folder, KEY).ok


def test_links_make_no_export_without_end(tmp_path):
    """Bundles under one another's names, in a folder that holds itself: the folder's own thousand, and no more."""
    bundles = tmp_path / "tile" / "entries"
    bundles.mkdir(parents=True)
    (bundles / "000").write_bytes(b"\0\1x" * TILE_WIDTH)
    for n in range(1, GROUP):
        (bundles / f"{n:03}").hardlink_to(bundles / "000")
    for n in range(3):
        (bundles / f"x{n:03}").symlink_to(".")
    source = FolderSource(tmp_path)
    assert sum(1 for _ in islice(source.chunks(), GROUP + 2)) == GROUP
