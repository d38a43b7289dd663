from __future__ import annotations

import pytest

ASK = "request submit --project demo --dataset cohort"


def test_requests_are_submitted_listed_shown_and_denied(consented):
    consented.write("r.bed", "chr22\t15999999\t16000100\n22\t16000199\t16000200\n")
    consented.run("principal add bob --role researcher")
    first = consented.run(f"{ASK} --region 22:16000000-16100000 --region X --for bob --json").json
    assert first["regions"] == ["22:16000000-16100000", "X"]
    assert (first["state"], first["kind"], first["for"], first["submitted_by"]) == ("approved", "records", "bob", "ann")
    second = consented.run(f"{ASK} --regions-file r.bed --json").json
    assert second["regions"] == ["22:16000000-16000100", "22:16000200-16000200"]
    listed = consented.run("request list --json").json["requests"]
    assert {request["request"] for request in listed} == {first["request"], second["request"]}
    assert first["request"] in consented.run("request list").out
    assert consented.run(f"request show {first['request']} --json").json == first
    assert "22:16000000" in consented.run(f"request show {first['request']}").out
    denied = consented.run(f"request deny {first['request']} --reason 'not now' --json").json
    assert denied["state"] == "denied"
    ran = consented.try_(f"extract {first['request']} --output out --json")
    assert (ran.code, ran.error) == (3, "request_denied")


def test_a_panel_or_everything_can_be_asked_for(consented):
    consented.write("p.bed", "22\t16000099\t16000200\n")
    consented.run("panel create p --loci p.bed --dataset cohort")
    asked = consented.run(f"{ASK} --panel p --json").json
    assert (asked["panel"], asked["panel_version"], asked["regions"]) == ("p", 1, [])
    assert consented.run(f"{ASK} --json").json["regions"] == []


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        ("--region 22:5-1", 4, "document_rejected"),
        ("--regions-file none.bed", 4, "file_unreadable"),
        ("--regions-file bad.bed", 4, "bad_bed"),
        ("--panel nope", 4, "panel_unknown"),
        ("--kind counts", 4, "alleles_missing"),
        ("--kind counts --allele 22:5:A", 4, "document_rejected"),
        ("--kind counts --allele 22:5:A:G --accuracy 3 --epsilon 1", 4, "document_rejected"),
        ("--kind counts --allele 22:5:A:G", 3, "outside_project"),
        ("--kind everything", 2, "usage"),
    ],
)
def test_bad_requests(consented, options, code, error):
    consented.write("bad.bed", "22\t1\n")
    ran = consented.try_(f"{ASK} {options} --json")
    assert (ran.code, ran.error) == (code, error)
    assert consented.run("request list --json").json == {"requests": []}


def test_unknown_names_are_exit_4_and_a_draft_is_refused(consented):
    assert consented.try_("request submit --project nope --dataset cohort --json").error == "project_unknown"
    assert consented.try_("request submit --project demo --dataset nope --json").error == "dataset_unknown"
    for line in ("request show r-1 --json", "request deny r-1 --reason x --json", "extract r-1 --output out --json"):
        ran = consented.try_(line)
        assert (ran.code, ran.error) == (4, "request_unknown")
    consented.run("project suspend demo")
    ran = consented.try_(f"{ASK} --json")
    assert (ran.code, ran.error) == (3, "project_not_approved")


def test_a_file_is_linted_imported_once_and_answered(consented):
    consented.run("request template > r.yaml")
    assert consented.run("request template --json").json["template"].startswith("# A request")
    text = (consented.folder / "r.yaml").read_text().replace("genes:", "# genes:")
    consented.write("r.yaml", text.replace("19.9M-20M", "16000000-16100000"))
    linted = consented.run("request lint r.yaml --json").json
    assert (linted["project"], linted["dataset"], len(linted["sha256"])) == ("demo", "cohort", 64)
    made = consented.run("request import r.yaml --json").json
    assert (made["file_sha256"], made["fields"], made["state"]) == (linted["sha256"], ["genotypes"], "approved")
    assert consented.try_("request import r.yaml --json").error == "request_repeated"
    assert "is approved" in consented.run(f"request answer {made['request']} --output a.json").out
    assert consented.try_(f"request answer {made['request']} --output a.json --json").code == 4  # never written over
    consented.run("release key > keys.txt")
    said = consented.run("request verify-answer a.json --key keys.txt --json").json["answer"]
    assert (said["request"], said["state"], said["granted"]["regions"]) == (made["request"], "approved", ["22:16000000-16100000"])
    consented.write("b.json", (consented.folder / "a.json").read_text().replace("approved", "released"))
    ran = consented.try_("request verify-answer b.json --key keys.txt --json")
    assert (ran.code, ran.error) == (5, "answer_signature")
    consented.write("log.txt", consented.run("audit key").out)
    assert consented.try_("request verify-answer a.json --key log.txt --json").error == "release_key_missing"


def test_every_fault_of_a_file_is_told(shell):
    shell.write("r.yaml", "format: request/1\nproject: De Mo\nloci: {regions: ['22:9-1']}\nextra: 1\n")
    ran = shell.try_("request lint r.yaml --json")
    assert (ran.code, len(ran.json["error"]["problems"])) == (4, 5)


def test_a_request_of_a_project_that_has_each_approved(consented):
    consented.write(
        "each.yaml", (consented.folder / "demo.yaml").read_text().replace("code: demo", "code: each") + "approval: each\n"
    )
    consented.script("project create each.yaml", "project approve each")
    asked = consented.run("request submit --project each --dataset cohort --json").json
    assert (asked["state"], asked["approval"], asked["approved_by"]) == ("submitted", "each", None)
    assert "it waits for a steward" in consented.run("request submit --project each --dataset cohort").out
    assert len(consented.run("request list --waiting --json").json["requests"]) == 2
    assert consented.try_(f"extract {asked['request']} --output out --json").error == "request_not_approved"
    assert consented.run(f"request approve {asked['request']} --json").json["approved_by"] == "ann"
    assert len(consented.run("request list --waiting --json").json["requests"]) == 1
