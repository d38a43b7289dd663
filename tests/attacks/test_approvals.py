"""A steward with a slot, who also writes the books: two stewards are two keys, and a name in a column is nobody's approval."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from policies.purposes import RULABLE
from tests.support.vaults import opened
from vault import gate
from vault.access import projects, rulings, version_records
from vault.audit.actions import Action
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import IntegrityError
from vault.session import approvals, principals
from vault.storage.book_tables import ApprovalRow, PrincipalRow, ProjectRow, RulingRow

BOB = PassphraseFactor.from_text("passphrase of bob")


@pytest.fixture
def two(small):
    """A vault of two stewards, in which bob has declared a project."""
    with opened(small) as s:
        principals.add(s, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
    with opened(small, factor=BOB, principal="bob") as s:
        document = projects.load(s, "demo").declaration_text
        projects.create(s, {**projects.canonical.loads(document), "code": "second"})
    return small


def as_bob(folder):
    return opened(folder, factor=BOB, principal="bob")


def approved_in_name_of(s, name, *, self_approved=False):
    """The row as an approval leaves it, sealed and signed as a collection with bob's own keys."""
    with s.books.write() as tx:
        row = projects.row_of(tx, "second")
        text = projects.by_id(s, tx, row.project_id).declaration_text
        row.state, row.approved_by, row.approved, row.self_approved = projects.APPROVED, name, row.created + 1, self_approved
        row.version += 1
        row.sealed = projects.seal(s, row, text)
    return row


def refused(s, project="second"):
    with pytest.raises(IntegrityError) as caught:
        gate.view(s, project=project, dataset="cohort")
    with pytest.raises(IntegrityError) as checked:
        gate.check(s, project)
    assert checked.value.code == caught.value.code
    return caught.value.code


def test_a_name_in_the_row_approves_nothing(two):
    with as_bob(two) as s:
        approved_in_name_of(s, "ann")
        assert refused(s) == "approval_missing"


def test_an_own_signature_is_not_that_of_another(two):
    with as_bob(two) as s:
        row = approved_in_name_of(s, "ann")
        approval = version_records.approval_of(Action.PROJECT_APPROVE, row.project_id, row.declaration_sha256, version=1)
        with s.books.write() as tx:
            approvals._record(s, tx, approval, "ann", row.approved, carried_by=None)
        assert refused(s) == "approval_missing"


def test_an_act_is_not_carried_by_who_does_not_administer(two):
    with as_bob(two) as s:
        row = approved_in_name_of(s, "ann")
        approval = version_records.approval_of(Action.PROJECT_APPROVE, row.project_id, row.declaration_sha256, version=1)
        with s.books.write() as tx:
            approvals.carry(s, tx, approval, principal="ann", signed=row.approved)
        assert refused(s) == "approval_missing"


def test_one_person_is_not_two(two):
    with as_bob(two) as s:
        row = approved_in_name_of(s, "bob")
        approval = version_records.approval_of(Action.PROJECT_APPROVE, row.project_id, row.declaration_sha256, version=1)
        with s.books.write() as tx:
            approvals.sign(s, tx, approval, signed=row.approved)
        assert refused(s) == "approval_missing"


@pytest.mark.parametrize(
    "changes",
    [
        {"content": bytes(32)},
        {"signature": bytes(64)},
        {"signer": bytes(32)},
        {"signed": 1},
        {"principal": "bob"},
        {"act": "project.close"},
        {"carried_by": "bob"},
    ],
)
def test_an_approval_counts_for_what_was_signed_alone(two, changes):
    with as_bob(two) as s:
        with s.books.write() as tx:
            tx.execute(update(ApprovalRow).where(ApprovalRow.act == "project.approve").values(**changes))
        assert refused(s, "demo") == "approval_missing"


def test_a_ruling_is_confirmed_by_a_key_and_not_by_a_column(two):
    item = RULABLE[0]
    with as_bob(two) as s:
        rulings.rule(s, "demo", item, reason="as the board said")
        with s.books.write() as tx:
            row = tx.query(RulingRow).one()
            row.confirmed_by, row.confirmed = "ann", row.ruled + 1
            projects.settle(s, tx, projects.row_of(tx, "demo"), item, allows=True)
        assert refused(s, "demo") == "approval_missing"
    with opened(two) as s:
        with s.books.write() as tx:
            row = tx.query(RulingRow).one()
            row.confirmed_by = row.confirmed = None
        rulings.rule(s, "demo", item, reason="so it did")
        assert gate.view(s, project="demo", dataset="cohort").pseudonyms


def test_a_role_in_a_column_is_no_second_steward(two):
    """The engine's row says steward; its slot does not."""
    factor = PassphraseFactor.from_text("passphrase of the engine")
    with opened(two) as s:
        principals.add(s, "engine", Role.ENGINE, factor, profile=Argon2Profile.TEST_ONLY)
    with as_bob(two) as s, s.books.write() as tx:
        tx.execute(update(PrincipalRow).where(PrincipalRow.name == "engine").values(role="steward"))
    with as_bob(two) as s:
        row = approved_in_name_of(s, "engine")
    with opened(two, factor=factor, principal="engine") as s:
        signed = ApprovalRow(
            act="project.approve",
            kind="project",
            ref=row.project_id,
            principal="engine",
            content=row.declaration_sha256,
            signed=row.approved,
            carried_by=None,
            signer=s.unlocked.signer.public,
            signature=s.unlocked.signer.sign(
                approvals._covered(
                    s,
                    version_records.approval_of(Action.PROJECT_APPROVE, row.project_id, row.declaration_sha256, version=1),
                    "engine",
                    row.approved,
                    None,
                )
            ),
        )
    with as_bob(two) as s:
        with s.books.write() as tx:
            tx.add(signed)
        assert refused(s) == "approval_missing"


def test_what_was_approved_stands_when_its_steward_leaves(two):
    with opened(two) as s:
        projects.change(s, "second", "approve")
        principals.disable(s, "bob")
    with opened(two) as s:
        assert gate.view(s, project="second", dataset="cohort").pseudonyms
        with s.books.read() as tx:
            assert tx.query(ProjectRow).filter_by(code="second").one().created_by == "bob"
