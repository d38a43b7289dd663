"""The recipient book: a key counts once it is confirmed by its fingerprint, by another steward where there is one, until it is retired."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.support.parcels import pair, private_file, secret_of
from vault.access import recipients
from vault.crypto.crypt4gh_keys import fingerprint, public_key_armour
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, RefusedError
from vault.operations import doctor, key_rotation
from vault.session import principals
from vault.session.unlocked_vault import open_vault

BOB = PassphraseFactor.from_text("passphrase of bob")


def key(number: int) -> bytes:
    return public_key_armour(pair(number).public).encode()


def mark(number: int) -> str:
    return fingerprint(pair(number).public)


def required(vault, *names):
    with vault.books.read() as tx:
        return recipients.require(vault, tx, names)


def refusal(action) -> str:
    with pytest.raises((InputError, RefusedError)) as caught:
        action()
    assert "\n" not in str(caught.value)
    return caught.value.code


def with_bob(held):
    principals.add(held.vault, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
    return closing(open_vault(held.folder / "v", factor=BOB, principal="bob", clock=held.clock, random=held.random))


def test_with_one_steward_that_one_confirms_and_the_log_says_so(held):
    added = recipients.add(held.vault, "Lab of Zürich", key(1))
    assert (added.state, added.confirmed_by, added.fingerprint) == ("added", None, mark(1))
    assert refusal(lambda: required(held.vault, "Lab of Zürich")) == "recipient_unconfirmed"
    found = recipients.confirm(held.vault, "Lab of Zürich", mark(1).upper()[:32] + " " + mark(1)[32:])
    assert (found.state, found.self_confirmed) == ("confirmed", True)
    assert [one.public for one in required(held.vault, "Lab of Zürich")] == [pair(1).public]
    entry = held.entries()[-1]
    assert (entry["act"], entry["flags"], entry["obj"]["ref"]) == ("recipient.confirm", ["self_approved"], mark(1))
    assert doctor.examine(held.vault).ok


def test_with_two_stewards_another_confirms(held):
    with with_bob(held) as bob:
        recipients.add(held.vault, "lab", key(1))
        assert refusal(lambda: recipients.confirm(held.vault, "lab", mark(1))) == "self_confirmation"
        found = recipients.confirm(bob, "lab", mark(1))
        assert (found.confirmed_by, found.self_confirmed) == ("bob", False)
    assert required(held.vault, "lab")[0].fingerprint == mark(1)
    assert "flags" not in held.entries()[-1]


@pytest.mark.parametrize("given", [mark(2), mark(1)[:-1], mark(1)[:-1] + "x", "", "SHA256:" + mark(1)])
def test_another_fingerprint_confirms_nothing(held, given):
    recipients.add(held.vault, "lab", key(1))
    assert refusal(lambda: recipients.confirm(held.vault, "lab", given)) == "fingerprint_differs"
    assert refusal(lambda: required(held.vault, "lab")) == "recipient_unconfirmed"


def test_a_name_has_one_key_until_it_is_retired(held):
    recipients.add(held.vault, "lab", key(1))
    assert refusal(lambda: recipients.add(held.vault, "lab", key(2))) == "recipient_exists"
    recipients.confirm(held.vault, "lab", mark(1))
    assert refusal(lambda: recipients.add(held.vault, "lab", key(2))) == "recipient_exists"
    assert refusal(lambda: recipients.confirm(held.vault, "lab", mark(1))) == "recipient_state"
    assert refusal(lambda: recipients.add(held.vault, "clinic", key(1))) == "recipient_key_taken"
    assert recipients.retire(held.vault, "lab", reason="the laptop was stolen").state == "retired"
    assert refusal(lambda: required(held.vault, "lab")) == "recipient_retired"
    assert refusal(lambda: recipients.retire(held.vault, "lab", reason="again")) == "recipient_unknown"
    recipients.add(held.vault, "lab", key(2))
    recipients.confirm(held.vault, "lab", mark(2))
    assert required(held.vault, "lab")[0].public == pair(2).public
    assert [(one.name, one.state) for one in recipients.list_all(held.vault)] == [("lab", "retired"), ("lab", "confirmed")]


def test_what_was_retired_by_mistake_is_added_again(held):
    for _ in range(2):
        recipients.add(held.vault, "lab", key(1))
        recipients.confirm(held.vault, "lab", mark(1))
        assert required(held.vault, "lab")
        recipients.retire(held.vault, "lab", reason="a test")
    with held.vault.books.read() as tx:
        assert recipients.missing(tx, ["lab", "other"]) == ["lab", "other"]


@pytest.mark.parametrize(
    ("name", "file", "code"),
    [
        ("lab", private_file(secret_of(1)), "key_kind"),
        ("lab", b"ssh-ed25519 AAAA ann@lab", "key_kind"),
        ("lab", b"nonsense", "key_malformed"),
        ("", key(1), "recipient_name"),
        (" lab", key(1), "recipient_name"),
        ("la\nb", key(1), "recipient_name"),
        ("l" * 201, key(1), "recipient_name"),
    ],
)
def test_what_is_no_recipient_is_refused_and_leaves_nothing(held, name, file, code):
    assert refusal(lambda: recipients.add(held.vault, name, file)) == code
    assert recipients.list_all(held.vault) == []
    assert held.entries()[-1]["outcome"] == "failed"


def test_the_book_outlasts_a_rotation_of_the_books_key(held):
    recipients.add(held.vault, "lab", key(1))
    recipients.confirm(held.vault, "lab", mark(1))
    key_rotation.rotate(held.vault, [key_rotation.Branch.BOOKS])
    held.reopen()
    assert required(held.vault, "lab")[0].public == pair(1).public
