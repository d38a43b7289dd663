from __future__ import annotations

import csv

import pytest


def test_the_template_lints_and_needs_no_vault(shell):
    shell.run("project template --code study1 --dataset d > p.yaml")
    assert shell.run("project lint p.yaml --json").json["code"] == "study1"
    assert shell.run("project template --json").json["template"].startswith("# A project")
    assert shell.try_("project template --code X --json").code == 4
    text = (shell.folder / "p.yaml").read_text().replace("# profile: standard@1", "profile: standard@99")
    shell.write("p.yaml", text)
    assert shell.try_("project lint p.yaml --json").error == "profile_unknown"
    shell.write("p.yaml", text.replace("standard@99", "our-own@1"))  # a site's: looked for when the project is approved
    assert shell.run("project lint p.yaml --json").json["code"] == "study1"


def test_a_bad_declaration_is_told_whole(shell):
    shell.run("project template > p.yaml")
    text = (shell.folder / "p.yaml").read_text()
    shell.write("p.yaml", text.replace("code: demo", "code: De Mo").replace("[hmb]", "[hmb, wrong]") + "extra: 1\n")
    ran = shell.try_("project lint p.yaml --json")
    assert ran.code == 4
    assert len(ran.json["error"]["problems"]) == 3
    assert shell.try_("project lint none.yaml --json").error == "file_missing"
    shell.write("p.yaml", "a: [")
    assert shell.try_("project lint p.yaml --json").error == "document_malformed"


def test_a_project_goes_through_its_states(peopled):
    peopled.run("project template > p.yaml")
    assert peopled.run("project create p.yaml --json").json["state"] == "draft"
    approved = peopled.run("project approve demo --json").json
    assert (approved["state"], approved["approved_by"], approved["self_approved"]) == ("approved", "ann", True)
    assert approved["declaration"]["datasets"] == ["cohort"]
    assert peopled.run("project suspend demo --json").json["state"] == "suspended"
    assert peopled.run("project close demo --json").json["state"] == "closed"
    ran = peopled.try_("project approve demo --json")
    assert (ran.code, ran.error) == (4, "project_state")
    assert [project["state"] for project in peopled.run("project list --json").json["projects"]] == ["closed"]
    shown = peopled.run("project show demo").out
    assert "closed" in shown
    assert "use_kinds" in shown
    log = peopled.run("audit log --act project.approve --json").json["entries"]
    assert [(entry["outcome"], entry["flags"]) for entry in log] == [("done", ["self_approved"]), ("failed", [])]


@pytest.mark.parametrize("verb", ["approve", "suspend", "close", "show", "check"])
def test_an_unknown_project_is_exit_4(vault, verb):
    ran = vault.try_(f"project {verb} nope --json")
    assert (ran.code, ran.error) == (4, "project_unknown")


def test_two_projects_of_one_code_are_refused(peopled):
    peopled.script("project template > p.yaml", "project create p.yaml")
    assert peopled.try_("project create p.yaml --json").error == "project_exists"


def test_the_check_is_for_people_too(consented):
    consented.run("consent withdraw SAMPLE_1")
    out = consented.run("project check demo").out
    assert "11 of 12 people" in out
    assert "withdrawn" in out


def test_the_board_gets_a_row_for_each_person_with_every_reason(consented):
    consented.write("people.csv", "sample_id,mrn\nSAMPLE_1,MRN-1\n")
    consented.run("subject import people.csv --update")
    consented.script(
        "consent withdraw SAMPLE_1 --scope purpose:commercial", "consent withdraw SAMPLE_1", "consent note SAMPLE_2 deceased"
    )
    out = consented.run("project check demo --list board.csv").out
    assert "12 people, a row each" in out
    with (consented.folder / "board.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    mine = next(row for row in rows if row["mrn"] == "MRN-1")
    assert (mine["sample_id"], mine["released"]) == ("SAMPLE_1", "no")
    assert mine["codes"] == "withdrawn [research_use]; purpose_not_declared [commercial]"
    assert "the project does not declare whether it is commercial" in mine["reasons"]
    assert next(row for row in rows if row["sample_id"] == "SAMPLE_2")["codes"] == "deceased"
    assert [row["released"] for row in rows].count("yes") == 10
    entries = consented.run("audit log --act project.check --json").json["entries"]
    assert [entry["subjects"] for entry in entries][-1] == 12
    assert consented.try_("project check demo --list board.csv --json").code == 4  # never written over
    refused = consented.try_("project check demo --list - --json")
    assert (refused.code, refused.error) == (2, "stdout_taken")
    assert not (consented.folder / "-").exists()


def test_what_the_project_leaves_out_is_told(consented):
    consented.run("consent withdraw SAMPLE_1 --scope purpose:commercial")
    found = consented.run("project check demo --json").json
    assert found["deny"] == {"purpose_not_declared": 1}
    assert "commercial: true or false" in found["reasons"][0]["words"]
    assert "commercial: true or false" in " ".join(consented.run("project check demo").out.split())


def test_an_amendment_goes_its_way(consented):
    consented.run("project show demo --json")
    consented.run("project template > p.yaml")
    text = (consented.folder / "p.yaml").read_text()
    consented.write("p.yaml", text.replace("title: Health research on cohort", "title: Hearts") + "people: [ann]\n")
    made = consented.run("project amend p.yaml --reason 'more people' --json").json
    assert (made["version"], made["in_force"], [one["field"] for one in made["changed"]]) == (2, 1, ["people", "title"])
    assert consented.try_("project approve demo --json").error == "version_needed"
    assert "once it is approved" in consented.run("project check demo --version 2").out
    assert consented.run("project check demo --version 2 --json").json["state"] == "proposed"
    shown = consented.run("project versions demo").out
    assert "version 2: proposed; declared by ann" in shown
    assert "title: Health research on cohort → Hearts" in shown
    assert consented.run("project take-back demo --reason x --json").json["state"] == "taken_back"
    assert (
        consented.run("project amend p.yaml --reason again")
        .out.splitlines()[0]
        .startswith("version 3 of project demo is proposed")
    )
    assert consented.run("project approve demo --version 3 --json").json["version"] == 3
    listed = consented.run("project versions demo --json").json["versions"]
    assert [one["state"] for one in listed] == ["superseded", "taken_back", "in_force"]
    assert consented.run("project check demo --json").json["permit"] == 12
    steps = consented.run("audit approvals --json").json["projects"][0]["steps"]
    proposals = ["amendment proposed", "amendment taken back", "amendment proposed"]
    assert [one["what"] for one in steps] == ["declared", "approved", *proposals, "approved"]
    assert {one["signed"] for one in steps} == {True}
