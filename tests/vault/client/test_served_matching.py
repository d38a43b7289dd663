"""Criteria and counts through a server: what the embedded API gives, under the same budgets."""

from __future__ import annotations

from contextlib import closing

import pytest

import vault
from tests.support import matched, served, vaults
from tests.support.held import FACTOR
from vault.api import Vault
from vault.crypto.keystore import Role
from vault.errors import GenovaultError
from vault.operations.recovery import open_recovered
from vault.session import principals

PANEL = {"project": "served", "dataset": "cohort", "panel": "exact"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The vault of 130 people behind a server, with a project for matching and counts."""
    folder = tmp_path_factory.mktemp("matched")
    held = matched.make(folder)
    held.vault.close()
    vaults.add_role(folder / "v", Role.SERVICE)
    with closing(open_recovered(folder / "v", factor=FACTOR, principal="ann")) as s:
        principals.add(s, "rita", Role.RESEARCHER, None)
        held.vault = s
        matched.declare(held, "served", kinds=["matching", "counts"], people=["rita"])
        token = served.issue(s)
    with served.serving(folder / "v", token=token) as it:
        yield it


@pytest.fixture
def client(server):
    with vault.connect(server.url, token=server.token) as it:
        yield it


@pytest.fixture
def embedded(server):
    with closing(open_recovered(server.folder, factor=FACTOR, principal="ann")) as s:
        yield Vault(s)


def test_a_pack_holds_for_the_same_people_either_way(client, embedded):
    over = client.panel("served", dataset="cohort", name="exact").match("small@1")
    here = embedded.match(**PANEL, criteria="small@1")
    assert [(one.id, set(one.matched), one.unknown_band) for one in over.criteria] == [
        (one.id, set(one.matched), one.unknown_band) for one in here.criteria
    ]
    assert {one.id: len(one.matched) for one in over.criteria}["common"]


def test_a_pack_s_counts_are_the_same_answer_either_way_and_charged_once(client, embedded):
    over = client.panel("served", dataset="cohort", name="exact").match_counts("small@1", epsilon=0.1)
    here = embedded.match_counts(**PANEL, criteria="small@1", epsilon=0.1)
    assert [(one.id, one.people, one.epsilon) for one in over.criteria] == [
        (one.id, one.people, one.epsilon) for one in here.criteria
    ]
    assert (over.cohort.digest, over.cohort.n_band, over.epsilon, over.accuracy95) == (
        here.cohort,
        here.n_band,
        here.epsilon,
        here.accuracy95,
    )
    assert over.charged > 0
    assert here.charged == 0


def test_counts_and_presence_are_the_same_answer_either_way(client, embedded):
    asked = {"project": "served", "dataset": "cohort", "alleles": [*matched.LOCI.values()], "accuracy": 40}
    over, here = client.counts(**asked), embedded.counts(**asked)
    said = lambda found: [(one.allele, one.exists, one.carriers, one.epsilon) for one in found.answers]  # noqa: E731 - of both
    assert said(over) == said(here)
    assert (over.charged > 0, here.charged) == (True, 0)
    by_panel = {"project": "served", "dataset": "cohort", "panel": "exact", "accuracy": 40}
    assert said(client.counts(**by_panel)) == said(embedded.counts(**by_panel))


def code_of(act, *args, **named):
    with pytest.raises(GenovaultError) as caught:
        act(*args, **named)
    return caught.value.code


@pytest.mark.parametrize(
    ("criteria", "accuracy"),
    [("nosuch@1", {}), ("small@2", {}), ("small", {}), ("small@1", {"epsilon": -1})],
)
def test_what_is_wrong_with_a_question_is_the_same_code_either_way(client, embedded, criteria, accuracy):
    panel = client.panel("served", dataset="cohort", name="exact")
    over, here = (
        code_of(panel.match_counts, criteria, **accuracy),
        code_of(embedded.match_counts, **PANEL, criteria=criteria, **accuracy),
    )
    assert over == here


def test_a_budget_that_does_not_reach_is_a_refusal_without_reason_over_the_wire(client, embedded):
    panel = client.panel("served", dataset="cohort", name="exact")
    assert code_of(panel.match_counts, "small@1", accuracy=0) == "refused"
    assert code_of(embedded.match_counts, **PANEL, criteria="small@1", accuracy=0) == "budget_spent"
