"""Two views compared, of which one hides a site that is linked with an excluded place and the other shows it."""

from __future__ import annotations

import json
import random

import pytest

from tests.support.attack_figures import shown
from tests.support.held import Held
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import reference_data
from vault.access.disclosure import linkage_decisions
from vault.access.disclosure.linkage_decisions import LinkageDecision
from vault.consent import recording
from vault.genotypes.catalog import datasets

PEOPLE = [f"P{at:03}" for at in range(130)]
ORDER = random.Random(5).sample(PEOPLE, len(PEOPLE))
HIDDEN, LINKED = (
    set(ORDER[:50]),
    set(ORDER[:21]),
)  # carriers at the excluded place, and at a site beyond its margin: as many as it takes
PACK = {
    "version": "own 1",
    "source": "x",
    "date": "2026-01-01",
    "assemblies": {"GRCh38": {"categories": {"own": ["22:4990000-5010000"]}}},
}


def site(pos, carriers):
    return f"22 {pos} A G " + " ".join("0/1" if name in carriers else "0/0" for name in PEOPLE)


@pytest.fixture
def held(tmp_path):
    held = Held.make(tmp_path)
    held.load(
        held.write("c.vcf", vcf(" ".join(PEOPLE), site(5_000_000, HIDDEN), site(6_000_000, LINKED), site(9_000_000, HIDDEN)).data)
    )
    held.answer({name: "yes" for name in PEOPLE if name != ORDER[20]})
    reference_data.load(held.vault, reference_data.LOCI, json.dumps(PACK), version="own 1")
    recording.withdraw(held.vault, ORDER[100], scope="loci:own")
    for code in ("one", "two", "three"):
        held.project(code)
    yield held
    held.vault.close()


def dataset_id(held):
    return datasets.by_name(held.vault, "cohort").dataset_id


def carriers(held, project):
    """Carriers of the linked site in a view, by name; None where it does not show."""
    view, names = gate.view(held.vault, project=project, dataset="cohort"), held.names(project)
    at = [number for number, one in enumerate(view.variants()) if one.pos == 6_000_000]
    return {names[name] for name in view.pseudonyms if "1" in view.calls_of(name)[at[0]]} if at else None


def proven(first, second):
    """People of whom it is proven that they carry the hidden allele: all whom a site shows that was hidden beside one person more."""
    return second if first is None and second else set()


def test_a_withdrawal_does_not_show_what_was_hidden(held, monkeypatch):
    held.everyone_consents()
    hidden = carriers(held, "one")
    recording.withdraw(held.vault, ORDER[20])
    guarded = proven(hidden, carriers(held, "two"))
    with monkeypatch.context() as off:
        off.setattr(LinkageDecision, "serves", lambda *_: False)
        off.setattr(LinkageDecision, "is_near", lambda *_: False)
        open_to_it = proven(hidden, carriers(held, "three"))
    assert len(open_to_it) == 20
    assert open_to_it <= HIDDEN
    assert guarded == set()
    shown(
        "What is left out beside what is shown",
        "people proven to carry an allele of an excluded place",
        on="130 made-up people, views of two projects, between which one of 21 carriers of a linked site withdrew",
        off=len(open_to_it),
        guarded=len(guarded),
        bound="0",
    )


def test_who_comes_does_not_hide_what_was_shown(held):
    seen = carriers(held, "one")
    assert seen is not None
    held.everyone_consents()
    assert carriers(held, "two") == seen | {ORDER[20]}
    with held.vault.books.read() as tx:
        (only,) = linkage_decisions.of_dataset(held.vault, tx, dataset_id(held))
    assert only.linked == ()


def test_it_is_decided_anew_when_more_than_twenty_left(held):
    held.everyone_consents()
    assert carriers(held, "one") is None
    for name in ORDER[101:121]:
        recording.withdraw(held.vault, name)
    assert carriers(held, "one") is None
    recording.withdraw(held.vault, ORDER[20])
    assert carriers(held, "one") == LINKED - {ORDER[20]}
    with held.vault.books.read() as tx:
        assert [len(one.calls) for one in linkage_decisions.of_dataset(held.vault, tx, dataset_id(held))] == [130, 109]
