"""What left to an organisation in bits: added up over the union of sites, kept to where declared, forgotten of those who are erased."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from policies.declarations import project_template
from tests.support import vaults
from tests.support.held import Held
from tests.support.vaults import opened
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import projects, releases
from vault.access.disclosure import released_sites
from vault.audit.entry import decode_leaf
from vault.consent import forms
from vault.crypto.keystore import Role
from vault.errors import IntegrityError, RefusedError
from vault.extracts.genotype_files import FileChoice
from vault.files.yaml_documents import parse_yaml
from vault.operations import doctor
from vault.operations.erasure import process as erasure
from vault.storage.disclosure_tables import ReleasedSitesRow

PEOPLE = [f"P{at:02}" for at in range(24)]
FIRST, SECOND, BOTH = ("22:1-1040",), ("22:1041-2000",), ("22:1-2000",)
ORG = "https://ror.org/00f54p054"


@pytest.fixture
def held(tmp_path):
    """Twenty sites for 24 people, ten of them up to 1040."""
    drawn = random.Random(15)
    rows = [f"22 {1000 + 4 * at} A C {' '.join(drawn.choice(['0/0', '0/1', '1/1']) for _ in PEOPLE)}" for at in range(20)]
    made = Held.make(tmp_path)
    made.load(made.write("c.vcf", vcf(" ".join(PEOPLE), *rows).data))
    made.everyone_consents()
    yield made
    made.vault.close()


def declare(vault, code, *, organisation=ORG, **disclosure):
    document = parse_yaml(project_template(code, "cohort").encode(), name="t")
    document["organisation"] = {"id": organisation} if organisation else {"name": "none"}
    document["people"] = ["engine"]
    document["disclosure"] |= disclosure
    projects.create(vault, document)
    projects.change(vault, code, "approve")


def view(held, code, regions):
    return gate.view(held.vault, project=code, dataset="cohort", regions=regions)


def told(held):
    return dict(releases.list_all(held.vault)[0].content.bits)


def rows(held):
    with held.vault.books.read() as tx:
        return tx.scalars(select(ReleasedSitesRow).order_by(ReleasedSitesRow.owner, ReleasedSitesRow.number)).all()


def code_of(call):
    with pytest.raises((RefusedError, IntegrityError)) as caught:
        call()
    return caught.value.code


def test_the_union_of_sites_counts_and_not_what_is_asked_again(held):
    declare(held.vault, "one")
    view(held, "one", FIRST)
    first = told(held)
    assert first["cumulative"] == pytest.approx(first["mean"], abs=0.02)
    view(held, "one", FIRST)
    assert told(held) == first
    assert len(rows(held)) == 1
    view(held, "one", BOTH)
    both = told(held)
    assert both["cumulative"] == pytest.approx(both["mean"], abs=0.03)
    assert [row.n_sites for row in rows(held)] == [11, 9]


def test_projects_of_one_organisation_add_up_and_others_do_not(held):
    declare(held.vault, "one")
    declare(held.vault, "two")
    declare(held.vault, "other", organisation="https://ror.org/012345678")
    declare(held.vault, "alone", organisation="")
    for code, regions in (("one", FIRST), ("two", SECOND), ("other", SECOND), ("alone", SECOND)):
        view(held, code, regions)
        found = told(held)
        assert (found["cumulative"] > found["mean"] + 1) is (code == "two")
    assert len({row.owner for row in rows(held)}) == 3


def test_a_limit_lets_pass_what_it_covers_and_nothing_more(held):
    declare(held.vault, "one", max_bits=16)
    view(held, "one", FIRST)
    before = held.traces()
    assert told(held)["cumulative"] <= 16
    request = held.request("one", regions=BOTH)
    with pytest.raises(RefusedError) as caught:
        gate.extract(held.vault, request, held.folder / "out")
    assert caught.value.code == "too_many_bits"
    assert "16 may" in caught.value.message
    assert {path.name for path in held.folder.iterdir()} == {"v", "c.vcf"}
    leaf = decode_leaf(list(held.vault.trail.log.entries())[-1].leaf)
    assert (leaf["act"], leaf["outcome"], leaf["reasons"]) == ("extract.outcome", "refused", {"too_many_bits": 1})
    assert held.traces()["released_sites"] == before["released_sites"]
    view(held, "one", FIRST)  # what has left already adds nothing


@pytest.mark.parametrize("declared", [{}, {"max_bits": 1_000}])
def test_the_duty_of_a_consent_holds_where_the_project_declares_none_or_more(held, monkeypatch, declared):
    declare(held.vault, "one", **declared)
    real = forms.rules
    monkeypatch.setattr(forms, "rules", lambda *given: replace(real(*given), max_bits=16))
    view(held, "one", FIRST)
    assert told(held)["cumulative"] <= 16
    assert releases.list_all(held.vault)[0].content.obligations["max_bits"] == 16
    assert code_of(lambda: view(held, "one", BOTH)) == "too_many_bits"
    assert held.traces()["released_sites"] == 1
    monkeypatch.undo()
    held.reopen()
    view(held, "one", BOTH)  # the refusal was the duty's


def test_an_engine_is_told_nothing_of_it(held):
    declare(held.vault, "one", max_bits=1)
    held.vault.close()
    own = vaults.add_role(held.folder / "v", Role.ENGINE)
    with opened(held.folder / "v", factor=own, principal="engine") as engine, pytest.raises(RefusedError) as caught:
        gate.view(engine, project="one", dataset="cohort", regions=FIRST)
    assert caught.value.code == "refused"
    assert "bits" not in repr(vars(caught.value))
    held.vault = opened(held.folder / "v").__enter__()


@pytest.mark.parametrize("guarded", [True, False])
def test_of_two_at_once_one_leaves(held, guarded):
    """The other's commit falls between this one's decision and its own; without the limit both leave."""
    declare(held.vault, "one", **({"max_bits": 16} if guarded else {}))
    request = held.request("one", regions=SECOND)
    with opened(held.folder / "v") as other:
        between = []

        def progress(written, sites):
            del written, sites
            if not between:
                between.append(gate.view(other, project="one", dataset="cohort", regions=FIRST))

        if guarded:
            with pytest.raises(RefusedError, match="bits"):
                gate.extract(held.vault, request, held.folder / "out", FileChoice(), progress=progress)
        else:
            gate.extract(held.vault, request, held.folder / "out", FileChoice(), progress=progress)
    assert len(between) == 1
    assert (held.folder / "out").exists() is not guarded


def test_two_projects_are_linked_by_genotypes_and_not_by_names(held):
    for code in ("one", "two"):
        declare(held.vault, code)
    first = view(held, "one", BOTH)
    second = view(held, "two", BOTH)
    assert not set(first.pseudonyms) & set(second.pseudonyms)
    one, two = (np.sort(seen.genotypes, axis=2).reshape(len(seen.sites), len(PEOPLE), 2) for seen in (first, second))
    matches = (one[:, :, None] == two[:, None, :]).all(axis=(0, 3))
    names = held.names("one"), held.names("two")
    right = [
        names[0][first.pseudonyms[at]] == names[1][second.pseudonyms[np.flatnonzero(row)[0]]]
        for at, row in enumerate(matches)
        if row.sum() == 1
    ]
    assert sum(right) / len(PEOPLE) >= 0.99  # nothing stops it: it is reported
    assert told(held)["mean"] > 20


def test_sites_of_somebody_who_is_erased_are_forgotten_and_stay_spent(held):
    declare(held.vault, "one")
    view(held, "one", FIRST)
    before = told(held)["cumulative"]
    erasure.erase(held.vault, "P03")
    assert [row.n_sites for row in rows(held)] == [0]
    view(held, "one", FIRST)
    after = told(held)
    assert after["cumulative"] == pytest.approx(before + after["mean"], abs=0.03)


def test_an_account_that_is_edited_is_refused(held):
    declare(held.vault, "one")
    view(held, "one", FIRST)
    view(held, "one", SECOND)
    held.vault.close()
    books = held.folder / "v" / "books.db"
    kept = vaults.sql(books, "SELECT sealed FROM released_sites ORDER BY number")
    vaults.sql(books, ("UPDATE released_sites SET sealed = ? WHERE number = 2", (kept[0][0],)))
    held.vault = opened(held.folder / "v").__enter__()
    assert code_of(lambda: view(held, "one", FIRST)) == "released_sites_altered"
    assert "released_sites_altered" in {finding.code for finding in doctor.examine(held.vault).findings}


def test_an_organisation_that_has_more_than_is_kept_has_no_limit_left(held, monkeypatch):
    monkeypatch.setattr(released_sites, "MOST_SITES", 15)
    declare(held.vault, "one")
    declare(held.vault, "two", max_bits=10_000_000)
    view(held, "one", FIRST)
    assert code_of(lambda: view(held, "two", SECOND)) == "too_many_bits"
    view(held, "one", SECOND)
    view(held, "one", SECOND)
    assert [row.n_sites for row in rows(held)] == [11, 0]
    assert code_of(lambda: view(held, "two", FIRST)) == "too_many_bits"
