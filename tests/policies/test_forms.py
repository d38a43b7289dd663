from copy import deepcopy

import pytest

from policies import forms
from policies.errors import PolicyInputError
from policies.forms import parse_form
from policies.purposes import Activity, UseKind
from policies.states import fold
from tests.support.consenting import CANCER, HMB, LUNG, NOW, T0, ask, day, form_event, load, purpose, why

SHIPPED = ["broad-research-1", "clinical-matching-1", "disease-research-1", "duo-codes-1"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_forms_parse_and_can_be_accepted(name):
    form = parse_form(load(name))
    assert f"{form.id}-{form.version}" == name
    assert fold([form_event(form, **form.accept_all())]).acceptances


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("broad-research-1", "be770b8e596bfe8c58203104271325cccbe83027319d838588b884b310bdd7d0"),
        ("clinical-matching-1", "21202c30531ea612305353ecec2d4775e7fab686da76e408e2500b435baba77b"),
        ("disease-research-1", "a786b0cb4022179444518dcb8abcf88a2732f68d033e71622ee301f530066164"),
        ("duo-codes-1", "64985a9e9b3c21d3e13d62c4c84b90fe3f3a5bf0031eb3cf8ff5f31ae6530308"),
    ],
)
def test_a_shipped_version_never_changes(name, digest):
    assert parse_form(load(name)).digest == digest


def test_broad_research_permits_health_research_without_any_ruling():
    form = parse_form(load("broad-research-1"))
    assert ask([form_event(form, research_use="yes")]).permitted
    assert ask([form_event(form, research_use="yes")], purpose(UseKind.GENERAL)).permitted
    assert why(ask([form_event(form, research_use="no")])) == ("deny", "declined")


def test_disease_research_by_option():
    form = parse_form(load("disease-research-1"))
    cancer, lung = (
        purpose(UseKind.DISEASE, diseases=(CANCER,), commercial=False),
        purpose(UseKind.DISEASE, diseases=(LUNG,), commercial=False),
    )
    only = [form_event(form, research_use="disease_only")]
    assert ask(only, cancer).permitted
    assert ask(only, lung).permitted
    assert not ask(only, purpose(UseKind.HMB, commercial=False)).permitted
    assert ask([form_event(form, research_use="any_health")], purpose(UseKind.HMB, commercial=False)).permitted


def test_disease_research_asks_about_companies():
    form = parse_form(load("disease-research-1"))
    for word, permitted in (("yes", True), ("no", False), ("", False)):
        assert (
            ask([form_event(form, research_use="any_health", commercial=word)], purpose(UseKind.HMB, commercial=True)).permitted
            is permitted
        )


def test_disease_research_runs_out_after_30_years():
    form = parse_form(load("disease-research-1"))
    event = form_event(form, research_use="any_health")
    what = purpose(UseKind.HMB, commercial=False)
    assert ask([event], what, at=T0.replace(year=2054, month=12)).permitted
    assert why(ask([event], what, at=T0.replace(year=2055))) == ("deny", "consent_expired")


def test_clinical_matching_covers_care_and_masks_what_was_not_allowed():
    form = parse_form(load("clinical-matching-1"))
    what = purpose(UseKind.CLINICAL_CARE, action=Activity.MATCHING)
    assert ask([form_event(form, **form.accept_all())], what).obligations.mask == ()
    for word in ("no", ""):
        decision = ask([form_event(form, matching="yes", neurodegenerative=word)], what)
        assert decision.permitted
        assert [rule.name for rule in decision.obligations.mask] == ["APOE"]


def test_coded_consents():
    form = parse_form(load("duo-codes-1"))
    assert ask([form_event(form, research_use="HMB + NMDS | POA")]).permitted
    assert why(ask([form_event(form, research_use="POA")])) == ("deny", "ancestry_not_covered")


def test_a_bundle_is_not_explicit():
    data = load("broad-research-1")
    data["questions"][0]["policies"] = ["research_use", "matching"]
    event = form_event(parse_form(data), research_use="yes")
    assert [(item.policy, item.explicit) for item in event.answers] == [("research_use", False), ("matching", False)]


BAD = [
    (lambda form: form.update(extra=1), "unknown_field", "extra"),
    (lambda form: form.pop("version"), "missing", "version"),
    (lambda form: form.update(version=1), "not_text", "version"),
    (lambda form: form.update(form="Broad Research"), "bad_name", "form"),
    (lambda form: form.update(language=False), "not_text", "language"),
    (lambda form: form.update(questions=[]), "empty", "questions"),
    (lambda form: form.update(questions="x"), "not_a_list", "questions"),
    (lambda form: form.update(material_change=True), "missing", "effective"),
    (lambda form: form.update(effective="2025-01-01T00:00:00"), "time_without_zone", "effective"),
    (lambda form: form.update(validity={"months": 0}), "not_a_number", "validity.months"),
    (lambda form: form.update(validity={"from": "2025-01-02", "until": "2025-01-02"}), "bad_window", "validity.until"),
    (lambda form: form["questions"][0].update(alternatives=[]), "empty", "questions[0].alternatives"),
    (
        lambda form: form["questions"][0].update(alternatives=[{"permission": "NPU"}]),
        "not_a_permission",
        "questions[0].alternatives[0].permission",
    ),
    (
        lambda form: form["questions"][0].update(alternatives=[{"permission": "XX"}]),
        "unknown_code",
        "questions[0].alternatives[0].permission",
    ),
    (
        lambda form: form["questions"][0].update(alternatives=[{"permission": "DS"}]),
        "parameter_missing",
        "questions[0].alternatives[0].diseases",
    ),
    (
        lambda form: form["questions"][0]["alternatives"][0].update(modifiers=["NPU", "GS"]),
        "parameter_missing",
        "questions[0].alternatives[0].modifiers[1]",
    ),
    (lambda form: form["questions"][0].update(policies=["purpose:x"]), "bad_policy", "questions[0].policies[0]"),
    (lambda form: form["questions"][0].update(kind="other"), "not_a_choice", "questions[0].kind"),
    (lambda form: form["questions"].append(deepcopy(form["questions"][0])), "repeated", "questions[2].id"),
    (
        lambda form: form["questions"][1].update(kind="loci", loci=[{"gene": "A", "category": "b"}]),
        "bad_locus",
        "questions[1].loci[0]",
    ),
]


@pytest.mark.parametrize(("change", "code", "place"), BAD)
def test_a_bad_form_is_refused_with_the_place(change, code, place):
    data = load("broad-research-1")
    change(data)
    with pytest.raises(PolicyInputError) as caught:
        parse_form(data)
    assert (place, code) in [(item.place, item.code) for item in caught.value.problems]


@pytest.mark.parametrize("data", [None, [], "x", 1, {1: 2}])
def test_what_is_not_a_form_at_all(data):
    with pytest.raises(PolicyInputError):
        parse_form(data)


def test_the_wording_hash_follows_the_words_and_the_digest_the_meaning():
    data, other = load("broad-research-1"), load("broad-research-1")
    other["questions"][0]["alternatives"] = [{"permission": "HMB"}]
    first, second = parse_form(data), parse_form(other)
    assert first.wording_sha256 == second.wording_sha256
    assert first.digest != second.digest
    data["questions"][0]["wording"] += " More."
    assert parse_form(data).wording_sha256 != first.wording_sha256


def test_the_event_keeps_the_form_it_came_from():
    form = parse_form(load("broad-research-1"))
    event = form_event(form, research_use="yes")
    assert event.form == form.ref()
    assert forms.FormRef is type(event.form)
    assert event.answers[0].module == "broad-research/research_use"
    assert ask([event], HMB, at=NOW).permitted
    assert day(0) == event.legal_time
