"""Stored keys: made before use, opened by whose branch is open, gone when destroyed."""

from __future__ import annotations

import os

import pytest

from tests.support.vaults import opened, sql
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Branch
from vault.errors import IntegrityError, UnavailableError
from vault.ids import SubjectId
from vault.session import key_usage, subject_keys


@pytest.fixture
def book(vault_on_both):
    return vault_on_both.keys


def owners(count):
    return [SubjectId(os.urandom(16)) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 3, 700])
def test_keys_open_for_their_owners(book, count):
    people = owners(count)
    made = book.create(KeyPurpose.GENOTYPE, people)
    wanted = {owner: key.secret.reveal() for owner, key in zip(people, made, strict=True)}
    assert book.open_many(KeyPurpose.GENOTYPE, people) == wanted
    assert {o: k.secret.reveal() for o, k in book.open_keys(KeyPurpose.GENOTYPE, people).items()} == wanted
    assert book.open(KeyPurpose.GENOTYPE, people[0]).secret.reveal() == wanted[people[0]]
    assert {k: v.reveal() for k, v in book.open_ids(KeyPurpose.GENOTYPE, [m.key_id for m in made]).items()} == {
        m.key_id: m.secret.reveal() for m in made
    }


def test_the_newest_version_opens_unless_another_is_named(book):
    owner = owners(1)
    first, second = (book.create(KeyPurpose.SITE_TABLE, owner, version=n)[0] for n in (1, 2))
    assert book.open(KeyPurpose.SITE_TABLE, owner[0]).secret.reveal() == second.secret.reveal()
    assert book.open(KeyPurpose.SITE_TABLE, owner[0], version=1).secret.reveal() == first.secret.reveal()
    assert book.open_keys(KeyPurpose.SITE_TABLE, owner)[owner[0]].version == 2


def test_what_is_not_there_is_missing_or_left_out(book):
    person = owners(1)[0]
    for call in (
        lambda: book.open(KeyPurpose.GENOTYPE, person),
        lambda: book.open_keys(KeyPurpose.GENOTYPE, [person]),
        lambda: book.open_ids(KeyPurpose.GENOTYPE, [person]),
    ):
        with pytest.raises(IntegrityError) as caught:
            call()
        assert caught.value.code == "key_missing"
        assert person.hex() not in str(caught.value)
    assert book.open_many(KeyPurpose.GENOTYPE, [person]) == {}


def test_one_purpose_never_opens_as_another(book):
    person = owners(1)
    book.create(KeyPurpose.GENOTYPE, person)
    with pytest.raises(IntegrityError):
        book.open(KeyPurpose.IDENTITY, person[0])


def test_destroyed_keys_are_gone_from_the_file(folder):
    with opened(folder) as s:
        people = owners(5)
        s.subject_keys.store(s.subject_keys.draw(people))
        wraps = [bytes(r[0]) for r in sql(folder / "keys.db", ("SELECT wrapped FROM wrapped_key WHERE owner = ?", (people[0],)))]
        assert len(wraps) == 4
        assert s.keys.destroy(subject_keys.SUBJECT_PURPOSES, people[:1]) == 4
        assert s.keys.open_many(KeyPurpose.GENOTYPE, people).keys() == set(people[1:])
        stored = b"".join(path.read_bytes() for path in folder.glob("keys.db*"))
        assert not any(wrap in stored for wrap in wraps)


def test_many_owners_are_destroyed_at_once(book):
    """More than either database binds parameters for."""
    assert book.destroy([KeyPurpose.GENOTYPE], owners(70_000)) == 0


def test_uses_of_a_branch_are_counted_and_bounded(folder, monkeypatch):
    with opened(folder) as s:
        monkeypatch.setattr(key_usage, "MAX_KEK_WRAPS", 30)
        with pytest.raises(UnavailableError) as caught:
            s.keys.create(KeyPurpose.GENOTYPE, owners(40))
        assert caught.value.code == "key_worn"
        before = sql(folder / "keys.db", "SELECT count(*) FROM wrapped_key")[0][0]
    assert sql(folder / "keys.db", "SELECT count(*) FROM wrapped_key")[0][0] == before


def test_branch_keys_differ_by_branch_label_and_epoch(book):
    keys = {
        book.branch_key(branch, label).secret.reveal()
        for branch in (Branch.BOOKS, Branch.GENOTYPE)
        for label in ("project", "panel")
    }
    assert len(keys) == 4
    assert (
        book.branch_key(Branch.BOOKS, "panel").secret.reveal() == book.branch_key(Branch.BOOKS, "panel", epoch=1).secret.reveal()
    )


def test_nothing_of_a_key_is_printed(book):
    made = book.create(KeyPurpose.GENOTYPE, owners(1))[0]
    assert made.secret.reveal().hex() not in repr(made)
    assert repr(made.secret.reveal()) not in repr(made)
