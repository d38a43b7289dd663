"""A service acts for people without keys: in their name, within what they may, and every entry says so."""

from __future__ import annotations

import json

import pytest

from policies.purposes import RequestKind
from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import askable, projects, requests
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, IntegrityError, RefusedError, UnavailableError
from vault.operations.recovery import open_recovered
from vault.session import principals
from vault.session.on_behalf import OnBehalf
from vault.storage.book_tables import RequestRow

RITA = OnBehalf("rita", Role.RESEARCHER, "token")


@pytest.fixture
def served(tmp_path):
    """A vault with a service, a researcher ``rita`` and an engine ``matcher``; both are of the project ``served``."""
    folder = vaults.copy(tmp_path)
    factor = vaults.add_role(folder, Role.SERVICE)
    with opened(folder) as s:
        principals.add(s, "rita", Role.RESEARCHER, None)
        principals.add(s, "rob", Role.RESEARCHER, None)
        vaults.approve(s, "served", "cohort", people=["rita", "matcher"])
    s = open_recovered(folder, factor=factor, principal="service")
    yield folder, s
    s.abandon()


def last(s, act):
    return next(leaf for leaf in map(json.loads, (e.leaf for e in reversed(list(s.trail.log.entries(0))))) if leaf["act"] == act)


def test_a_view_for_a_person_is_theirs_in_the_log(served):
    _, s = served
    view = gate.view(s.acting(RITA), project="served", dataset="cohort")
    assert len(view.pseudonyms) == 10
    leaf = last(s, "view.outcome")
    assert leaf["actor"] == {"kind": "service", "id": "service", "for": "rita"}
    assert set(leaf["flags"]) >= {"role:researcher", "authn:token"}


def test_who_is_not_of_the_project_is_refused_as_for_any_other_reason(served):
    _, s = served
    for person, project in ((OnBehalf("rob", Role.RESEARCHER, "token"), "served"), (RITA, "demo"), (RITA, "nosuch")):
        with pytest.raises(RefusedError) as caught:
            gate.view(s.acting(person), project=project, dataset="cohort")
        assert caught.value.code == "refused"
    assert [one.code for one in askable.list_projects(s.acting(RITA))] == ["served"]


def test_a_service_alone_and_for_a_person_does_no_more_than_the_table_says(served):
    _, s = served
    acts = (
        lambda v: gate.view(v, project="served", dataset="cohort"),
        lambda v: projects.change(v, "served", "suspend"),
        lambda v: principals.add(v, "x", Role.RESEARCHER, None),
        lambda v: gate.check(v, "served"),
    )
    for act in acts:
        with pytest.raises(GenovaultError) as caught:
            act(s)
        assert caught.value.code in ("not_authorised", "not_administrator")
    for act in acts[1:]:
        with pytest.raises(GenovaultError) as caught:
            act(s.acting(RITA))
        assert caught.value.code in ("not_authorised", "not_administrator")


def test_only_a_service_acts_for_others(served):
    folder, s = served
    with pytest.raises(RefusedError, match="acts for nobody else"):
        s.acting(RITA).acting(RITA)
    with opened(folder) as ann, pytest.raises(RefusedError, match="acts for nobody else"):
        ann.acting(RITA)


def test_a_request_through_a_service_is_signed_by_it_in_the_person_s_name(served):
    folder, s = served
    acting = s.acting(RITA)
    mine = requests.submit(acting, "served", "cohort", kind=RequestKind.RECORDS, spec=requests.Spec(regions=("22:1-1200",)))
    assert mine.submitted_by == "rita"
    assert [one.request_id for one in requests.list_visible(acting)] == [mine.request_id]
    with opened(folder) as ann:
        assert requests.load(ann, mine.request_id).submitted_by == "rita"
        with ann.books.write() as tx:  # a steward's program gives it to somebody else: the service signed for rita
            row = tx.get_one(RequestRow, mine.request_id)
            row.submitted_by = "rob"
        with pytest.raises(IntegrityError):
            requests.load(ann, mine.request_id)


def test_a_disabled_person_and_a_removed_service_are_stopped_at_once(served):
    folder, s = served
    acting = s.acting(RITA)
    gate.view(acting, project="served", dataset="cohort")
    with opened(folder) as ann:
        principals.disable(ann, "rita")
    with pytest.raises(RefusedError):
        gate.view(acting, project="served", dataset="cohort")
    with opened(folder) as ann:
        principals.disable(ann, "service")
    with pytest.raises((UnavailableError, RefusedError)):
        gate.view(s.acting(OnBehalf("matcher", Role.ENGINE, "token")), project="served", dataset="cohort")


def test_what_a_service_opens_names_nobody(served):
    _, s = served
    with pytest.raises(UnavailableError):
        s.keyring.current(vaults.keystore.Branch.IDENTITY)
    with pytest.raises(UnavailableError):
        s.trail.detail(0)
    s.release_signer()
