"""Attacks on matching in place. Each is carried out with its guard off too, and must succeed then, or it proves nothing."""

from __future__ import annotations

import pytest

from tests.support import criteria, matched
from tests.support.attack_figures import shown
from tests.support.matched import LOCI, PACK, ask
from vault import counting, gate
from vault.access import criteria_packs
from vault.consent import recording
from vault.errors import GenovaultError, RefusedError

AD_HOC = criteria.document(
    LOCI,
    *((f"{locus}-{kind}", {"genotype": locus, "is": [kind]}) for locus in LOCI for kind in ("none", "het", "hom")),
    name="probe",
)
REBUILT = "Rebuilding genotypes through matching", "genotypes of a panel that criteria of one's own rebuild"
ASKED = {"on": "130 made-up people, a criterion for each locus and genotype", "bound": "0: refused"}


@pytest.fixture
def held(tmp_path):
    found = matched.make(tmp_path)
    yield found
    found.vault.abandon()


@pytest.fixture
def engine(held):
    with matched.engine_of(held) as opened:
        yield opened


def rebuilt(found):
    """Copies of each locus's allele by person, as one criterion for each locus and genotype tells them."""
    told = {}
    for one in found.criteria:
        locus, kind = one.id.split("-")
        told |= {(str(name), locus): {"none": 0, "het": 1, "hom": 2}[kind] for name in one.matched}
    return told


def truth(held):
    """The same from a view of the panel, under the same project's names."""
    matched.declare(held, "both", kinds=["records", "matching"])
    view = gate.view(held.vault, project="both", dataset="cohort", panel="exact")
    copies = (view.genotypes == 1).sum(axis=2)
    names = [f"at{site.pos}" for site in view.variants()]
    return {
        (str(name), locus): int(copies[row, column])
        for row, locus in enumerate(names)
        for column, name in enumerate(view.pseudonyms)
    }


def test_a_panel_cannot_be_rebuilt_by_criteria_of_ones_own(held, engine):
    for act in (criteria_packs.add, criteria_packs.approve):
        with pytest.raises(RefusedError, match="may not"):
            act(engine, AD_HOC if act is criteria_packs.add else "small@1")
    criteria_packs.add(held.vault, AD_HOC)  # as if somebody had smuggled it in
    with pytest.raises(GenovaultError) as caught:
        ask(held, "probe@1", vault=engine)
    assert caught.value.code == "criteria_unknown"
    assert [one.id for one in ask(held, vault=engine).criteria] == [one["id"] for one in PACK["criteria"]]
    shown(*REBUILT, guarded=0, **ASKED)


def test_without_approvals_the_panel_is_rebuilt_whole(held, monkeypatch):
    """Guard off: whatever is in the books is asked."""
    expected = truth(held)
    criteria_packs.add(held.vault, AD_HOC)
    kept = criteria_packs.show(held.vault, "probe@1")
    monkeypatch.setattr(criteria_packs, "require", lambda *_: kept)
    assert rebuilt(ask(held, "probe@1", code="both")) == expected
    assert len(expected) == 130 * len(LOCI)
    shown(*REBUILT, off=len(expected), **ASKED)


def test_an_approved_pack_of_every_genotype_is_stopped_by_its_bits(held):
    """Stewards may approve too much: the project's own limit still holds."""
    criteria.approved(held.vault, AD_HOC)
    matched.declare(held, "limited", disclosure={"max_bits": 20})
    with pytest.raises(RefusedError) as caught:
        ask(held, "probe@1", code="limited")
    assert caught.value.code == "too_many_bits"
    assert ask(held, "probe@1").bits["cumulative"] > 20  # without a limit it leaves


def difference(held):
    """People for whom a criterion held before a withdrawal less those after it."""

    def asked():
        found = gate.match_counts(
            held.vault, project="counted", dataset="cohort", panel="exact", criteria="small@1", epsilon="0.1"
        )
        return next(one.people for one in found.criteria if one.id == "common")

    matched.declare(held, "counted", kinds=["matching", "counts"])
    before = asked()
    recording.withdraw(held.vault, "P000")  # a carrier
    after = asked()
    return None if before is None or after is None else before - after


def test_the_difference_across_a_withdrawal_is_of_two_draws(held, monkeypatch):
    drawn, real = [], counting.discrete_laplace
    monkeypatch.setattr(counting, "discrete_laplace", lambda *given: drawn.append(real(*given)) or drawn[-1])
    difference(held)
    assert len(drawn) == 2 * len(PACK["criteria"])


def test_without_noise_the_difference_is_the_victims_genotype(held, monkeypatch):
    """Guard off."""
    monkeypatch.setattr(counting, "discrete_laplace", lambda *_: 0)
    assert difference(held) == 1
