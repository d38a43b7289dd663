"""Versions of a project, edited by somebody with the database, and by a steward with a slot besides: what was approved is in force, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.attacks.test_approvals import BOB, as_bob
from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import project_versions, projects, version_records
from vault.audit.actions import Action
from vault.crypto.keystore import Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import IntegrityError, RefusedError
from vault.session import approvals, principals


@pytest.fixture
def two(small):
    """Ann's project demo, approved when she was alone; version 2 by bob waits."""
    with opened(small) as s:
        principals.add(s, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
    with as_bob(small) as s:
        amend(s, "by bob")
    return small


def amend(s, title):
    document = projects.canonical.loads(projects.load(s, "demo").declaration_text)
    return project_versions.amend(s, {**document, "title": title}, reason="x")[1]


def in_force(s, version, **changes):
    """Put a version into the project's record, sealed and signed as a collection with the steward's own keys."""
    with s.books.write() as tx:
        row = projects.row_of(tx, "demo")
        row.declared_version, row.declaration_sha256 = version.version, version.declaration_sha256
        row.created, row.created_by, row.state = version.created, version.created_by, projects.APPROVED
        row.approved_by, row.approved, row.self_approved = version.approved_by, version.approved, version.self_approved
        for name, value in changes.items():
            setattr(row, name, value)
        row.version += 1
        row.sealed = projects.seal(s, row, version.declaration_text, version.reason)


def refused(s):
    with pytest.raises(IntegrityError) as caught:
        gate.view(s, project="demo", dataset="cohort")
    return caught.value.code


def all_of(s):
    return {one.version.version: one.version for one in project_versions.list_all(s, "demo")}


def test_a_proposed_version_that_is_marked_approved(two):
    with as_bob(two) as s:
        proposed = all_of(s)[2]
        in_force(s, proposed, approved_by="ann", approved=proposed.created + 1)
        assert refused(s) == "approval_missing"


def test_one_that_its_own_declarer_approves(two):
    with as_bob(two) as s:
        proposed = all_of(s)[2]
        approval = version_records.approval_of(
            Action.PROJECT_APPROVE, proposed.project_id, proposed.declaration_sha256, version=2
        )
        with s.books.write() as tx:
            approvals.sign(s, tx, approval, signed=proposed.created)
        in_force(s, proposed, approved_by="bob", approved=proposed.created)
        assert refused(s) == "approval_missing"


def test_an_older_version_in_the_place_of_the_newer(two):
    with opened(two) as s:
        first = projects.load(s, "demo").as_version("in_force")
        projects.change(s, "demo", "approve", version=2)
    with as_bob(two) as s:
        in_force(s, first)
        assert refused(s) == "project_altered"


def test_an_approval_of_one_number_is_none_of_another(two):
    with opened(two) as s:
        projects.change(s, "demo", "approve", version=2)
        made = projects.load(s, "demo").as_version("in_force")
    with as_bob(two) as s:
        in_force(s, replace(made, version=3))
        assert refused(s) == "approval_missing"


@pytest.mark.parametrize("how", ["taken back", "replaced"])
def test_a_version_that_was_given_up_is_not_revived(two, how):
    """Ann declared it and gave it up; bob, alone, makes it wait again and approves it."""
    with as_bob(two) as s:
        project_versions.take_back(s, "demo", reason="x")
    with opened(two) as s:
        given_up = amend(s, "by ann")
        if how == "replaced":
            amend(s, "by ann, rightly")
        project_versions.take_back(s, "demo", reason="a mistake")
    with as_bob(two) as s:
        with s.books.write() as tx:
            version_records.end(s, tx, given_up, version_records.PROPOSED)
        projects.change(s, "demo", "approve", version=given_up.version)
        assert refused(s) == "project_altered"


def test_who_holds_no_slot_changes_no_version(two):
    vaults.sql(two / "books.db", "UPDATE project_version SET created_by = 'ann'")
    with opened(two) as s, pytest.raises(IntegrityError) as caught:
        project_versions.list_all(s, "demo")
    assert caught.value.code == "collection_altered"


def test_a_steward_who_declared_does_not_approve_by_the_program(two):
    with as_bob(two) as s, pytest.raises(RefusedError) as caught:
        projects.change(s, "demo", "approve", version=2)
    assert caught.value.code == "self_approval"
