"""The offline verifier against logs that somebody edited. Nothing here uses the writer's own checks."""

from __future__ import annotations

import ast
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysqlite3 import dbapi2

from tests.support.audit_log import ORIGIN, SIGNER, VKEY, event, make_books, open_log, tamper, token
from vault.audit import verify as verify_module
from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.entry import Actor, ConsentHead, Event, ObjectRef
from vault.audit.export import export_jsonl, export_tiles
from vault.audit.live_source import LogSource
from vault.audit.merkle import CompactRange, leaf_hash, perfect_root
from vault.audit.note import ED25519, Checkpoint, VerifierKey, sign_note
from vault.audit.receipt import verify_receipt
from vault.audit.verify import lines_of, main, verify, verify_folder
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret
from vault.errors import InputError, UnavailableError
from vault.storage.database import Database

KEY = VKEY.to_text()
SIZE = 600
BARE = {"entry_missing", "head_mismatch"}  # of an unsigned entry with neither content nor hash


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """600 entries, signed at 300 and at 590."""
    books = make_books(tmp_path_factory.mktemp("grown"))
    books.log.record_many([event(detail={"i": i}) for i in range(300)])
    books.log.checkpoint(SIGNER)
    books.log.record_many([event(subjects=[token(i)]) for i in range(290)])
    books.log.checkpoint(SIGNER)
    books.log.record_many([event()] * 10)
    books.database.checkpoint_wal()
    books.database.close()
    return books


@pytest.fixture
def copy(grown, tmp_path):
    """A copy of the grown log to be edited, and how to verify it."""
    path = tmp_path / "books.db"
    shutil.copy2(grown.path, path)
    return path


@pytest.fixture(scope="module")
def exported(grown, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "tiles"
    export_tiles(grown.log, folder, vkey=KEY)
    return folder


@pytest.fixture
def export(exported, tmp_path):
    folder = tmp_path / "tiles"
    shutil.copytree(exported, folder)
    return folder


def check(path, key=KEY):
    database = Database(f"sqlite:///{path}")
    try:
        return verify(LogSource(open_log(database), KEY), key)
    finally:
        database.close()


def codes(report):
    return {finding.code for finding in report.findings}


def leaf_at(path, index):
    connection = dbapi2.connect(str(path))
    (leaf,) = connection.execute("SELECT leaf FROM audit_leaf WHERE idx = ?", (index,)).fetchone()
    connection.close()
    return leaf


def test_a_whole_log_holds(grown):
    report = check(grown.path)
    assert report.ok
    assert (report.entries, report.signed, report.unsigned, report.key_given) == (SIZE, 590, (590, 599), True)


def test_without_an_outside_key_the_report_says_so(grown):
    report = check(grown.path, None)
    assert report.ok
    assert not report.key_given
    assert any("not independently trusted" in line for line in lines_of(report))


def test_another_key_does_not_hold(grown):
    other = VerifierKey(ORIGIN, ED25519, SigningKey(Secret(b"\x09" * 32)).public)
    report = check(grown.path, other.to_text())
    assert codes(report) >= {"signature_missing"}
    assert report.signed == 0
    assert "checkpoint_origin" in codes(check(grown.path, VerifierKey("other.log", ED25519, SIGNER.public).to_text()))
    assert "key_malformed" in codes(check(grown.path, "nonsense"))


class TestEditedRows:
    @pytest.mark.parametrize("index", [0, 255, 256, 299, 300, 511, 512, 589, 599])
    def test_an_edited_leaf_is_named(self, copy, index):
        edited = leaf_at(copy, index).replace(b'"ann"', b'"bob"')
        tamper(copy, ("UPDATE audit_leaf SET leaf = ? WHERE idx = ?", (edited, index)))
        report = check(copy)
        assert report.first_bad == index
        assert "entry_altered" in codes(report)

    @pytest.mark.parametrize("index", [0, 255, 256, 511])
    def test_an_edited_leaf_with_its_hash_is_named_by_its_tile(self, copy, index):
        edited = leaf_at(copy, index).replace(b'"ann"', b'"bob"')
        tamper(copy, ("UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE idx = ?", (edited, leaf_hash(edited), index)))
        report = check(copy)
        assert codes(report) >= {"entry_altered", "root_mismatch"}
        assert report.first_bad == index

    def test_a_log_rewritten_from_an_entry_on_differs_from_what_was_signed(self, copy):
        """Leaf, hash, tiles, head: everything but the signatures, which the editor cannot make."""
        edited = leaf_at(copy, 400).replace(b'"ann"', b'"bob"')
        tamper(copy, ("UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE idx = 400", (edited, leaf_hash(edited))))
        rebuild(copy)
        report = check(copy)
        assert codes(report) == {"root_mismatch"}
        assert report.first_bad == 300  # the newest checkpoint that still holds; the message gives the range
        assert "from 300 to 589" in report.findings[0].message

    def test_an_unsigned_tail_rewritten_whole_is_only_named_unsigned(self, copy):
        """The limit of any log: what nobody signed, nobody can prove."""
        edited = leaf_at(copy, 595).replace(b'"ann"', b'"bob"')
        tamper(copy, ("UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE idx = 595", (edited, leaf_hash(edited))))
        assert "head_mismatch" in codes(check(copy))
        rebuild(copy)
        report = check(copy)
        assert report.ok
        assert report.unsigned == (590, 599)

    @pytest.mark.parametrize("index", [0, 299, 400, 589])
    def test_a_deleted_row_is_named(self, copy, index):
        tamper(copy, ("DELETE FROM audit_leaf WHERE idx = ?", (index,)))
        report = check(copy)
        assert (report.first_bad, codes(report)) == (index, {"entry_missing"})

    def test_a_deleted_row_with_the_others_moved_up_is_named(self, copy):
        tamper(
            copy,
            "DELETE FROM audit_leaf WHERE idx = 100",
            "UPDATE audit_leaf SET idx = -idx WHERE idx > 100",
            "UPDATE audit_leaf SET idx = -idx - 1 WHERE idx < 0",
        )
        report = check(copy)
        assert report.first_bad == 100
        assert codes(report) >= {"entry_altered", "head_mismatch"}

    def test_an_inserted_row_is_named(self, copy):
        forged = leaf_at(copy, 100).replace(b'"ann"', b'"bob"')
        tamper(
            copy,
            "UPDATE audit_leaf SET idx = -idx WHERE idx >= 100",
            "UPDATE audit_leaf SET idx = -idx + 1 WHERE idx < 0",
            (
                "INSERT INTO audit_leaf (idx, event_id, leaf_hash, leaf) VALUES (100, ?, ?, ?)",
                (bytes(16), leaf_hash(forged), forged),
            ),
        )
        report = check(copy)
        assert report.first_bad == 100
        assert codes(report) >= {"entry_altered", "head_mismatch", "entry_repeated"}

    def test_an_appended_forgery_is_named(self, copy):
        forged = leaf_at(copy, 100).replace(b'"ann"', b'"bob"')
        tamper(
            copy,
            (
                "INSERT INTO audit_leaf (idx, event_id, leaf_hash, leaf) VALUES (600, ?, ?, ?)",
                (bytes(16), leaf_hash(forged), forged),
            ),
        )
        assert check(copy).first_bad == 600

    def test_swapped_rows_are_named(self, copy):
        tamper(
            copy,
            "UPDATE audit_leaf SET idx = -1 WHERE idx = 50",
            "UPDATE audit_leaf SET idx = 50 WHERE idx = 60",
            "UPDATE audit_leaf SET idx = 60 WHERE idx = -1",
        )
        report = check(copy)
        assert report.first_bad == 50

    @pytest.mark.parametrize("kept", [0, 1, 256, 300, 589])
    def test_truncation_is_named(self, copy, kept):
        tamper(copy, ("DELETE FROM audit_leaf WHERE idx >= ?", (kept,)))
        report = check(copy)
        assert (report.first_bad, "truncated" in codes(report)) == (kept, True)

    def test_truncation_with_its_checkpoints_needs_an_outside_anchor(self, copy):
        """Without a checkpoint kept elsewhere this cannot be seen: anchors are for this."""
        tamper(copy, "DELETE FROM audit_leaf WHERE idx >= 300", "DELETE FROM audit_checkpoint WHERE size > 300")
        rebuild(copy)
        assert check(copy).ok

    def test_truncation_to_an_old_head_is_named(self, copy):
        tamper(copy, "DELETE FROM audit_leaf WHERE idx >= 300")
        rebuild(copy)
        assert check(copy).first_bad == 300

    def test_a_missing_detail_is_named(self, copy):
        tamper(copy, "DELETE FROM audit_detail WHERE idx = 7")
        report = check(copy)
        assert (report.first_bad, codes(report)) == (7, {"detail_missing"})

    def test_a_foreign_detail_is_named(self, copy):
        tamper(copy, "UPDATE audit_detail SET idx = 550 WHERE idx = 7")
        assert codes(check(copy)) == {"detail_missing", "detail_foreign"}

    def test_a_missing_and_an_edited_tile_are_named(self, copy):
        tamper(copy, "DELETE FROM audit_tile WHERE level = 0 AND n = 0")
        assert codes(check(copy)) == {"tile_missing"}
        tamper(copy, ("UPDATE audit_tile SET data = ? WHERE n = 1", (bytes(8192),)))
        assert codes(check(copy)) == {"tile_missing", "entry_altered"}

    @pytest.mark.parametrize(
        ("statement", "first_bad", "found"),
        [
            ("UPDATE audit_leaf SET leaf = CAST(leaf AS TEXT) WHERE idx = 7", 7, {"entry_malformed"}),
            ("UPDATE audit_leaf SET leaf = 12 WHERE idx = 7", 7, {"entry_malformed"}),
            ("UPDATE audit_leaf SET leaf = '' WHERE idx = 7", 7, {"entry_malformed"}),
            ("UPDATE audit_leaf SET leaf_hash = 'none' WHERE idx = 7", 7, {"entry_altered"}),
            ("UPDATE audit_leaf SET leaf_hash = substr(hex(leaf_hash), 1, 32) WHERE idx = 7", 7, {"entry_altered"}),
            ("UPDATE audit_leaf SET leaf = 'x', leaf_hash = 'y' WHERE idx = 597", 597, BARE | {"entry_malformed"}),
            ("UPDATE audit_leaf SET leaf = NULL, leaf_hash = 'y' WHERE idx = 597", 597, BARE),
            ("UPDATE audit_tile SET data = CAST(hex(data) AS TEXT) WHERE level = 0 AND n = 0", None, {"tile_missing"}),
            ("UPDATE audit_head SET stack = CAST(hex(stack) AS TEXT)", 590, {"head_mismatch"}),
            ("UPDATE audit_head SET size = 'many'", 0, {"head_mismatch"}),
            ("UPDATE audit_checkpoint SET note = x'00' WHERE size = 300", None, {"checkpoint_malformed"}),
        ],
    )
    def test_values_of_another_type_are_findings(self, copy, statement, first_bad, found):
        """SQLite keeps in a column whatever is put there."""
        tamper(copy, statement)
        report = check(copy)
        assert (report.first_bad, codes(report)) == (first_bad, found)

    def test_a_fork_signed_by_the_log_itself_is_named(self, copy):
        """The same size signed twice with different roots cannot be stored; a later size that does not extend is caught."""
        fork = sign_note(Checkpoint(ORIGIN, 595, bytes(32)).to_text(), ORIGIN, SIGNER)
        tamper(
            copy, ("INSERT INTO audit_checkpoint (base, size, root, note, created) VALUES (0, 595, ?, ?, 0)", (bytes(32), fork))
        )
        report = check(copy)
        assert (report.first_bad, codes(report)) == (590, {"root_mismatch"})

    def test_a_lost_head_is_named(self, copy):
        tamper(copy, "DELETE FROM audit_head")
        assert codes(check(copy)) == {"head_mismatch"}

    def test_dropped_payloads_still_verify(self, copy):
        tamper(copy, "UPDATE audit_leaf SET leaf = NULL WHERE idx < 100")
        report = check(copy)
        assert report.ok
        assert report.redacted == 100

    def test_a_log_without_checkpoints_is_unsigned(self, copy):
        tamper(copy, "DELETE FROM audit_checkpoint")
        report = check(copy)
        assert codes(report) == {"unsigned"}
        assert report.unsigned == (0, 599)


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

    def test_export_refuses_an_existing_folder(self, export, grown):
        with pytest.raises(InputError) as caught:
            export_tiles(grown.log, export, vkey=KEY)
        assert caught.value.code == "output_exists"

    @pytest.mark.parametrize("place", ["/dev/null/export", "/proc/export"])
    def test_an_export_that_cannot_be_written_is_no_bug(self, grown, place):
        with pytest.raises(UnavailableError) as caught:
            export_tiles(grown.log, Path(place), vkey=KEY)
        assert caught.value.code == "output_unwritable"

    def test_half_an_export_is_taken_away(self, grown, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("vault.audit.export.tile_path", full)
        with pytest.raises(UnavailableError) as caught:
            export_tiles(grown.log, tmp_path / "out", vkey=KEY)
        assert caught.value.code == "output_unwritable"
        assert list(tmp_path.iterdir()) == []

    def test_export_needs_a_checkpoint(self, books, tmp_path):
        with pytest.raises(UnavailableError) as caught:
            export_tiles(books.log, tmp_path / "out", vkey=KEY)
        assert caught.value.code == "not_signed_yet"


class TestMeaning:
    def test_an_intent_without_an_outcome_is_reported(self, books):
        first = books.log.record(event(Action.EXTRACT_INTENT, Outcome.INTENT))
        books.log.record(event(Action.VIEW_INTENT, Outcome.INTENT))
        books.log.record(event(Action.EXTRACT_OUTCOME, Outcome.DONE, refers=first.event_id))
        books.log.checkpoint(SIGNER)
        report = verify(LogSource(books.log, KEY), KEY)
        assert report.ok
        assert report.open_intents == (1,)
        assert any("assume fully disclosed" in line for line in lines_of(report))

    def test_an_outcome_of_nothing_is_a_finding(self, books):
        books.log.record(event(Action.EXTRACT_OUTCOME, Outcome.DONE, refers="019b7ca9-8c88-7000-8000-000000000000"))
        books.log.checkpoint(SIGNER)
        assert codes(verify(LogSource(books.log, KEY), KEY)) == {"intent_missing"}

    @pytest.mark.parametrize(
        ("heads", "expected"),
        [
            ([(2, 1, 2), (3, 2, 1), (3, 2, 0)], set()),
            ([(2, 1, 2), (4, 2, 1)], {"consent_gap"}),
            ([(2, 1, 2), (3, 2, 0)], {"consent_gap"}),
            ([(2, 1, 2), (2, 9, 0)], {"consent_fork"}),
            ([(2, 1, 2), (2, 1, 2)], {"consent_gap"}),
            ([(0, 0, 0), (1, 1, 1), (0, 0, 0)], set()),
        ],
    )
    def test_the_consent_ledger_is_followed(self, books, heads, expected):
        for seq, head, added in heads:
            books.log.record(event(Action.CONSENT_RECORD, consent=ConsentHead(seq, bytes([head]) * 32, added=added)))
        books.log.checkpoint(SIGNER)
        assert codes(verify(LogSource(books.log, KEY), KEY)) == expected

    @pytest.mark.parametrize("leaf", [b"{}", b"[]", b"x", b'{"v":1}', b"null", b"\xff"])
    def test_a_leaf_out_of_form_is_named(self, books, leaf):
        books.log.record(books.log.prepare(event())._replace(leaf=leaf))
        books.log.checkpoint(SIGNER)
        report = verify(LogSource(books.log, KEY), KEY)
        assert (report.first_bad, codes(report)) == (0, {"entry_malformed"})

    def test_keys_before_and_after_a_rotation(self, books):
        newer = SigningKey(Secret(b"\x08" * 32))
        books.log.record(event())
        books.log.checkpoint(SIGNER)
        books.log.record(event())
        books.log.checkpoint(newer, trusted=[VKEY])
        both = KEY + "\n" + VerifierKey(ORIGIN, ED25519, newer.public).to_text()
        assert verify(LogSource(books.log, both), both).ok
        assert codes(verify(LogSource(books.log, KEY), KEY)) == {"signature_missing"}


class TestCommand:
    def test_the_module_runs_by_itself(self, export):
        command = [sys.executable, "-m", "vault.audit.verify", str(export), "--key", KEY, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert (document["ok"], document["entries"], document["key_given"]) == (True, 590, True)

    def test_exit_codes(self, export, tmp_path, capsys):
        key = tmp_path / "key"
        key.write_text(KEY + "\n")
        assert main([str(export), "--key", str(key)]) == 0
        assert main([str(export)]) == 0
        assert "not independently trusted" in capsys.readouterr().out
        (export / "tile/0/001").write_bytes(bytes(8192))
        assert main([str(export), "--key", KEY]) == 5
        assert "does NOT hold" in capsys.readouterr().out
        assert main([str(tmp_path / "nowhere")]) == 4

    def test_it_imports_nothing_of_the_writer(self):
        tree = ast.parse(Path(verify_module.__file__).read_text())
        found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {name for name in found if name.startswith("vault")} == {"vault.crypto.primitives", "vault.errors"}


def test_jsonl_holds_every_entry(grown, tmp_path):
    with (tmp_path / "log.jsonl").open("w+") as out:
        assert export_jsonl(grown.log, out, start=10, stop=12) == 2
        out.seek(0)
        lines = [json.loads(line) for line in out]
    assert [line["index"] for line in lines] == [10, 11]
    assert lines[0]["leaf"]["act"] == "dataset.show"


def rebuild(path):
    """What somebody who can write the database and knows the code would do: recompute hashes, tiles and head."""
    connection = dbapi2.connect(str(path))
    hashes = [row[0] for row in connection.execute("SELECT leaf_hash FROM audit_leaf ORDER BY idx")]
    connection.execute("DELETE FROM audit_tile")
    for n in range(len(hashes) // 256):
        tile = hashes[n * 256 : (n + 1) * 256]
        connection.execute("INSERT INTO audit_tile VALUES (0, 0, ?, ?, ?)", (n, perfect_root(tile), b"".join(tile)))
    tree = CompactRange().extend(hashes)
    connection.execute("UPDATE audit_head SET size = ?, stack = ?", (tree.size, tree.to_bytes()))
    connection.commit()
    connection.close()


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


class TestQuickForm:
    """The one-pattern check of a leaf never accepts what the exact one refuses, and reads the same."""

    EVENTS = (
        event(),
        event(Action.VIEW_INTENT, Outcome.INTENT, project="demo", purpose="HMB", counts={"asked": 3, "permitted": 2}),
        event(subjects=[token(1)], detail={"a": 1}, request="r-1", obj=ObjectRef("release", "rel-1"), flags=["a", "b"]),
        event(reasons={"a": 1, "b": 0, "c": 7}, consent=ConsentHead(3, bytes(32), 2), blobs=[bytes(32)]),
        event(refers="019b7ca9-8c88-739e-9e46-3feb14a152cd", consent=ConsentHead(0, bytes(32))),
        Event(act=Action.SUBJECT_LIST, actor=Actor(ActorKind.STEWARD, "ann", asserted_for="bob"), outcome=Outcome.DONE),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def leaves(cls, tmp_path_factory):
        books = make_books(tmp_path_factory.mktemp("quick"))
        books.database.close()
        return [books.log.prepare(made).leaf for made in cls.EVENTS]

    def test_what_the_writer_writes_takes_the_quick_way(self, leaves):
        for leaf in leaves:
            assert verify_module._QUICK.fullmatch(leaf)
            assert verify_module._fields_of(leaf) == verify_module._exact_fields(leaf) is not None

    @settings(deadline=None, max_examples=400)
    @given(data=st.data())
    def test_whatever_was_done_to_a_leaf_both_ways_agree(self, leaves, data):
        leaf = bytearray(data.draw(st.sampled_from(leaves)))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(leaf) - 1))
            width = data.draw(st.integers(0, 12))
            piece = data.draw(
                st.one_of(
                    st.binary(max_size=3),
                    st.sampled_from(
                        [b'"', b'","', b"0", b"00", b"-1", b"9" * 17, b",", b'"z":1,', b'"a":1', b"\\", b"\x7f", b" "]
                    ),
                    st.just(bytes(leaf[at : at + width]) * 2),
                )
            )
            leaf[at : at + width] = piece
        assert verify_module._fields_of(bytes(leaf)) == verify_module._exact_fields(bytes(leaf))

    def test_tallies_out_of_order_are_refused(self, leaves):
        swapped = leaves[1].replace(b'{"asked":3,"permitted":2}', b'{"permitted":2,"asked":3}')
        doubled = leaves[1].replace(b'{"asked":3,"permitted":2}', b'{"asked":3,"asked":2}')
        assert swapped != leaves[1] != doubled
        assert verify_module._fields_of(swapped) is None
        assert verify_module._fields_of(doubled) is None


class TestParallel:
    def test_several_processes_find_the_same(self, export, monkeypatch):
        bundle = export / "tile/entries/001"
        bundle.write_bytes(bundle.read_bytes().replace(b'"ann"', b'"bob"', 1))
        alone = verify_folder(export, KEY)
        monkeypatch.setattr(verify_module, "PARALLEL_FROM", 1)
        monkeypatch.setattr(verify_module.os, "cpu_count", lambda: 2)
        monkeypatch.setattr(verify_module, "_CHUNKS_AT_ONCE", 1)
        assert verify_folder(export, KEY) == alone
        assert alone.first_bad == 256

    def test_several_processes_judge_signatures_alike(self, copy, monkeypatch):
        tamper(copy, "UPDATE audit_checkpoint SET note = replace(note, '300', '299') WHERE size = 300")
        alone = check(copy)
        monkeypatch.setattr(verify_module, "PARALLEL_SIGNATURES_FROM", 1)
        monkeypatch.setattr(verify_module.os, "cpu_count", lambda: 2)
        monkeypatch.setattr(verify_module, "_SIGNATURES_AT_ONCE", 1)
        assert check(copy) == alone
        assert codes(alone) == {"signature_bad"}

    def test_helpers_are_other_processes_that_can_be_done_without(self):
        helpers = verify_module._Helpers()
        assert helpers.run(eval, "os.getpid()") != os.getpid()
        assert helpers.run(eval, f"os.getpid() != {os.getpid()} and os._exit(1)") is False  # it has gone, so it was done here
        assert helpers.run(eval, "os.getpid()") == os.getpid()
        helpers.end()

    def test_the_command_has_helpers_too(self, export):
        program = (
            "import os, runpy, sys, vault.audit.verify as v;"
            "v.PARALLEL_FROM = 1; os.cpu_count = lambda: 2;"
            "v._examine = None;"  # whoever examines here fails
            "runpy.run_module('vault.audit.verify', run_name='__main__')"
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, str(export), "--key", KEY],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "everything holds"), done.stderr


class TestContinuedLog:
    """Leaf 0 of a log that continues another carries over what the other left open."""

    def test_it_holds_and_its_past_is_not_asked_for(self, books):
        books.log.record(event(consent=ConsentHead(5, bytes(32), 5)))
        intent = books.log.record(event(Action.VIEW_INTENT, Outcome.INTENT))
        note = books.log.checkpoint(SIGNER)
        first = event(Action.LOG_CONTINUE, obj=ObjectRef("log", ORIGIN), previous=note, consent=ConsentHead(5, bytes(32)))
        with books.database.write() as tx:
            books.log.continue_as(tx, f"{ORIGIN}2", first)
        books.log.record(event(Action.VIEW_OUTCOME, Outcome.ABORTED, refers=intent.event_id))
        books.log.record(event(consent=ConsentHead(6, b"\x01" * 32, 1)))
        books.log.checkpoint(SIGNER)
        newer = VerifierKey(f"{ORIGIN}2", ED25519, SIGNER.public).to_text()
        old, new = books.log.parts()
        assert (old.base, old.size, new.base, new.size) == (0, 2, 2, 3)
        reports = verify(LogSource(books.log, newer), newer), verify(LogSource(books.log, KEY, part=old), KEY)
        assert [report.findings for report in reports] == [(), ()]
        assert reports[1].open_intents == (1,)
        assert [entry.index for entry in books.log.closings([intent.event_id])[intent.event_id]] == [3]
        assert verify_receipt(books.log.receipt(4), None, f"{ORIGIN}2", [VerifierKey.from_text(newer)]).index == 2
        assert verify_receipt(books.log.receipt(1), None, ORIGIN, [VKEY]).index == 1

    def test_the_same_origin_is_never_used_twice(self, books):
        with pytest.raises(InputError) as caught, books.database.write() as tx:
            books.log.continue_as(tx, ORIGIN, event())
        assert caught.value.code == "origin_taken"

    def test_a_log_of_more_than_a_tile_continues(self, books, tmp_path):
        books.log.record_many([event() for _ in range(300)])
        books.log.checkpoint(SIGNER)
        with books.database.write() as tx:
            books.log.continue_as(tx, f"{ORIGIN}2", event(Action.LOG_CONTINUE))
        books.log.record_many([event() for _ in range(600)])
        books.log.checkpoint(SIGNER)
        newer = VerifierKey(f"{ORIGIN}2", ED25519, SIGNER.public).to_text()
        for part, key, size in zip(books.log.parts(), (KEY, newer), (300, 601), strict=True):
            assert export_tiles(books.log, tmp_path / str(size), vkey=key, part=part).size == size
            assert verify_folder(tmp_path / str(size), key).ok
        assert verify(LogSource(books.log, newer), newer).ok
