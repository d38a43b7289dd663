from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime

import pytest


def answers(*rows: str) -> str:
    return "\n".join(["subject,legal_time,research_use,signer", *rows]) + "\n"


def test_forms_are_listed_without_a_vault(shell):
    forms = shell.run("consent forms --json").json["forms"]
    (broad,) = [form for form in forms if form["form"] == "broad-research"]
    assert [question["id"] for question in broad["questions"]] == ["research_use", "recontact"]
    assert "broad-research@1" in shell.run("consent forms").out


def test_a_sheet_has_a_row_for_everybody_who_has_not_answered(peopled):
    rows = list(csv.DictReader(io.StringIO(peopled.run("consent sheet broad-research").out)))
    assert len(rows) == 12
    assert {row["research_use"] for row in rows} == {""}
    peopled.write("a.csv", answers("SAMPLE_1,,yes,self", "SAMPLE_2,,no,self"))
    done = peopled.run("consent import a.csv --form broad-research --json").json
    assert (done["recorded"], done["form"], done["version"]) == (2, "broad-research", "1")
    assert done["usable"]["health research"] == 1
    document = peopled.run("consent sheet broad-research --accept --json").json
    assert document["columns"][:3] == ["subject", "legal_time", "research_use"]
    left = {row[0] for row in document["rows"]}
    assert len(left) == 10
    assert left.isdisjoint({"sample:SAMPLE_1", "sample:SAMPLE_2"})
    assert {row[2] for row in document["rows"]} == {"yes"}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("consent sheet nope --json", "form_unknown"),
        ("consent sheet broad-research@9 --json", "form_unknown"),
        ("consent import a.csv --form nope --json", "form_unknown"),
        ("consent import none.csv --form broad-research --json", "sheet_unreadable"),
        ("consent import bad.csv --form broad-research --json", "sheet_rejected"),
        ("consent withdraw SAMPLE_1 --scope what --json", "withdrawal_malformed"),
        ("consent show SAMPLE_1 --at yesterday --json", "bad_time"),
        ("consent show SAMPLE_1 --known-at 2026-01-01T00:00:00 --json", "bad_time"),
    ],
)
def test_bad_input_is_exit_4(peopled, line, error):
    peopled.write("a.csv", answers("SAMPLE_1,,yes,self"))
    peopled.write("bad.csv", answers("SAMPLE_1,,yes,self", "SAMPLE_1,,no,self", "SAMPLE_99,,yes,self", "SAMPLE_2,,perhaps,self"))
    ran = peopled.try_(line)
    assert (ran.code, ran.error) == (4, error)
    assert peopled.run("consent show SAMPLE_1 --json").json["events"] == []


def test_a_rejected_sheet_names_every_line(peopled):
    peopled.write(
        "bad.csv", answers("SAMPLE_1,,yes,self", "SAMPLE_1,,no,self", "SAMPLE_99,,yes,self", "SAMPLE_2,2999-01-01,yes,x")
    )
    first = peopled.try_("consent import bad.csv --form broad-research --json").json["error"]["problems"]
    assert {problem["line"] for problem in first} == {3, 4, 5}


def test_faults_of_every_kind_are_named_at_once(peopled):
    peopled.write("s.csv", "sample_id,birth_date\nBORN,2001-02-03\n")
    peopled.run("subject import s.csv")
    rows = (
        "SAMPLE_1,,yes,self",
        "SAMPLE_99,,yes,self",
        "BORN,1999-01-01,yes,self",
        "SAMPLE_2,31/12,yes,self",
        "SAMPLE_3,,perhaps,self",
    )
    peopled.write("bad.csv", answers(*rows))
    for line in (
        "consent import bad.csv --form broad-research --json",
        "consent import bad.csv --form broad-research --dry-run --json",
    ):
        found = peopled.try_(line).json["error"]["problems"]
        assert [problem["line"] for problem in found] == [3, 4, 5, 6]
    peopled.write("bad.csv", answers(*rows[:3]))
    found = peopled.try_("consent import bad.csv --form broad-research --json").json["error"]["problems"]
    assert [problem["line"] for problem in found] == [3, 4]


def test_a_withdrawal_acts_at_once_and_is_shown(consented):
    done = consented.run("consent withdraw SAMPLE_2 --json").json
    assert (done["person"], done["scope"], done["level"]) == ("SAMPLE_2", "everything", "no-new-use")
    assert (done["ended"], done["projects"], done["releases"]) == (["research_use"], ["demo"], [])
    assert consented.run("project check demo --json").json["deny"] == {"withdrawn": 1}
    shown = consented.run("consent show SAMPLE_2 --json").json
    assert shown["refused"] == {"research_use": "withdrawn"}
    assert shown["granted"] == []
    assert [sorted(set(event) & {"answers", "withdrawal"}) for event in shown["events"]] == [["answers"], ["withdrawal"]]
    assert "withdrew" in consented.run("consent show SAMPLE_2").out


def test_a_withdrawal_that_was_typed_in_late_is_put_in_its_place(consented):
    withdrawn = consented.run("consent withdraw SAMPLE_2 --at 2019-01-01 --json").json["event"]
    assert withdrawn in consented.run("consent show SAMPLE_2").out
    assert withdrawn in consented.run("consent explain SAMPLE_2 --project demo").out
    consented.write("letter.txt", "withdrawn in 2019, and asked again since")
    again = f"consent correct {withdrawn} --at 2019-01-01 --json"
    assert consented.try_(again).code == 2  # without a reason
    assert consented.try_(f"{again} --reason late").error == "evidence_missing"
    assert consented.run("project check demo --json").json["deny"] == {"withdrawn": 1}
    done = consented.run(f"{again} --reason late --evidence letter.txt").json
    assert (done["state"], done["kind"], done["allowed"]) == ("corrected", "restated", ["research_use"])
    assert consented.run("project check demo --json").json["permit"] == 12
    shown = consented.run("consent show SAMPLE_2").out
    assert "late" in shown
    assert f"corrected by {done['event']}" in " ".join(shown.split())
    said = consented.run("consent withdraw SAMPLE_2").out
    assert said.startswith("withdrawn by sample SAMPLE_2")


def test_what_was_recorded_for_another_person_is_taken_back(consented):
    done = consented.run("consent note SAMPLE_2 deceased --json").json
    assert (done["recorded"], done["who"]) == ("deceased", "sample SAMPLE_2")
    assert "The person has died and did not agree to use after death." in consented.run("consent show SAMPLE_2").out
    taken = consented.run(f"consent correct {done['event']} --reason 'his brother' --evidence {'ab' * 32}").out
    assert "never said, of sample SAMPLE_2" in taken
    shown = consented.run("consent show SAMPLE_2").out
    assert "his brother" in shown
    assert "has died" not in shown
    assert consented.run("project check demo --json").json["permit"] == 12


def test_a_proposed_correction_is_agreed_to_with_the_command_that_is_printed_and_both_reasons_are_shown(consented):
    consented.run("principal add bob --role steward --new-key-file bob.key")
    bob = "--as bob --key-file bob.key"
    ann = "--as ann"
    event = consented.run(f"{ann} consent withdraw SAMPLE_2 --json").json["event"]
    proposed = f"{ann} consent correct {event} --at 2026-01-02 --evidence {'ab' * 32} --reason 'it'\"'\"'s hers'"
    assert consented.run(f"{proposed} --json").json["state"] == "proposed"
    assert consented.try_(f"{ann} consent correct {event} --take-back --checked --reason x --json").error == "take_back_alone"
    assert "taken back" in consented.run(f"{ann} consent correct {event} --take-back --reason 'not sure'").out
    assert consented.run(f"{ann} consent queue --json").json["proposals"] == []
    consented.run(proposed)
    (one,) = consented.run(f"{bob} consent queue --json").json["proposals"]
    assert (one["event"], one["proposed_by"], one["kind"], one["reason"]) == (event, "ann", "restated", "it's hers")
    assert "SAMPLE_2" in one["who"]
    assert consented.run(f"{ann} consent show SAMPLE_2 --json").json["proposals"] == [one]
    assert one["agree"] in consented.run(f"{ann} consent show SAMPLE_2").out
    assert one["agree"] in consented.run(f"{ann} consent queue").out
    other = consented.run(f"{bob} consent correct {event} --evidence {'cd' * 32} --reason x --json").json
    assert (other["state"], other["differs"]) == ("proposed", {"ann": ["kind", "evidence", "what is said rightly"]})
    agree = one["agree"].removeprefix("genovault ")
    agreed = consented.run(f"{bob} --json {agree[: agree.index(' --reason')]} --reason 'I asked her'").json
    assert agreed["state"] == "corrected"
    assert "proposed by ann: it's hers; by bob: I asked her" in " ".join(
        consented.run(f"{ann} consent show SAMPLE_2").out.split()
    )


def test_contact_alone_can_be_withdrawn(consented):
    consented.run("consent withdraw SAMPLE_2 --level no-contact")
    assert consented.run("project check demo --json").json["permit"] == 12


def test_the_past_is_shown_as_it_was_known(consented):
    before = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    consented.run("consent withdraw SAMPLE_2")
    then = consented.run(f"consent show SAMPLE_2 --known-at {before} --at {before} --json").json
    assert [grant["policy"] for grant in then["granted"]] == ["research_use"]
    assert len(then["events"]) == 1
    assert consented.run("consent show SAMPLE_2 --at 2020-01-01 --json").json["granted"] == []


def test_nobody_who_was_not_asked_is_released(peopled):
    peopled.script("project template > p.yaml", "project create p.yaml")
    checked = peopled.run("project check demo --json").json
    assert {key: checked[key] for key in ("subjects", "permit", "deny", "review")} == {
        "subjects": 12,
        "permit": 0,
        "deny": {"no_active_consent": 12},
        "review": {},
    }
    assert checked["state"] == "draft"
    assert [(found["dataset"], found["code"]) for found in checked["refused"]] == [("cohort", "no_one_permitted")]


def test_the_same_sheet_again_says_that_it_says_nothing_new(peopled):
    peopled.write("a.csv", "subject,legal_time,research_use\nSAMPLE_1,2026-01-05,yes\nSAMPLE_2,2026-01-05,no\n")
    first = peopled.run("consent import a.csv --form broad-research --json").json
    assert (first["recorded"], first["unchanged"]) == (2, 0)
    assert "2 rows say nothing new" in peopled.run("consent import a.csv --form broad-research --dry-run").out
    again = peopled.run("consent import a.csv --form broad-research --json").json
    assert (again["recorded"], again["unchanged"]) == (0, 2)
    assert peopled.run("audit verify --json").json
