from __future__ import annotations

import csv
import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from rich.console import Console

from cli.demo import _first_stretch, _mix_answers
from cli.demo_stage import Stage, environment, forge
from tests.support.vcf_text import vcf


def test_answers_are_mixed_as_the_story_says(tmp_path: Path):
    file = tmp_path / "answers.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["subject", "legal_time", "research", "signer", "evidence"])
        writer.writerows([f"SAMPLE_{i}", "2026-01-01", "yes", "", ""] for i in range(1, 31))
    assert _mix_answers(file) == ("SAMPLE_7", "SAMPLE_6")
    with file.open(encoding="utf-8", newline="") as stream:
        answers = {row["subject"]: row["research"] for row in csv.DictReader(stream)}
    assert len(answers) == 24
    assert [subject for subject, answer in answers.items() if answer == "no"] == ["SAMPLE_8", "SAMPLE_18", "SAMPLE_28"]
    assert "SAMPLE_9" not in answers


def test_the_region_of_a_file_starts_at_its_first_record(tmp_path: Path):
    (tmp_path / "a.vcf").write_bytes(vcf("A", "chr3 500 A G 0/1").data)
    (tmp_path / "b.vcf").write_bytes(vcf("A").data)
    (tmp_path / "c.bcf").write_bytes(b"BCF\2\2\xff\xff")
    assert _first_stretch(tmp_path / "a.vcf") == "chr3:500-100500"
    assert _first_stretch(tmp_path / "b.vcf") == _first_stretch(tmp_path / "c.bcf") == ""


def test_the_environment_is_put_back(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("GENOVAULT_PRINCIPAL", "bob")
    monkeypatch.setenv("GENOVAULT_HOME", "mine")
    with environment(tmp_path, "not a secret"):
        assert "GENOVAULT_PRINCIPAL" not in os.environ
        assert os.environ["GENOVAULT_HOME"] == str(tmp_path)
    assert os.environ["GENOVAULT_HOME"] == "mine"
    assert os.environ["GENOVAULT_PRINCIPAL"] == "bob"
    assert "GENOVAULT_PASSPHRASE" not in os.environ


def test_the_forger_changes_the_copy_only_and_makes_the_hash_fit(tmp_path: Path):
    vault, copy = tmp_path / "vault", tmp_path / "copy"
    vault.mkdir()
    with closing(sqlite3.connect(vault / "books.db")) as books, books:
        books.execute("CREATE TABLE audit_leaf (idx INTEGER PRIMARY KEY, leaf BLOB, leaf_hash BLOB)")
        books.execute("INSERT INTO audit_leaf VALUES (0, ?, ?)", (b'{"act":"consent.withdraw"}', b"old"))
        books.execute("CREATE TRIGGER once BEFORE UPDATE ON audit_leaf BEGIN SELECT RAISE(ABORT, 'written once'); END")
    forge(vault, copy, was=b"consent.withdraw", becomes=b"consent.show")
    leaves = {}
    for folder in (vault, copy):
        with closing(sqlite3.connect(folder / "books.db")) as books:
            leaves[folder.name] = books.execute("SELECT leaf, leaf_hash FROM audit_leaf").fetchone()
    assert leaves["vault"] == (b'{"act":"consent.withdraw"}', b"old")
    forged = b'{"act":"consent.show"}'
    assert leaves["copy"] == (forged, hashlib.sha256(b"\0" + forged).digest())


def test_a_command_is_shown_with_short_paths(tmp_path: Path):
    with (tmp_path / "shown.txt").open("w") as shown:
        stage = Stage(Console(file=shown, width=100), tmp_path)
        code = stage.fail("--vault", str(tmp_path / "none"), "status")
    text = (tmp_path / "shown.txt").read_text()
    assert code == 6
    assert "$ genovault --vault none status" in text
    assert str(tmp_path) not in text
