from __future__ import annotations

SHEET = "sample_id,mrn,name,birth_date\nA,1,Ada,1980-01-31\nB;B2,2,Ben,\n"


def test_people_are_registered_listed_and_shown(vault):
    vault.write("s.csv", SHEET)
    assert vault.run("subject import s.csv --json").json == {"created": 2, "updated": 0}
    listed = vault.run("subject list --json").json["subjects"]
    assert [set(subject) for subject in listed] == [{"handle", "state", "created"}] * 2
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
    }
    assert shown["handle"] in {subject["handle"] for subject in listed}
    by_handle = vault.run(f"subject show {shown['handle']}").out
    assert "Ada" in by_handle
    assert vault.run("subject show B2 --json").json["identity"]["name"] == "Ben"


def test_the_list_names_nobody(vault):
    vault.write("s.csv", SHEET)
    vault.run("subject import s.csv")
    for line in ("subject list", "subject list --json"):
        out = vault.run(line).out
        assert not any(word in out for word in ("Ada", "Ben", "B2", "1980"))


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
    assert peopled.run("subject import s.csv --update --json").json == {"created": 0, "updated": 1}
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
