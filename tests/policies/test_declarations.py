from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
import yaml

from policies.declarations import lint, parse_project, parse_stored, project_template
from policies.errors import PolicyInputError
from policies.purposes import (
    Activity,
    Commitment,
    Organisation,
    Profit,
    ProjectDeclaration,
    RequestKind,
    Topic,
    UseKind,
)

FULL = """
code: demo
title: Lung cancer
purpose:
  use_kinds: [methods, disease]
  action: research
  diseases: ["MONDO:0008903", MONDO_0004992]
  investigations: [genetic research]
  commercial: false
  genetic: true
  controls: true
  commitments: [no_reid, publish]
  ethics: {reference: "1/25", expires: 2027-01-01}
  collaboration: letter of 2025
  topics: [paediatric]
  rulings: [paediatric, GS]
  data_classes: [genotypes, phenotypes]
organisation: {id: "ror:1", name: X, type: university, country: de, profit: non_profit}
people: [bob, {name: ann}]
datasets: [cohort, other]
kinds: [records]
disclosure: {keep_phase: true, keep_ids: false, min_group: 20, max_bits: 10}
pseudonyms: release
expires: 2027-01-31
recipients: [{name: lab}]
"""


def full(**changes):
    return {**yaml.safe_load(FULL), **changes}


def test_a_full_declaration():
    project = parse_project(full())
    assert project.purpose.use_kinds == (UseKind.DISEASE, UseKind.METHODS)
    assert project.purpose.action is Activity.RESEARCH
    assert project.purpose.diseases == ("MONDO:0004992", "MONDO:0008903")
    assert project.purpose.investigations == ("DUO:0000038",)
    assert project.purpose.organisation == Organisation("ror:1", "X", "university", "DE", Profit.NON_PROFIT)
    assert project.purpose.people == ("ann", "bob")
    assert project.purpose.all_topics() == (Topic.PAEDIATRIC, Topic.CONTROLS)
    assert project.purpose.irb_expires == datetime(2027, 1, 1, tzinfo=UTC)
    assert project.kinds == (RequestKind.RECORDS,)
    assert project.expires == datetime(2027, 1, 31, tzinfo=UTC)


def test_decimals_of_the_disclosure_are_kept_exactly_however_they_are_written():
    written = {"mu": 0.3, "epsilon": "0.05", "nats": 2}
    project = parse_project(full(disclosure=written))
    assert (project.disclosure.mu, project.disclosure.epsilon, project.disclosure.nats) == (300_000, 50_000, 2_000_000)
    assert parse_stored(project.text()) == project
    assert '"epsilon":"0.05","mu":"0.3","nats":"2"' in project.text()
    assert parse_project(full(disclosure={"mu": "0.300", "epsilon": 0.05, "nats": 2.0})).digest() == project.digest()


def test_a_declaration_that_says_nothing_of_new_fields_has_the_text_of_before():
    assert '"disclosure":{"keep_phase":true,"max_bits":10,"min_group":20},' in parse_project(full()).text()


def test_a_declaration_survives_its_stored_text():
    project = parse_project(full())
    assert parse_stored(project.text()) == project
    assert parse_stored(project.text()).digest() == project.digest()


def test_a_date_means_its_first_moment_in_the_study_s_zone():
    assert parse_project(full(), zone=ZoneInfo("Europe/Berlin")).expires == datetime(2027, 1, 30, 23, tzinfo=UTC)


def test_the_template_lints_and_is_general_health_research():
    for text in (project_template(), project_template("x2", "a.b-c_d", expires=date(2027, 1, 1))):
        data = yaml.safe_load(text)
        assert lint(data) == ()
        project = parse_project(data)
        assert project.purpose.use_kinds == (UseKind.HMB,)
        assert project.purpose.commitments == (Commitment.NO_REID,)
        assert project.kinds == (RequestKind.RECORDS,)
        assert project.disclosure.keep_phase
        assert project.disclosure.max_bits is None
        assert project.disclosure.min_group is None


def test_every_choice_in_the_template_works_when_it_is_taken():
    lines = []
    for line in project_template("demo", "cohort").splitlines():
        bare = line.lstrip()
        taken = bare.startswith("# ") and not bare.startswith(("# A project", "# Check", "# ask for more"))
        lines.append(line[: len(line) - len(bare)] + bare[2:] if taken else line)
    text = "\n".join(lines).replace("  diseases:", "  #diseases:")
    assert lint(yaml.safe_load(text)) == ()
    assert isinstance(parse_project(yaml.safe_load(text)), ProjectDeclaration)


@pytest.mark.parametrize(
    ("code", "dataset"), [("Demo", "x"), ("d", "x"), ("1a", "x"), ("a" * 21, "x"), ("a-b", "x"), ("ok", "a b"), ("ok", "")]
)
def test_the_template_refuses_names_that_could_not_be_used(code, dataset):
    with pytest.raises(PolicyInputError):
        project_template(code, dataset)


BAD = [
    ({"code": "Demo"}, "code", "bad_code"),
    ({"code": None}, "code", "missing"),
    ({"extra": 1}, "extra", "unknown_field"),
    ({"purpose": None}, "purpose", "missing"),
    ({"purpose": []}, "purpose", "not_a_mapping"),
    ({"purpose": {"use_kinds": ["hmb", "x"]}}, "purpose.use_kinds[1]", "not_a_choice"),
    ({"purpose": {"use_kinds": []}}, "purpose.use_kinds", "empty"),
    ({"purpose": {"use_kinds": ["hmb"], "purpose": 1}}, "purpose.purpose", "unknown_field"),
    ({"purpose": {"use_kinds": ["disease"]}}, "purpose.diseases", "missing"),
    ({"purpose": {"use_kinds": ["hmb"], "diseases": ["MONDO:1"]}}, "purpose.diseases", "unused"),
    ({"purpose": {"use_kinds": ["disease"], "diseases": ["cancer"]}}, "purpose.diseases[0]", "bad_disease"),
    ({"purpose": {"use_kinds": ["hmb"], "commercial": "no"}}, "purpose.commercial", "not_a_flag"),
    ({"purpose": {"use_kinds": ["hmb"], "rulings": ["everything"]}}, "purpose.rulings[0]", "not_a_choice"),
    ({"purpose": {"use_kinds": ["hmb"], "investigations": ["HMB"]}}, "purpose.investigations[0]", "unknown_code"),
    ({"organisation": {"country": False}}, "organisation.country", "not_text"),
    ({"organisation": {"country": "Germany"}}, "organisation.country", "bad_country"),
    ({"organisation": {"profit": "maybe"}}, "organisation.profit", "not_a_choice"),
    ({"people": [""]}, "people[0]", "empty"),
    ({"people": [{"name": "a", "x": 1}]}, "people[0].x", "unknown_field"),
    ({"datasets": []}, "datasets", "empty"),
    ({"datasets": ["a", "a"]}, "datasets[1]", "repeated"),
    ({"kinds": ["everything"]}, "kinds[0]", "not_a_choice"),
    ({"disclosure": {"min_group": 0}}, "disclosure.min_group", "not_a_number"),
    ({"disclosure": {"max_bits": True}}, "disclosure.max_bits", "not_a_number"),
    ({"disclosure": {"mu": 0.364}}, "disclosure.mu", "not_a_number"),
    ({"disclosure": {"mu": 0}}, "disclosure.mu", "not_a_number"),
    ({"disclosure": {"epsilon": "much"}}, "disclosure.epsilon", "not_a_number"),
    ({"disclosure": {"epsilon": 5.1}}, "disclosure.epsilon", "not_a_number"),
    ({"disclosure": {"epsilon": True}}, "disclosure.epsilon", "not_a_number"),
    ({"disclosure": {"nats": 2.31}}, "disclosure.nats", "not_a_number"),
    ({"disclosure": {"nats": 0.0000001}}, "disclosure.nats", "not_a_number"),
    ({"disclosure": {"profile": "standard"}}, "disclosure.profile", "bad_name"),
    ({"disclosure": {"min_carriers": 0}}, "disclosure.min_carriers", "not_a_number"),
    ({"disclosure": {"opt_outs": "drop"}}, "disclosure.opt_outs", "not_a_choice"),
    ({"disclosure": {"fields": ["FILTER"]}}, "disclosure.fields", "missing"),
    ({"disclosure": {"fields": ["GT", "AD"]}}, "disclosure.fields[1]", "not_a_choice"),
    ({"disclosure": {"fields": ["GT"], "keep_ids": True}}, "disclosure.fields", "given_twice"),
    ({"disclosure": {"noise": 1}}, "disclosure.noise", "unknown_field"),
    ({"expires": "soon"}, "expires", "bad_date"),
    ({"expires": "2027-01-01T00:00:00"}, "expires", "time_without_zone"),
    ({"recipients": [{"name": "lab", "key": "nonsense"}]}, "recipients[0].key", "key_not_served"),
    ({"delivery": "sealed", "recipients": []}, "recipients", "missing"),
    ({"delivery": "by hand"}, "delivery", "not_a_choice"),
    ({"title": "x\x00y"}, "title", "not_printable"),
    ({"title": "x" * 301}, "title", "too_long"),
]


@pytest.mark.parametrize(("changes", "place", "code"), BAD)
def test_a_bad_declaration_is_refused_with_the_place(changes, place, code):
    assert (place, code) in [(item.place, item.code) for item in lint(full(**changes))]
    with pytest.raises(PolicyInputError):
        parse_project(full(**changes))


def test_lint_finds_everything_at_once():
    places = [item.place for item in lint(full(code="X", kinds=["x"], extra=1))]
    assert places == ["code", "kinds[0]", "extra"]


@pytest.mark.parametrize("data", [None, [], "code: x", 7, {1: 2}, {"purpose": {"use_kinds": [{}]}}])
def test_what_is_not_a_declaration_at_all(data):
    assert lint(data)


@pytest.mark.parametrize("kinds", [["counts"], ["records", "presence"]])
def test_every_kind_may_be_declared(kinds):
    assert {kind.value for kind in parse_project(full(kinds=kinds)).kinds} == set(kinds)


@pytest.mark.parametrize(
    ("changes", "sealed"),
    [
        ({}, False),
        ({"recipients": [{"name": "lab"}]}, True),
        ({"recipients": [{"name": "lab"}], "delivery": "sealed"}, True),
        ({"recipients": [{"name": "lab"}], "delivery": "plain"}, False),
        ({"delivery": "plain"}, False),
    ],
)
def test_extracts_are_sealed_where_there_are_recipients_unless_the_project_says_otherwise(changes, sealed):
    declared = parse_project(full(**{"recipients": [], **changes}))
    assert declared.sealed is sealed
    assert parse_stored(declared.text()) == declared
    assert ("delivery" in declared.text()) == ("delivery" in changes)  # those of before keep their digest


def test_a_stored_declaration_with_a_recipient_s_key_is_still_read():
    stored = parse_project(full(recipients=[{"name": "lab"}])).text().replace('{"name":"lab"}', '{"key":"nonsense","name":"lab"}')
    assert parse_stored(stored).recipients[0].key == "nonsense"


def test_rules_of_views_are_kept_and_those_of_before_have_their_digest():
    said = {"profile": "own@3", "min_carriers": 5, "opt_outs": "leave_out", "fields": ["PHASE", "GT"]}
    declared = parse_project(full(disclosure=said))
    assert parse_stored(declared.text()) == declared
    assert declared.digest() != parse_project(full(disclosure={**said, "min_carriers": 6})).digest()
    before = '"disclosure":{"keep_phase":true,"max_bits":10,"min_group":20}'  # as it was written before there were profiles
    assert before in parse_project(full()).text()


def test_matching_in_place_is_asked_of_those_who_allow_matching():
    asked = {"kinds": ["records", "matching"]}
    assert [(problem.place, problem.code) for problem in lint(full(**asked))] == [("kinds", "action_needed")]
    purpose = full()["purpose"] | {"action": "matching"}
    assert parse_project(full(purpose=purpose, **asked)).kinds == (RequestKind.RECORDS, RequestKind.MATCHING)
