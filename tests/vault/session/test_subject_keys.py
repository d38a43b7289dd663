"""Keys and tokens of subjects: four keys each, tokens made once."""

from __future__ import annotations

import os

import pytest

from vault.errors import IntegrityError
from vault.ids import SubjectId
from vault.session.subject_keys import SUBJECT_PURPOSES


@pytest.fixture
def book(vault_on_both):
    return vault_on_both.subject_keys


def subjects(count):
    return [SubjectId(os.urandom(16)) for _ in range(count)]


def test_keys_are_independent(vault_on_both):
    (subject,) = subjects(1)
    vault_on_both.subject_keys.store(vault_on_both.subject_keys.draw([subject]))
    keys = {vault_on_both.keys.open(purpose, subject).secret.reveal() for purpose in SUBJECT_PURPOSES}
    assert len(keys) == len(SUBJECT_PURPOSES)


def test_a_subject_without_a_token_is_an_integrity_error(book):
    with pytest.raises(IntegrityError) as caught:
        book.tokens(subjects(1))
    assert caught.value.code == "token_missing"


@pytest.mark.parametrize("count", [1, 700])
def test_tokens_are_made_once_and_say_nothing_of_the_order(book, count):
    people = subjects(count)
    book.store(book.draw(people))
    tokens = book.tokens(people)
    assert tokens == sorted(tokens) == book.tokens(reversed(people))
    assert len(set(tokens)) == count
    assert all(token.startswith("hmac-sha256:") for token in tokens)


def test_what_is_known_of_tokens_ends_where_one_is_renewed_or_destroyed(vault_on_both, book):
    people = subjects(700)
    book.store(book.draw(people))
    before = book.tokens(people)
    assert book.renew_tokens(2, limit=1) == 1
    renewed = book.tokens(people)
    assert len(set(before) - set(renewed)) == 1, "one person is named by the new token"
    book.destroy_old_tokens()
    assert book.tokens(people) == renewed
    vault_on_both.keys.destroy(SUBJECT_PURPOSES, [people[0]])
    with pytest.raises(IntegrityError, match="no audit token"):
        book.tokens(people)
