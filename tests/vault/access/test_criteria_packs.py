"""Criteria packs in the books: two stewards approve one text for one version of a panel; nothing else is asked."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.support import criteria, vaults
from tests.support.criteria import document
from tests.support.held import Held
from tests.support.vcf_text import vcf
from vault.access import criteria_packs
from vault.access.scope import AccessScope
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, IntegrityError, RefusedError
from vault.genotypes.catalog import datasets, panels
from vault.operations import doctor, key_rotation
from vault.session import principals
from vault.session.unlocked_vault import open_vault
from vault.storage.disclosure_tables import CriteriaPackRow

BOB = PassphraseFactor.from_text("passphrase of bob")
LOCI = {"a": "chr22:1000:A:G", "b": "22:1010:A:G"}
PACK = document(LOCI, ("carrier", {"carries": "a"}), ("both", {"and": [{"carries": "a"}, {"carries": "b"}]}))


@pytest.fixture
def held(tmp_path):
    made = Held.make(tmp_path)
    made.load(made.write("c.vcf", vcf("P1 P2", "22 1000 A G 0/1 0/0").data))
    criteria.exact_panel(made.vault, "22:1000:A:G", "22:1010:A:G")
    yield made
    made.vault.close()


def refusal(action) -> str:
    with pytest.raises((InputError, RefusedError, IntegrityError)) as caught:
        action()
    assert "\n" not in str(caught.value)
    return caught.value.code


def required(vault, label="small@1", panel="exact"):
    dataset = datasets.by_name(vault, "cohort")
    scope = AccessScope(None, dataset, panels.by_name(vault, panel), (), criteria=label)
    with vault.books.read() as tx:
        return criteria_packs.require(vault, tx, scope)


def with_bob(held):
    principals.add(held.vault, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
    return closing(open_vault(held.folder / "v", factor=BOB, principal="bob", clock=held.clock, random=held.random))


def test_only_what_was_approved_is_asked(held):
    assert criteria_packs.add(held.vault, PACK).state == "added"
    assert refusal(lambda: required(held.vault)) == "criteria_not_approved"
    assert refusal(lambda: required(held.vault, "small@2")) == "criteria_unknown"
    found = criteria_packs.approve(held.vault, "small")
    assert (found.settled, found.kept.state, found.kept.approved_by) == (True, "approved", held.vault.principal)
    assert held.entries()[-1]["flags"] == ["self_approved"]
    assert [one.id for one in required(held.vault).pack.criteria] == ["carrier", "both"]
    assert refusal(lambda: criteria_packs.approve(held.vault, "small@1")) == "criteria_state"
    assert doctor.examine(held.vault).ok


def test_a_change_is_another_version_with_an_approval_of_its_own(held):
    criteria.approved(held.vault, PACK)
    assert criteria_packs.add(held.vault, PACK).state == "approved"
    assert refusal(lambda: criteria_packs.add(held.vault, PACK | {"source": "elsewhere"})) == "criteria_exists"
    criteria_packs.add(held.vault, PACK | {"version": 2, "source": "elsewhere"})
    assert refusal(lambda: required(held.vault, "small@2")) == "criteria_not_approved"
    assert required(held.vault, "small@1").pack.source == "made up"
    assert [(one.pack.label, one.state) for one in criteria_packs.list_all(held.vault)] == [
        ("small@1", "approved"),
        ("small@2", "added"),
    ]


def test_where_two_stewards_are_both_sign(held):
    criteria_packs.add(held.vault, PACK)
    with with_bob(held) as bob:
        first = criteria_packs.approve(held.vault, "small")
        assert (first.settled, first.kept.state) == (False, "added")
        assert refusal(lambda: criteria_packs.approve(held.vault, "small")) == "self_confirmation"
        assert refusal(lambda: required(bob)) == "criteria_not_approved"
        second = criteria_packs.approve(bob, "small@1")
        assert (second.settled, second.proposed_by, second.kept.approved_by) == (True, held.vault.principal, "bob")
    assert required(held.vault).state == "approved"
    assert "flags" not in held.entries()[-1]


def test_another_version_of_the_panel_takes_another_approval(held):
    criteria.approved(held.vault, PACK)
    criteria.exact_panel(held.vault, "22:1000:A:G", "22:1010:A:G", "22:1020:A:G")
    assert refusal(lambda: required(held.vault)) == "criteria_not_approved"
    criteria_packs.approve(held.vault, "small@1")
    assert required(held.vault).state == "approved"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"loci": LOCI | {"c": "22:1020:A:G"}}, "locus_outside_panel"),
        ({"loci": LOCI | {"a": "22:1000:A:T"}}, "locus_outside_panel"),
        ({"assembly": "GRCh37"}, "assembly_mismatch"),
        ({"panel": "none"}, "panel_unknown"),
    ],
)
def test_a_pack_that_does_not_fit_its_panel_is_not_approved(held, changes, code):
    criteria_packs.add(held.vault, PACK | changes)
    assert refusal(lambda: criteria_packs.approve(held.vault, "small")) == code


def test_a_panel_of_places_names_no_allele(held):
    vaults.panel(held.vault, "exact", loci=b"22\t999\t1030\n")
    criteria_packs.add(held.vault, PACK)
    assert refusal(lambda: criteria_packs.approve(held.vault, "small")) == "locus_outside_panel"


def test_what_is_retired_is_asked_no_more(held):
    criteria.approved(held.vault, PACK)
    assert criteria_packs.retire(held.vault, "small@1", reason="a wrong allele").state == "retired"
    assert refusal(lambda: required(held.vault)) == "criteria_not_approved"
    assert refusal(lambda: criteria_packs.approve(held.vault, "small@1")) == "criteria_state"
    assert refusal(lambda: criteria_packs.retire(held.vault, "small@1", reason="again")) == "criteria_state"
    assert doctor.examine(held.vault).ok


@pytest.mark.parametrize("label", ["", "Small", "small@0", "small@", "small@1@2", "small@99999999", "a b"])
def test_what_is_no_label_is_told_so(held, label):
    assert refusal(lambda: criteria_packs.show(held.vault, label)) == "criteria_label"


def test_an_edited_or_borrowed_approval_asks_nothing(held):
    """By whoever holds a steward's slot and edits rows: the signatures decide."""
    criteria.approved(held.vault, PACK)
    wider = document(LOCI, ("one", {"carries": "a"}), ("two", {"carries": "b"}), version=2)
    criteria_packs.add(held.vault, wider)
    with held.vault.books.write() as tx:
        good, bad = (tx.get_one(CriteriaPackRow, ("small", version)) for version in (1, 2))
        bad.panel_id, bad.approved_by, bad.approved = good.panel_id, good.approved_by, good.approved
        criteria_packs._seal(held.vault, bad, criteria_packs.packs.parse_pack(wider).text())
    assert refusal(lambda: required(held.vault, "small@2")) == "approval_missing"
    assert "criteria_pack_altered" in {one.code for one in doctor.examine(held.vault).findings}
    with held.vault.books.write() as tx:
        tx.get_one(CriteriaPackRow, ("small", 1)).added += 1
    assert refusal(lambda: required(held.vault)) == "criteria_pack_altered"


def test_packs_outlast_a_rotation_of_the_books_key(held):
    criteria.approved(held.vault, PACK)
    key_rotation.rotate(held.vault, [key_rotation.Branch.BOOKS])
    held.reopen()
    assert required(held.vault).state == "approved"


def test_an_engine_sees_what_is_approved_for_its_panels(held):
    criteria.approved(held.vault, PACK)
    criteria_packs.add(held.vault, PACK | {"version": 2, "source": "elsewhere"})
    vaults.approve(held.vault, "mine", "cohort", people=["engine"])
    factor = PassphraseFactor.from_text("passphrase of engine")
    principals.add(held.vault, "engine", Role.ENGINE, factor, profile=Argon2Profile.TEST_ONLY)
    with closing(open_vault(held.folder / "v", factor=factor, principal="engine")) as engine:
        assert [one.pack.label for one in criteria_packs.list_all(engine)] == ["small@1"]
        assert criteria_packs.show(engine, "small").pack.label == "small@1"
        assert refusal(lambda: criteria_packs.show(engine, "small@2")) == "criteria_unknown"
        assert refusal(lambda: criteria_packs.approve(engine, "small@2")) == "not_authorised"
