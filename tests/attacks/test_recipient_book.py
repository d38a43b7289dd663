"""Whoever writes the books, with or without a slot, seals no extract to a key that two people did not confirm."""

from __future__ import annotations

import pytest
from pysqlite3 import dbapi2
from sqlalchemy import update

from tests.support.parcels import pair
from tests.support.vaults import opened
from vault.access import recipients
from vault.audit.actions import Action
from vault.crypto.crypt4gh_keys import fingerprint, public_key_armour
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import IntegrityError
from vault.operations import doctor
from vault.session import approvals, principals
from vault.storage.book_tables import ApprovalRow, RecipientRow

BOB = PassphraseFactor.from_text("passphrase of bob")
OWN, THIEF = pair(1), pair(9)


@pytest.fixture
def two(small):
    """A vault of two stewards with one confirmed recipient, ``lab``, and a retired one, ``clinic``."""
    with opened(small) as s:
        principals.add(s, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
        recipients.add(s, "lab", public_key_armour(OWN.public).encode())
        recipients.add(s, "clinic", public_key_armour(pair(2).public).encode())
    with as_bob(small) as s:
        recipients.confirm(s, "lab", fingerprint(OWN.public))
        recipients.confirm(s, "clinic", fingerprint(pair(2).public))
        recipients.retire(s, "clinic", reason="a test")
    return small


def as_bob(folder):
    return opened(folder, factor=BOB, principal="bob")


def edited(folder, statement, *values):
    """Written past the program, by somebody without a slot."""
    with dbapi2.connect(folder / "books.db") as database:
        assert database.execute(statement, values).rowcount == 1
    database.close()


def refused(s, name="lab"):
    with pytest.raises(IntegrityError) as caught, s.books.read() as tx:
        recipients.require(s, tx, [name])
    return caught.value.code


@pytest.mark.parametrize(
    ("statement", "values", "name"),
    [
        ("UPDATE recipient SET public = ? WHERE name = 'lab'", (THIEF.public,), "lab"),
        ("UPDATE recipient SET state = 'confirmed', retired = NULL WHERE name = 'clinic'", (), "clinic"),
        ("UPDATE recipient SET name = 'other' WHERE name = 'lab'", (), "other"),
        ("DELETE FROM recipient WHERE name = 'clinic'", (), "lab"),
    ],
)
def test_a_row_that_is_edited_without_a_slot_is_refused(two, statement, values, name):
    edited(two, statement, *values)
    with opened(two) as s:
        assert refused(s, name) == "collection_altered"


def rewritten(s, **columns):
    """The row of ``lab`` as bob's own program leaves it: sealed and signed as a collection with his keys."""
    with s.books.write() as tx:
        row = tx.query(RecipientRow).filter_by(name="lab").one()
        for column, value in columns.items():
            setattr(row, column, value)
        row.sealed = recipients._seal(s, row)
    return row


@pytest.mark.parametrize(
    "columns", [{"public": THIEF.public}, {"name": "other"}, {"public": THIEF.public, "self_confirmed": True}]
)
def test_a_steward_who_edits_the_row_seals_nothing_to_another_key_or_name(two, columns):
    with as_bob(two) as s:
        rewritten(s, **columns)
        assert refused(s, columns.get("name", "lab")) == "approval_missing"
        assert [one.code for one in doctor.examine(s).findings if one.severity is doctor.Severity.ERROR] == ["recipient_altered"]


def test_a_steward_who_signs_the_rest_is_still_not_the_other_one(two):
    with as_bob(two) as s:
        row = rewritten(s, public=THIEF.public)
        with s.books.write() as tx:
            for act, who, at in ((Action.RECIPIENT_ADD, "ann", row.added), (Action.RECIPIENT_CONFIRM, "bob", row.confirmed)):
                approvals._record(s, tx, recipients.approval_of(act, row), who, at, carried_by=None)
        assert refused(s) == "approval_missing"


def test_one_steward_alone_is_not_two(two):
    with as_bob(two) as s:
        row = rewritten(s, public=THIEF.public, added_by="bob")
        with s.books.write() as tx:
            for act, at in ((Action.RECIPIENT_ADD, row.added), (Action.RECIPIENT_CONFIRM, row.confirmed)):
                approvals.sign(s, tx, recipients.approval_of(act, row), signed=at)
        assert refused(s) == "approval_missing"


def test_a_row_that_was_confirmed_once_is_not_put_back_after_its_retirement(two):
    with as_bob(two) as s:
        with s.books.write() as tx:
            row = tx.query(RecipientRow).filter_by(name="clinic").one()
            row.state, row.retired = recipients.CONFIRMED, None
            row.sealed = recipients._seal(s, row)
        assert refused(s, "clinic") == "recipient_altered"


@pytest.mark.parametrize("changes", [{"content": bytes(32)}, {"signature": bytes(64)}, {"signed": 1}, {"principal": "bob"}])
def test_a_confirmation_counts_for_what_was_signed_alone(two, changes):
    with as_bob(two) as s:
        with s.books.write() as tx:
            tx.execute(update(ApprovalRow).where(ApprovalRow.act == "recipient.add").values(**changes))
        assert refused(s) == "approval_missing"
