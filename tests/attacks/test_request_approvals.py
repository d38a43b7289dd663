"""A request that nobody approved, made to look approved by whoever may sign requests, or holds the database: nothing is released."""

from __future__ import annotations

import pytest

from tests.attacks.test_approvals import BOB, as_bob
from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import request_records, requests
from vault.audit.actions import Action
from vault.crypto.keystore import Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import GenovaultError
from vault.session import approvals, principals
from vault.storage.book_tables import ApprovalRow, RequestRow


@pytest.fixture
def two(small):
    """Bob's request of a project that has each approved."""
    with opened(small) as s:
        vaults.approve(s, "each", "cohort", approval="each")
        principals.add(s, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
    return small


def refused(s, asked, tmp_path):
    with pytest.raises(GenovaultError) as caught:
        gate.extract(s, asked, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    return caught.value.code


def approval(s, tx, asked):
    row = tx.get(RequestRow, asked)
    return request_records.approval_of(Action.REQUEST_APPROVE, row, request_records.content(s, row)[0])


def test_a_state_in_the_row_approves_nothing(two, tmp_path):
    with as_bob(two) as s:
        asked = vaults.ask(s, project="each")
        with s.books.write() as tx:
            row = tx.get(RequestRow, asked)
            spec, made = request_records.content(s, row)
            row.state = "approved"
            row.sealed = request_records.seal(s, row, spec, made)
        assert refused(s, asked, tmp_path) == "request_not_approved"


@pytest.mark.parametrize("name", ["ann", "bob"])
def test_an_own_signature_is_not_that_of_another(two, tmp_path, name):
    with as_bob(two) as s:
        asked = vaults.ask(s, project="each")
        with s.books.write() as tx:
            approvals._record(s, tx, approval(s, tx, asked), name, s.clock().microsecond, carried_by=None)
        assert refused(s, asked, tmp_path) == "request_not_approved"


def test_an_approval_of_one_request_is_none_of_another(two, tmp_path):
    with as_bob(two) as s:
        first, other = vaults.ask(s, project="each"), vaults.ask(s, project="each", regions=("22:1-1300",))
    with opened(two) as s:
        requests.approve(s, first)
    with as_bob(two) as s:
        with s.books.write() as tx:
            given = tx.get(ApprovalRow, ("request.approve", "request", first.encode(), "ann"))
            columns = {column.name: getattr(given, column.name) for column in ApprovalRow.__table__.columns}
            tx.add(ApprovalRow(**{**columns, "ref": other.encode(), "content": approval(s, tx, other).content}))
        assert refused(s, other, tmp_path) == "request_not_approved"
        assert gate.extract(s, first, tmp_path / "first").state == "released"


def test_who_holds_no_slot_approves_nothing(two, tmp_path):
    with as_bob(two) as s:
        asked = vaults.ask(s, project="each")
    vaults.sql(two / "books.db", "UPDATE request SET state = 'released'")
    with as_bob(two) as s:
        assert refused(s, asked, tmp_path) == "collection_altered"
