"""Act by role: the table knows every act, and denies by default."""

from __future__ import annotations

import pytest

from policies import authority
from vault.audit.actions import Action
from vault.crypto.keyring import Role
from vault.session.collections import COLLECTIONS


def test_every_act_of_the_log_has_its_roles():
    assert set(authority.ALLOWED) == {act.value for act in Action}
    assert all(roles and roles <= authority.ROLES for roles in authority.ALLOWED.values())


def test_the_roles_are_those_of_unlock_slots():
    assert {role.value for role in Role} == authority.ROLES


def test_every_collection_has_its_roles():
    assert set(authority.CHANGES) == set(COLLECTIONS)


@pytest.mark.parametrize("role", ["auditor", "engine", "custodian", "researcher"])
@pytest.mark.parametrize(
    "act",
    [
        "project.create",
        "project.approve",
        "project.rule",
        "project.check",
        "consent.record",
        "consent.pack",
        "consent.form",
        "subject.erase",
        "dataset.import",
        "extract.intent",
        "request.deny",
        "principal.add",
        "key.rotate",
        "vault.upgrade",
    ],
)
def test_what_decides_is_for_stewards(role, act):
    assert not authority.may(role, act)
    assert authority.may("steward", act)


OWN = {"budget.show", "extract.intent", "release.show", "release.notice.issue", "release.notice.acknowledge"}
"""Acts that only a steward does by themselves, and a service for people who may: they look at, or fetch, what is theirs."""


@pytest.mark.parametrize("role", ["engine", "researcher"])
def test_a_service_decides_nothing_for_anybody(role):
    decides = {act for act, roles in authority.ALLOWED.items() if roles == frozenset({"steward"})} - OWN
    assert not [act for act in decides if authority.may_for(role, act)]
    assert not [act for act, roles in authority.ALLOWED.items() if "service" in roles and len(roles) < len(authority.ROLES)]
    assert set(authority.SERVED) <= set(authority.ALLOWED)


@pytest.mark.parametrize("role", ["steward", "auditor", "custodian", "service", "nobody"])
def test_a_service_acts_for_people_without_keys_alone(role):
    assert not [act for act in authority.ALLOWED if authority.may_for(role, act)]


def test_what_the_table_does_not_know_is_refused():
    assert not authority.may("steward", "no.such.act")
    assert not authority.may("nobody", "vault.open")
    assert not authority.may_change("steward", "no_such_table")
    assert not authority.may_change("engine", "project")
