"""Sheets as REDCap and LimeSurvey export them, taken in with one COLUMNS.yaml."""

from __future__ import annotations

import csv
import io

REDCAP = """record_id,redcap_event_name,redcap_data_access_group,study_id,dob,sex,consent_date,use_choice,use_companies,contact___1,consent_complete
1,baseline_arm_1,berlin,A,1980-01-31,1,2024-03-01,1,1,1,2
2,baseline_arm_1,berlin,B,1975-12-10,2,2024-03-02 14:05,2,0,0,2
3,baseline_arm_1,bonn,C,1969-07-20,1,2024-03-03,0,,0,2
"""
REDCAP_PEOPLE = """record_id: mrn
study_id: sample_id
dob: birth_date
sex: {column: sex, values: {"1": female, "2": male}}
"*": null
"""
REDCAP_ANSWERS = """study_id: subject
consent_date: legal_time
use_choice: {column: research_use, values: {"1": any_health, "2": disease_only, "0": no}}
use_companies: {column: commercial, values: {"1": yes, "0": no}}
contact___1: {column: recontact, values: {"1": yes, "0": null}}
"*": null
"""
LIMESURVEY = (
    '\ufeff"id";"submitdate";"lastpage";"startlanguage";"seed";"token";"Darf geforscht werden?";"kontakt[SQ001]"\r\n'
    '"1";"2024-03-01 14:22:11";"4";"de";"1802";"A";"A1";"Y"\r\n'
    '"2";"02.03.2024 09:00:00";"4";"de";"1803";"B";"A2";"N"\r\n'
    '"3";"2024-03-03 10:00";"4";"de";"1804";"C";"A3";""\r\n'
)
LIMESURVEY_ANSWERS = """token: subject
submitdate: legal_time
"Darf geforscht werden?": {column: research_use, values: {A1: any_health, A2: disease_only, A3: no}}
"kontakt[SQ001]": recontact
"*": null
"""


def said(shell, who):
    events = shell.run(f"consent show {who} --json").json["events"]
    return {answer["policy"]: answer["answer"] for answer in events[-1]["answers"]}, events[-1]


def test_redcap_registers_people_and_their_answers(vault):
    for name, text in {"r.csv": REDCAP, "people.yaml": REDCAP_PEOPLE, "answers.yaml": REDCAP_ANSWERS}.items():
        vault.write(name, text)
    assert vault.run("subject import r.csv --map people.yaml --json").json["created"] == 3
    identity = vault.run("subject show mrn:2 --json").json["identity"]
    assert (identity["samples"], identity["birth_date"], identity["sex"]) == (["B"], "1975-12-10", "male")
    done = vault.run("consent import r.csv --form disease-research --map answers.yaml --json").json
    assert (done["recorded"], done["usable"]["health research"]) == (3, 1)
    answers, event = said(vault, "B")
    assert (answers["purpose:commercial"], answers["recontact"], event["precision"]) == ("declined", "not_asked", "day")
    assert event["legal_time"].startswith("2024-03-02")
    assert said(vault, "C")[0]["research_use"] == "declined"


def test_limesurvey_answers_are_read_as_they_are(vault):
    for name, text in {"people.csv": "sample_id\nA\nB\nC\n", "l.csv": LIMESURVEY, "l.yaml": LIMESURVEY_ANSWERS}.items():
        vault.write(name, text)
    vault.run("subject import people.csv")
    ran = vault.run("consent import l.csv --form disease-research --map l.yaml")
    assert "separated by semicolons" in ran.err
    assert said(vault, "A")[0]["recontact"] == "accepted"
    assert said(vault, "B")[0]["recontact"] == "declined"
    assert said(vault, "C")[0] == {
        "research_use": "declined",
        "purpose:commercial": "not_asked",
        "use_after_death": "not_asked",
        "recontact": "not_asked",
    }


def test_a_code_that_the_map_does_not_know_is_named(vault):
    vault.write("people.csv", "sample_id\nA\nB\nC\n")
    vault.run("subject import people.csv")
    vault.write("l.csv", LIMESURVEY.replace("A1", "A9"))
    vault.write("l.yaml", LIMESURVEY_ANSWERS)
    refused = vault.try_("consent import l.csv --form disease-research --map l.yaml --json")
    assert [(p["line"], p["column"]) for p in refused.json["error"]["problems"]] == [(2, "research_use")]
    for wrong in ("token: [subject]", "token: {column: subject, colour: blue}", "token: {column: 1}"):
        vault.write("bad.yaml", wrong + "\n")
        refused = vault.try_("consent import l.csv --form disease-research --map bad.yaml --json")
        assert (refused.code, refused.error) == (4, "document_rejected"), wrong


def test_the_templates_are_a_header_and_a_map_that_can_be_used(vault):
    header = vault.run("subject template").out
    assert next(csv.reader(io.StringIO(header)))[:2] == ["sample_id", "mrn"]
    vault.run("subject template > sheet.csv")
    (vault.folder / "sheet.csv").write_text(header + "A,1,,,,,,\n")
    assert vault.run("subject import sheet.csv --json").json["created"] == 1
    vault.run("subject template --columns > columns.yaml")
    vault.write("p.csv", "Probe;Fallnummer;Name;Geburtsdatum;Geschlecht;Land;Station\nB;2;Ben;31.01.1980;2;DE;7B\n")
    assert vault.run("subject import p.csv --map columns.yaml --json").json["created"] == 1
    assert vault.run("subject find ben --json").json["subjects"][0]["mrn"] == "2"
    assert "31.01" not in vault.run("subject list").out
    assert "1980" not in vault.run("subject list").out
    assert "nobody" in vault.run("subject find zoe").out
