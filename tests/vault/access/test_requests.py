"""The book of requests: asked of an approved project, within its declaration."""

from __future__ import annotations

import pytest

from policies.purposes import RequestKind
from tests.support import vaults
from vault import gate
from vault.access import projects, requests
from vault.access.requests import Spec
from vault.audit.entry import decode_leaf
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, InputError, RefusedError
from vault.limits import MAX_REGIONS
from vault.session import principals


def submit(s, *, project="demo", dataset="cohort", kind=RequestKind.RECORDS, **spec):
    return requests.submit(s, project, dataset, kind=kind, spec=Spec(**spec))


def test_a_request_is_kept_as_it_was_asked(s):
    principals.add(s, "matcher", Role.RESEARCHER, None)
    made = submit(s, regions=("22:1-5", "chr22:7"), submitted_for="matcher")
    assert requests.load(s, made.request_id) == made
    assert (made.state, made.project, made.dataset, made.submitted_by) == ("approved", "demo", "cohort", "ann")
    assert made.spec == Spec(regions=("22:1-5", "chr22:7"), submitted_for="matcher")
    assert requests.list_all(s)[0] == made
    entry = list(s.trail.log.entries())[-1]
    assert decode_leaf(entry.leaf)["req"] == made.request_id
    assert s.trail.detail(entry.index)["for"] == "matcher"


@pytest.mark.parametrize(
    ("name", "code"), [("rosa", "principal_unknown"), ("gone", "principal_disabled"), ("other", "not_of_project")]
)
def test_it_is_for_an_enabled_principal_of_the_project(s, name, code):
    for known in ("gone", "other"):
        principals.add(s, known, Role.RESEARCHER, None)
    principals.disable(s, "gone")
    before = requests.list_all(s)
    with pytest.raises((InputError, RefusedError)) as caught:
        submit(s, submitted_for=name)
    assert caught.value.code == code
    assert requests.list_all(s) == before


def test_somebody_who_was_disabled_since_gets_nothing(s, tmp_path):
    principals.add(s, "matcher", Role.RESEARCHER, None)
    made = submit(s, submitted_for="matcher")
    principals.disable(s, "matcher")
    with pytest.raises(RefusedError) as caught:
        gate.extract(s, made.request_id, tmp_path / "out")
    assert caught.value.code == "principal_disabled"
    assert not (tmp_path / "out").exists()


def test_a_panel_is_asked_for_in_its_version(s):
    assert submit(s, panel="pgx").spec.panel_version == 1
    vaults.panel(s)
    assert submit(s, panel="pgx").spec.panel_version == 2


def test_neither_means_the_whole_dataset(s):
    assert submit(s).spec == Spec()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"project": "nosuch"}, "project_unknown"),
        ({"dataset": "nosuch"}, "dataset_unknown"),
        ({"panel": "nosuch"}, "panel_unknown"),
        ({"genes": ("NOT1",)}, "gene_unknown"),
        ({"regions": ("22:9-1",)}, "document_rejected"),
        ({"regions": ("no place at all:x",)}, "document_rejected"),
        ({"regions": ("22",) * (MAX_REGIONS + 1)}, "too_many_regions"),
    ],
)
def test_what_cannot_be_asked(s, asked, code):
    with pytest.raises(InputError) as caught:
        submit(s, **asked)
    assert caught.value.code == code
    leaf = decode_leaf(list(s.trail.log.entries())[-1].leaf)
    assert (leaf["act"], leaf["outcome"], leaf["reasons"]) == ("request.submit", "failed", {code: 1})


@pytest.mark.parametrize("kind", [RequestKind.COUNTS, RequestKind.PRESENCE])
def test_kinds_that_the_declaration_does_not_name(s, kind):
    with pytest.raises(RefusedError) as caught:
        submit(s, kind=kind, alleles=("22:1000:A:G",))
    assert caught.value.code == "outside_project"


@pytest.mark.parametrize("kind", [RequestKind.COUNTS, RequestKind.PRESENCE])
@pytest.mark.parametrize("asked", [{}, {"regions": ("22:1-5",)}, {"alleles": ("22:1000:A:G",), "panel": "pgx"}])
def test_counts_are_of_alleles(s, kind, asked):
    with pytest.raises(InputError) as caught:
        submit(s, kind=kind, **asked)
    assert caught.value.code == "alleles_missing"


def test_records_are_not_asked_by_alleles(s):
    with pytest.raises(InputError) as caught:
        submit(s, alleles=("22:1000:A:G",))
    assert caught.value.code == "alleles_not_counted"


def test_a_dataset_that_the_declaration_does_not_name(s):
    vaults.bring(s, vaults.tiny(), "other")
    with pytest.raises(RefusedError) as caught:
        submit(s, dataset="other")
    assert caught.value.code == "outside_project"


def test_a_project_that_is_not_approved(s):
    projects.change(s, "demo", "suspend")
    with pytest.raises(RefusedError) as caught:
        submit(s)
    assert caught.value.code == "project_not_approved"


def test_a_denied_request_stays_denied_and_its_reason_is_for_auditors(s):
    made = submit(s)
    assert requests.deny(s, made.request_id, "canary reason").state == "denied"
    entry = list(s.trail.log.entries())[-1]
    assert b"canary" not in entry.leaf
    assert s.trail.detail(entry.index) == {"reason": "canary reason"}
    with s.books.read() as tx:
        assert not requests.is_open(s, tx, made.request_id)
    for call in (lambda: requests.load(s, "r-0"), lambda: requests.deny(s, "r-0", "x")):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "request_unknown"


def test_a_request_is_taken_back_and_asked_again(s):
    made = vaults.ask(s)
    assert requests.withdraw(s, made, "the wrong region").state == "withdrawn"
    for act, code in (
        (lambda: requests.to_be_served(s, made), "request_withdrawn"),
        (lambda: requests.withdraw(s, made, "x"), "request_state"),
    ):
        with pytest.raises(GenovaultError) as caught:
            act()
        assert caught.value.code == code
    again = requests.resubmit(s, made)
    assert again.request_id != made
    assert (again.spec, again.state) == (requests.load(s, made).spec, "approved")
    assert requests.to_be_served(s, again.request_id) == again
    requests.deny(s, again.request_id, "by mistake")
    assert requests.resubmit(s, again.request_id).state == "approved"


def test_nobody_but_a_steward_takes_back_what_another_asked(folder, s):
    made = vaults.ask(s)
    factor = vaults.add_role(folder, Role.ENGINE)
    with vaults.opened(folder, factor=factor, principal="engine") as other:
        for act in (lambda: requests.withdraw(other, made, "x"), lambda: requests.resubmit(other, made)):
            with pytest.raises(InputError) as caught:
                act()
            assert caught.value.code == "request_unknown"
