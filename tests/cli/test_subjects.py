from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cli.main

SHEET = "sample_id,mrn,name,birth_date\nA,1,Ada,1980-01-31\nB;B2,2,Ben,\n"


def test_people_are_registered_listed_and_shown(vault):
    vault.write("s.csv", SHEET)
    assert vault.run("subject import s.csv --json").json == {"created": 2, "updated": 0, "unchanged": 0, "changes": []}
    listed = vault.run("subject list --json").json["subjects"]
    assert [set(subject) for subject in listed] == [{"handle", "mrn", "samples", "status", "state", "created"}] * 2
    assert [(one["mrn"], one["samples"], one["status"]) for one in listed] == [
        ("1", ["A"], "not asked"),
        ("2", ["B", "B2"], "not asked"),
    ]
    shown = vault.run("subject show mrn:1 --json").json
    assert shown["identity"] == {
        "samples": ["A"],
        "mrn": "1",
        "name": "Ada",
        "birth_date": "1980-01-31",
        "sex": "",
        "country": "",
        "diagnoses": [],
        "pedigree": "",
        "also": [],
        "former": [],
    }
    assert shown["handle"] in {subject["handle"] for subject in listed}
    by_handle = vault.run(f"subject show {shown['handle']}").out
    assert "Ada" in by_handle
    assert vault.run("subject show B2 --json").json["identity"]["name"] == "Ben"


def test_the_list_shows_record_numbers_and_samples_and_no_name(vault):
    vault.write("s.csv", SHEET)
    vault.run("subject import s.csv")
    for line in ("subject list", "subject list --json"):
        out = vault.run(line).out
        assert not any(word in out for word in ("Ada", "Ben", "1980"))
        assert "B2" in out


def test_a_bad_sheet_changes_nothing_and_names_every_line(vault):
    vault.write("s.csv", SHEET + "B,3,Cleo,\n,4,Dan,1980-13-01\n")
    ran = vault.try_("subject import s.csv --json")
    assert (ran.code, ran.error) == (4, "sheet_rejected")
    assert {problem["line"] for problem in ran.json["error"]["problems"]} == {4, 5}
    assert vault.run("subject list --json").json == {"subjects": []}
    assert vault.try_("subject import none.csv --json").error == "sheet_unreadable"
    log = vault.run("audit log --act subject.import --json").json["entries"]
    assert [(entry["outcome"], entry["reasons"]) for entry in log] == [
        ("failed", {"sheet_rejected": 1}),
        ("failed", {"sheet_unreadable": 1}),
    ]


def test_known_people_need_update(peopled):
    peopled.write("s.csv", "sample_id,mrn,name\nSAMPLE_1,77,Ada\n")
    assert peopled.try_("subject import s.csv --json").error == "sheet_rejected"
    made = peopled.run("subject import s.csv --update --json").json
    assert (made["created"], made["updated"], made["unchanged"]) == (0, 1, 0)
    assert {change["field"]: change["new"] for change in made["changes"]} == {"mrn": "77", "name": "Ada"}
    assert peopled.run("subject show 77 --json").json["identity"]["samples"] == ["SAMPLE_1"]


def test_an_unknown_or_ambiguous_reference_is_exit_4(vault):
    vault.write("s.csv", "sample_id,mrn\nA,B\nB,A\n")
    vault.run("subject import s.csv")
    assert vault.try_("subject show A --json").error == "subject_ambiguous"
    assert vault.run("subject show sample:A --json").json["identity"]["mrn"] == "B"
    for line in ("subject show C --json", "subject restrict C --json", "consent show C --json", "consent withdraw C --json"):
        ran = vault.try_(line)
        assert (ran.code, ran.error) == (4, "subject_unknown"), line
    log = vault.run("audit log --outcome failed --json").json["entries"]
    assert [entry["act"] for entry in log] == [
        "subject.show",
        "subject.show",
        "subject.restrict",
        "consent.show",
        "consent.withdraw",
    ]


def test_a_restriction_holds_until_it_is_lifted(consented):
    assert consented.run("subject restrict SAMPLE_1 --json").json == {"restricted": True}
    assert consented.run("project check demo --json").json["deny"] == {"restricted": 1}
    assert consented.run("subject restrict SAMPLE_1 --lift --json").json == {"restricted": False}
    assert consented.run("project check demo --json").json["permit"] == 12


def test_two_registrations_become_one(consented):
    seen = consented.run("subject merge SAMPLE_1 SAMPLE_2 --check --json").json
    assert (seen["state"], seen["takes_two"], seen["calls"][0]["dataset"]) == ("would_merge", False, "cohort")
    refused = consented.try_("subject merge SAMPLE_1 SAMPLE_2 --reason twice --json")
    assert (refused.code, refused.error) == (2, "confirmation_needed")
    assert consented.try_("subject merge SAMPLE_1 SAMPLE_1 --reason twice --yes --json").error == "same_person"
    assert consented.try_("subject merge SAMPLE_1 SAMPLE_2 --yes --json").error == "reason_missing"
    said = consented.run("subject merge SAMPLE_1 SAMPLE_2 --reason twice --accept --yes").out
    for words in ("every reference to either leads there", "pseudonyms of", "make a backup of the data now"):
        assert words in said
    assert consented.run("subject show SAMPLE_2 --json").json["identity"]["samples"] == ["SAMPLE_1", "SAMPLE_2"]
    assert consented.run("project check demo --json").json["subjects"] == 11
    assert consented.run("doctor --json").json["ok"]


def test_old_and_new_are_shown_and_the_old_is_kept(peopled):
    peopled.write("s.csv", "sample_id,mrn\nSAMPLE_1,77\n")
    peopled.run("subject import s.csv --update")
    peopled.write("t.csv", "sample_id,mrn\nSAMPLE_1,78\n")
    assert "line 2, mrn: 77 → 78" in peopled.run("subject import t.csv --update --dry-run").out
    assert "line 2, mrn: 77 → 78" in peopled.run("subject import t.csv --update --reason typo").out
    assert "mrn: 77 (typo)" in peopled.run("subject show mrn:78").out
    assert peopled.try_("subject show mrn:77 --json").error == "subject_unknown"


OUTPUTS = {
    "consent import answers.csv --form broad-research --report": "consent.import",
    "subject erase SAMPLE_1 --yes --certificate": "subject.erase",
    "dataset check cohort --csv": "dataset.check",
}


@pytest.mark.parametrize("line", OUTPUTS)
@pytest.mark.parametrize(("place", "code"), [("there.txt", 4), ("no/such/folder/x", 6)])
def test_what_cannot_be_written_is_refused_before_anything_is_done(peopled, line, place, code):
    peopled.write("answers.csv", peopled.run("consent sheet broad-research --accept").out)
    peopled.write("there.txt", "last week")
    assert peopled.try_(f"{line} {place}").code == code
    log = peopled.run(f"audit log --act {OUTPUTS[line]} --json").json["entries"]
    assert [entry["outcome"] for entry in log] == []
    assert (peopled.folder / "there.txt").read_text() == "last week"


def test_what_cannot_be_written_afterwards_is_a_warning_beside_the_success(peopled, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    peopled.write("answers.csv", peopled.run("consent sheet broad-research --accept").out)
    monkeypatch.setattr("vault.files.private_files.os.write", full)
    ran = peopled.run("consent import answers.csv --form broad-research --report r.csv --json")
    assert ran.json["recorded"] > 0
    assert "it is done, but" in ran.err
    assert "No space left" in ran.err
    assert not (peopled.folder / "r.csv").exists()


def test_what_fails_leaves_no_empty_file(peopled):
    assert peopled.try_("subject erase NOBODY --yes --certificate c.txt").code == 4
    assert not (peopled.folder / "c.txt").exists()


@pytest.mark.parametrize(
    ("line", "code"), [("subject list", 6), ("subject list --json", 6), ("subject show nobody --json", 4), ("--help", 6), ("", 6)]
)
def test_output_that_cannot_be_written_is_told_without_a_traceback(peopled, line, code):
    command = [sys.executable, "-c", "import cli.main; cli.main.main()", *line.split()]
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.main.__file__).parents[1])}
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            command, cwd=peopled.folder, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120
        )
    assert ran.returncode == code
    assert "Traceback" not in ran.stderr
    assert ("standard output" in ran.stderr) == (code == 6)


def test_a_spreadsheet_s_columns_are_mapped_once(vault):
    vault.write("columns.yaml", "Probe: sample_id\nFallnummer: mrn\nGeburtsdatum: birth_date\nGeschlecht: sex\nStation: null\n")
    sheet = "Probe;Fallnummer;Geburtsdatum;Geschlecht;Station;\r\nA;1;31.01.1980;w;7B;\r\n"
    (vault.folder / "s.csv").write_bytes(sheet.encode("utf-16"))
    ran = vault.run("subject import s.csv --map columns.yaml")
    for words in ("UTF-16", "separated by semicolons", "1 empty columns"):
        assert words in ran.err
    identity = vault.run("subject show mrn:1 --json").json["identity"]
    assert (identity["samples"], identity["birth_date"], identity["sex"]) == (["A"], "1980-01-31", "female")
    vault.write("bad.yaml", "- Probe\n")
    assert vault.try_("subject import s.csv --map bad.yaml --json").error == "document_malformed"


@pytest.mark.parametrize("line", ["subject import s.csv", "consent import s.csv --form broad-research"])
def test_foreign_columns_are_told_once_with_how_to_map_them(vault, line):
    sheet = "sep=;\r\nProbe;Fallnummer;Geburtsdatum;Geschlecht;Station;Haus;Arzt\r\nA;1;31.01.1980;w;7B;2;X\r\n"
    (vault.folder / "s.csv").write_bytes(sheet.encode("utf-16"))
    ran = vault.try_(line)
    assert ran.code == 4
    assert ran.err.count("7 columns (1, 2, 3, 4, 5, 6, 7)") == 1
    assert "subject template --columns" in ran.err
    assert "--map COLUMNS.yaml" in ran.err
    assert "Probe" not in ran.err
