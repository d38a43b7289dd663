"""Places that acts of consent name are looked up before they are recorded."""

from __future__ import annotations

import pytest

from policies.loci import LocusRule, RuleKind
from vault.access import reference_data
from vault.consent import forms, named_places, recording
from vault.errors import InputError

FORM = """form: own
version: "1"
title: Research without some places
language: en
questions:
  - id: research_use
    wording: I allow research, but not with these places
    alternatives: [{permission: GRU, exclude: [{%s: %s}]}]
  - id: mine
    kind: loci
    wording: Leave this out too
    loci: [{interval: "22:5-9", assembly: %s}]
"""


@pytest.mark.parametrize(
    ("scope", "rules"),
    [
        ("everything", ()),
        ("policy:research_use", ()),
        ("loci:mito", (LocusRule(RuleKind.CATEGORY, "mito"),)),
        ("loci:HLA", (LocusRule(RuleKind.CATEGORY, "hla"),)),
        ("loci:APOE", (LocusRule(RuleKind.GENE, "APOE"),)),
        ("loci:apoe", (LocusRule(RuleKind.GENE, "APOE"),)),
    ],
)
def test_names_that_packs_know(held, scope, rules):
    assert named_places.of_scope(held.vault, scope) == rules


def test_a_question_of_a_form_stands_for_its_places(held):
    forms.add(held.vault, FORM % ("gene", "APOE", "hg38"))
    (rule,) = named_places.of_scope(held.vault, "loci:mine")
    assert rule.text == "GRCh38 22:5-9"


@pytest.mark.parametrize(("name", "meant"), [("APOEE", "APOE"), ("mitoo", "mito"), ("quite else", "load the places")])
def test_a_name_that_nothing_knows_is_refused_with_those_like_it(held, name, meant):
    held.everyone_consents()
    before, size = held.traces(), held.vault.trail.log.size()
    with pytest.raises(InputError) as caught:
        recording.withdraw(held.vault, "SAMPLE_3", scope=f"loci:{name}")
    assert caught.value.code == "place_unknown"
    assert meant in caught.value.hint
    assert held.traces() == before
    (entry,) = held.entries(size)
    assert (entry["act"], entry["outcome"], entry["reasons"]) == ("consent.withdraw", "failed", {"place_unknown": 1})


@pytest.mark.parametrize("places", [("gene", "NOGENE1", "GRCh38"), ("category", "mitoo", "GRCh38"), ("gene", "APOE", "hg20")])
def test_a_form_of_places_that_nothing_knows_is_refused(held, places):
    with pytest.raises(InputError) as caught:
        forms.add(held.vault, FORM % places)
    assert caught.value.code == "place_unknown"


def test_a_pack_of_the_site_makes_a_name_known(held):
    own = '{"version": "1", "source": "ours", "date": "2026-01-01", "assemblies": {"hg38": {"genes": {"NOGENE1": ["X:1-5"]}}}}'
    reference_data.load(held.vault, reference_data.LOCI, own, version="1")
    forms.add(held.vault, FORM % ("gene", "NOGENE1", "GRCh38"))
    assert named_places.of_scope(held.vault, "loci:nogene1") == (LocusRule(RuleKind.GENE, "NOGENE1"),)
