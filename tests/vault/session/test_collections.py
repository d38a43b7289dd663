"""Digests of collections: of what stands there now, whatever was digested before."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.vaults import opened
from vault.errors import IntegrityError
from vault.session.collections import COLLECTIONS
from vault.storage.book_tables import LeaseRow, ProjectRow

LEASE = COLLECTIONS["lease"]


@pytest.mark.parametrize("other", ["1", 1.0, b"1", None, 2])
def test_a_digest_tells_values_and_their_types(other):
    places = range(len(LEASE.columns))
    first = [tuple(1 for _ in places)]
    before = LEASE.digest(first)
    for at in places:
        assert LEASE.digest([tuple(other if at == here else 1 for here in places)]) != before
    assert LEASE.digest(first) == before


def test_a_digest_tells_where_one_value_ends():
    ends = len(LEASE.columns) - 2
    assert LEASE.digest([("ab", "c", *[0] * ends)]) != LEASE.digest([("a", "bc", *[0] * ends)])


def test_an_edit_by_another_program_is_noticed_by_the_next_transaction(tmp_path):
    folder = vaults.copy(tmp_path, whole=False)
    with opened(folder) as s:
        for _ in range(2):
            with s.books.read() as tx:
                assert tx.scalars(select(ProjectRow.state)).all() == ["approved"]
        vaults.sql(folder / "books.db", "UPDATE project SET state = 'draft'")
        with pytest.raises(IntegrityError, match="project"), s.books.read() as tx:
            tx.scalars(select(ProjectRow.state)).all()
        vaults.sql(folder / "books.db", "UPDATE project SET state = 'approved'")
        with s.books.read() as tx:
            assert tx.scalars(select(ProjectRow.state)).all() == ["approved"]
        vaults.sql(folder / "books.db", "UPDATE audit_head SET size = size + 1")
        with pytest.raises(IntegrityError, match="log"), s.books.read() as tx:
            tx.scalars(select(LeaseRow.prefix)).all()
        vaults.sql(folder / "books.db", "UPDATE audit_head SET size = size - 1")
