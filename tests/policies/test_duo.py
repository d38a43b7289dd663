import csv

import pytest

from policies import duo
from policies.errors import PolicyInputError
from tests.support.outside import shared


@pytest.mark.parametrize(
    "text",
    ["NPOA", "npoa", " NPOA ", "DUO:0000044", "DUO_0000044", "DUO_00000044", "http://purl.obolibrary.org/obo/DUO_00000044"],
)
def test_one_code_whatever_its_spelling(text):
    assert duo.term(text).code == "NPOA"


@pytest.mark.parametrize("text", ["DUO:0000002", "DUO:0000003", "DUO:0000005", "DUO_0000014"])
def test_obsolete_codes_are_refused_with_advice(text):
    with pytest.raises(PolicyInputError, match="obsolete") as caught:
        duo.term(text)
    assert caught.value.code == "obsolete_code"


@pytest.mark.parametrize("text", ["", "XX", "DUO:0000001", "DUO:0000017", "DUO:0000099", "DUO:44x", "DS-CANCER"])
def test_unknown_codes_are_refused(text):
    assert duo.find(text) is None
    with pytest.raises(PolicyInputError) as caught:
        duo.term(text, place="here")
    assert (caught.value.code, caught.value.place) == ("unknown_code", "here")


def test_the_table_has_23_codes():
    assert len(duo.TERMS) == 23
    assert len({term.code for term in duo.TERMS}) == len({term.id for term in duo.TERMS}) == 23


def test_the_table_is_the_published_release():
    rows = list(csv.DictReader(shared("data/5-conformance/duo/duo.csv").read_text().splitlines()))
    published = {row["id"]: (row["shorthand"], row["label"]) for row in rows if row["shorthand"]}
    assert {term.id: (term.code, term.label) for term in duo.TERMS} == published


def test_investigation_terms_by_id_and_label():
    assert duo.investigation("genetic research") == duo.investigation("DUO_0000038") == "DUO:0000038"
    assert duo.investigation("DUO:0000004") is None


@pytest.mark.parametrize("text", ["MONDO:0004992", "mondo_0004992", "http://purl.obolibrary.org/obo/MONDO_0004992"])
def test_disease_ids_have_one_spelling(text):
    assert duo.disease(text) == "MONDO:0004992"


@pytest.mark.parametrize("text", ["", "cancer", "MONDO:", "MONDO:00x", "MONDO 1"])
def test_bad_disease_ids(text):
    with pytest.raises(PolicyInputError) as caught:
        duo.disease(text)
    assert caught.value.code == "bad_disease"
