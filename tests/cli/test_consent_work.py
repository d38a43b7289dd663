"""The commands of a steward's day."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from tests.support.outside import extra

SITE = """form: site
version: "1"
title: Our own
language: en
questions:
  - {id: research_use, required: true, wording: I allow it., alternatives: [{permission: GRU}]}
"""


def test_one_persons_answers_are_recorded_and_explained(peopled):
    peopled.script("project template > p.yaml", "project create p.yaml", "project approve demo")
    made = peopled.run("consent record SAMPLE_3 --form broad-research --answer research_use=yes --channel paper --json").json
    assert (made["form"], made["version"], made["seq"]) == ("broad-research", "1", 1)
    found = peopled.run("consent explain SAMPLE_3 --project demo --json").json
    assert found["decision"]["decision"] == "permit"
    assert found["clauses"][0]["answer"] == "yes (GRU)"
    text = peopled.run("consent explain SAMPLE_4 --project demo").out
    assert text.startswith("No: this person's data cannot be released to the project.\nThere is no consent in force")


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("consent record SAMPLE_3 --form broad-research", 2, "answers_needed"),
        ("consent record SAMPLE_3 --form broad-research --answer yes", 2, "bad_answer"),
        ("consent record SAMPLE_3 --form broad-research --answer colour=blue", 4, "sheet_rejected"),
        ("consent record SAMPLE_3 --form broad-research --answer research_use=maybe", 4, "sheet_rejected"),
        ("consent record SAMPLE_3 --form broad-research --answer research_use=yes --at 2999-01-01", 4, "bad_time"),
        ("consent record NOBODY --form broad-research --answer research_use=yes", 4, "subject_unknown"),
        ("consent correct 1 --reason x", 4, "event_unknown"),
        ("consent explain SAMPLE_3 --project nope", 4, "project_unknown"),
        ("consent coverage --project nope", 4, "project_unknown"),
        ("consent rule nope controls --reason x", 4, "project_unknown"),
        ("consent rule nope colour --reason x", 4, "item_unknown"),
        ("consent lint bad.yaml", 4, "document_rejected"),
        ("consent add bad.yaml", 4, "document_rejected"),
        ("consent load ontology round.tsv --release 1", 4, "document_rejected"),
        ("consent load loci bad.yaml --release 1", 4, "document_rejected"),
        ("consent load ontology nothing.json --release 1", 4, "file_unreadable"),
        ("consent load ontology bad.json --release 1", 4, "ontology_unreadable"),
    ],
)
def test_bad_input_says_what_is_wrong_and_records_nothing(peopled, line, code, error):
    peopled.write("bad.yaml", SITE + "colour: blue\n")
    peopled.write("bad.json", "{}")
    peopled.write("round.tsv", "MONDO:0000001\tMONDO:0000002\nMONDO:0000002\tMONDO:0000001\n")
    ran = peopled.try_(f"{line} --json")
    assert (ran.code, ran.error) == (code, error)
    assert peopled.run("consent show SAMPLE_3 --json").json["events"] == []


def test_a_sites_own_form_is_checked_kept_and_answered(peopled):
    peopled.write("site.yaml", SITE)
    linted = peopled.run("consent lint site.yaml --json").json
    assert peopled.run("consent add site.yaml --json").json == linted
    assert "site@1" in peopled.run("consent forms --all").out
    assert "site@1" not in peopled.run("consent forms").out
    peopled.script("consent sheet site --accept > a.csv", "consent import a.csv --form site --report report.csv")
    report = list(csv.DictReader(io.StringIO((peopled.folder / "report.csv").read_text())))
    assert [(row["line"], row["event"]) for row in report] == [(str(n + 1), str(n)) for n in range(1, 13)]
    assert peopled.try_("consent import a.csv --form site --report report.csv --json").error == "output_exists"


def test_an_ontology_in_obo_graph_json(peopled):
    iri = "http://purl.obolibrary.org/obo/MONDO_000000"
    edge = {"sub": f"{iri}2", "pred": "is_a", "obj": f"{iri}1"}
    other = {"sub": f"{iri}2", "pred": "http://x/part_of", "obj": "http://x/UBERON_1"}
    peopled.write("mondo.json", json.dumps({"graphs": [{"edges": [edge, other]}]}))
    assert peopled.run("consent load ontology mondo.json --release mondo-1 --json").json["version"] == "mondo-1"


def test_an_ontology_in_obo(peopled):
    extra("pronto")
    terms = "[Term]\nid: MONDO:0000001\nname: disease\n\n[Term]\nid: MONDO:0000002\nname: cancer\nis_a: MONDO:0000001\n"
    peopled.write("mondo.obo", f"format-version: 1.2\nontology: mondo\n\n{terms}")
    assert peopled.run("consent load ontology mondo.obo --release mondo-2 --json").json["version"] == "mondo-2"


def test_coverage_draws_bars(consented):
    consented.run("consent withdraw SAMPLE_1")
    (share,) = consented.run("consent coverage --project demo --json").json["coverage"]
    assert (share["people"], share["usable"]) == (12, 11)
    text = consented.run("consent coverage --project demo").out
    assert "demo: 11 of 12 people" in text
    assert "████" in text
    assert " 91.7%" in text
    assert "research of any kind: 11 of 12 people" in consented.run("consent coverage").out


def test_a_review_waits_until_a_steward_rules(consented):
    declared = (consented.folder / "demo.yaml").read_text().replace("code: demo", "code: other")
    consented.write("other.yaml", declared.replace("  use_kinds:", "  controls: true\n  use_kinds:", 1))
    consented.script("project create other.yaml", "project approve other")
    (waiting,) = consented.run("consent queue --json").json["queue"]
    assert waiting == {
        "project": "other",
        "reason": "topic_needs_ruling",
        "about": "controls",
        "people": 12,
        "by_ruling": True,
    }
    assert "a ruling" in consented.run("consent queue").out
    ruled = consented.run("consent rule other controls --reason 'they were asked' --json").json
    assert ruled == {"project": "other", "item": "controls", "allows": True, "in_force": True}
    assert consented.run("project check other --json").json["permit"] == 12
    consented.run("consent rule other controls --reason 'second thoughts' --revoke")
    assert consented.run("project check other --json").json["permit"] == 0


def test_what_ends_soon(peopled):
    signed = datetime.now(UTC).year - 20
    peopled.write("a.csv", f"subject,legal_time,research_use\nSAMPLE_1,{signed}-01-31,any_health\n")
    peopled.run("consent import a.csv --form disease-research")
    assert peopled.run("consent expiring --days 1 --json").json == {"expiring": []}
    (due,) = peopled.run("consent expiring --days 36500 --json").json["expiring"]
    assert (due["policy"], due["ends"], due["cause"]) == ("research_use", f"{signed + 30}-01-31T00:00:00Z", "validity")
    assert "validity" in peopled.run("consent expiring --days 36500").out


def test_a_fact_is_noted(consented):
    consented.run("consent note SAMPLE_2 deceased --at 2026-01-01")
    assert consented.run("project check demo --json").json["deny"] == {"deceased": 1}


def test_a_persons_own_copy(consented):
    files = consented.run("consent export SAMPLE_2 copy --json").json["files"]
    assert [name.rpartition("/")[2] for name in files] == ["dossier.json", "dossier.html"]
    held = json.loads((consented.folder / "copy" / "dossier.json").read_text())
    assert held["standing"]["granted"] == ["research_use"]
    assert held["identity"]["samples"] == ["SAMPLE_2"]
    assert "SAMPLE_2" not in json.dumps(held["log"])
    assert consented.try_("consent export SAMPLE_2 copy --json").error == "output_exists"


def test_a_question_that_grants_what_nobody_asks_for_is_refused_unless_it_is_meant(peopled):
    form = "form: own\nversion: '1'\ntitle: T\nlanguage: de\nquestions:\n- id: forschung\n  wording: Ja\n  alternatives: [{permission: GRU}]\n"
    peopled.write("own.yaml", form)
    for command in ("lint", "add"):
        refused = peopled.try_(f"consent {command} own.yaml --json")
        assert (refused.code, refused.error) == (4, "policy_unasked")
        assert "forschung" in refused.json["error"]["message"]
        peopled.run(f"consent {command} own.yaml --accept policy_unasked")
    peopled.write(
        "named.yaml", form.replace("form: own", "form: named").replace("  wording", "  policies: [research_use]\n  wording")
    )
    peopled.run("consent add named.yaml")


def test_an_import_says_how_many_now_allow_what(peopled):
    peopled.run("consent sheet broad-research --accept > answers.csv")
    told = peopled.run("consent import answers.csv --form broad-research --json").json
    assert told["usable"]["health research"] == told["recorded"] == 12
    assert told["usable"]["clinical care"] == 0


def test_a_dry_run_finds_the_faults_and_records_nothing(peopled):
    peopled.run("consent sheet broad-research --accept > answers.csv")
    out = peopled.run("consent import answers.csv --form broad-research --dry-run").out
    assert "12 people's answers" in out
    assert "nothing was recorded" in out
    assert peopled.run("consent show SAMPLE_1 --json").json["events"] == []
    peopled.write("bad.csv", "subject,research_use\nSAMPLE_99,yes\n")
    assert peopled.try_("consent import bad.csv --form broad-research --dry-run --json").error == "sheet_rejected"


def test_a_single_record_is_refused_without_the_words_of_a_sheet(peopled):
    for options, words in (("--signer next_of_kin", "no death is recorded"), ("--answer nothing=yes", "has no question")):
        answer = "" if "nothing" in options else "--answer research_use=yes"
        refused = peopled.try_(f"consent record SAMPLE_3 --form broad-research {answer} {options}")
        assert refused.code == 4
        assert words in refused.err
        assert "line 0" not in refused.err
        assert "sheet" not in refused.err


def test_the_queue_is_the_one_place_where_everything_waits(consented):
    text = (consented.folder / "demo.yaml").read_text()
    consented.write("each.yaml", text.replace("code: demo", "code: each") + "approval: each\n")
    consented.write(
        "draft.yaml", text.replace("code: demo", "code: draft").replace('datasets: ["cohort"]', "datasets: [nowhere]")
    )
    consented.write("demo.yaml", text + "people: [ann]\n")
    consented.script("project create each.yaml", "project approve each", "project create draft.yaml")
    consented.run("project amend demo.yaml --reason x")
    asked = consented.run("request submit --project each --dataset cohort --json").json["request"]
    found = consented.run("consent queue --json").json
    assert [(one["request"], one["project"]) for one in found["requests"]] == [(asked, "each")]
    assert [(one["project"], one["version"], one["state"]) for one in found["versions"]] == [
        ("demo", 2, "proposed"),
        ("draft", 1, "draft"),
    ]
    assert found["merges"] == []
    out = consented.run("consent queue").out
    assert f"genovault request approve {asked}" in out
    assert "version 2 of project demo is proposed" in out


def test_a_proposed_merge_is_in_the_queue_with_the_command_that_agrees(consented):
    consented.run("principal add bob --role steward --new-key-file bob.key --argon2-profile test-only")
    consented.run("--as ann subject merge SAMPLE_1 SAMPLE_2 --reason 'one person' --accept --yes")
    (merge,) = consented.run("--as ann consent queue --json").json["merges"]
    assert merge["proposed_by"] == "ann"
    assert merge["agree"].startswith(f"genovault subject merge {merge['stays']} {merge['goes']} --accept --reason")
    assert "another steward agrees with: genovault subject merge" in consented.run("--as ann consent queue").out
    taken = consented.run("--as ann subject merge SAMPLE_1 SAMPLE_2 --take-back --reason no --json").json
    assert taken == {"state": "taken_back", "stays": merge["stays"], "goes": merge["goes"]}
    assert consented.run("--as ann consent queue --json").json["merges"] == []
    assert consented.try_("--as ann subject merge SAMPLE_1 SAMPLE_2 --take-back --reason no --json").error == "not_proposed"


def test_a_proposed_raise_is_in_the_queue_with_the_command_that_agrees(consented):
    consented.run("principal add bob --role steward --new-key-file bob.key --argon2-profile test-only")
    consented.run("--as ann budget raise demo --nats 0.5 --reason 'they found much'")
    found = consented.run("--as ann consent queue --json").json
    (raised,) = found["raises"]
    assert (raised["project"], raised["dataset"], raised["nats"], found["tables"]) == ("demo", "cohort", 0.5, [])
    assert raised["agree"] in consented.run("--as ann consent queue").out
    consented.run("--as bob --key-file bob.key " + raised["agree"].removeprefix("genovault "))
    assert consented.run("--as ann consent queue --json").json["raises"] == []


def test_who_asks_whose_a_pseudonym_is_waits_in_the_queue_until_it_ends(consented):
    consented.run("principal add bob --role steward --new-key-file bob.key --argon2-profile test-only")
    asked = consented.run("--as ann request submit --project demo --dataset cohort --json").json["request"]
    consented.run(f"--as ann extract {asked} --output out")
    (name, *_) = consented.run("--as ann pseudonym of SAMPLE_1 --project demo --reason x --json").json["names"]
    opened = f"--as ann pseudonym resolve open {name['pseudonym']} --project demo --reason x --json"
    first, second = (consented.run(opened).json["resolution"] for _ in range(2))
    bob = "--as bob --key-file bob.key"
    assert {one["state"] for one in consented.run(f"{bob} consent queue --json").json["resolutions"]} == {"open"}
    said = consented.run(f"{bob} consent queue").out
    assert f"ann asks whose a pseudonym of demo is: genovault pseudonym resolve approve {first}" in said
    assert name["pseudonym"] not in said
    consented.run(f"{bob} pseudonym resolve approve {first}")
    consented.run(f"--as ann pseudonym resolve close {second} --reason 'opened wrongly'")
    assert f"bob approved: genovault pseudonym resolve execute {first}" in consented.run("--as ann consent queue").out
    consented.run(f"--as ann pseudonym resolve execute {first}")
    assert consented.run("--as ann consent queue --json").json["resolutions"] == []
