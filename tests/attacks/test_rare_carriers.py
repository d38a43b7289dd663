"""Carriers of a rare ALT, looked for in a view that withholds it beside another ALT of the same site."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.support.attack_figures import shown
from tests.support.held import Held
from tests.support.vcf_text import vcf
from vault import gate
from vault.views import deidentify

PEOPLE = [f"P{at:02}" for at in range(40)]
CARRIERS = {"P03", "P17"}
FEWEST = 5


@pytest.fixture
def held(tmp_path):
    draw = random.Random(1)
    calls = ["0/2" if name in CARRIERS else draw.choice(["0/0", "0/1", "1/1"]) for name in PEOPLE]
    rows = [f"22 {1000 + 10 * at} A C " + " ".join(draw.choice(["0/0", "0/1"]) for _ in PEOPLE) for at in range(20)]
    rows.insert(10, f"22 1095 C T,G {' '.join(calls)}")
    held = Held.make(tmp_path)
    held.load(held.write("c.vcf", vcf(" ".join(PEOPLE), *rows).data))
    held.everyone_consents()
    held.project("demo", min_carriers=FEWEST)
    yield held
    held.vault.close()


def told(held):
    """People whom a site's missing calls or rarest ALT set apart from the others who are called there."""
    view, names, found = gate.view(held.vault, project="demo", dataset="cohort"), held.names("demo"), set()
    for site, _ in enumerate(view.variants()):
        calls = {names[name]: view.calls_of(name)[site] for name in view.pseudonyms}
        for allele in ".123":
            having = {name for name, call in calls.items() if allele in call}
            if len(having) < FEWEST:
                found |= having
    return found


def test_a_withheld_alt_leaves_no_gap_at_its_carriers(held, monkeypatch):
    guarded = told(held)
    with monkeypatch.context() as off:
        off.setattr(deidentify, "rare_sites", lambda calls, *_: np.zeros(len(calls.sites), np.bool_))
        open_to_it = told(held)
    assert open_to_it == CARRIERS
    assert guarded == set()
    shown(
        "What is left out beside what is shown",
        "carriers of an ALT that is too rare to be shown",
        on="40 made-up people, 2 of them carriers, at a site with another ALT",
        off=len(open_to_it),
        guarded=len(guarded),
        bound="0",
    )
