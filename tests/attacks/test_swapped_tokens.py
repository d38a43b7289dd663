"""Audit tokens moved from one person to another in the key database: nothing that is logged moves with them."""

from __future__ import annotations

import pytest

from tests.support.vaults import ask, opened, sql
from vault import gate
from vault.access import accounting
from vault.access.release_holders import releases_with
from vault.consent import recording
from vault.errors import IntegrityError
from vault.operations import doctor, key_rotation
from vault.subjects.references import resolve


def swap(folder, one, other):
    """The tokens of two people change places."""
    tokens = dict(sql(folder / "keys.db", "SELECT subject_id, token FROM subject_token"))
    sql(
        folder / "keys.db",
        ("UPDATE subject_token SET token = 'x' WHERE subject_id = ?", (one,)),
        ("UPDATE subject_token SET token = ? WHERE subject_id = ?", (tokens[one], other)),
        ("UPDATE subject_token SET token = ? WHERE subject_id = ?", (tokens[other], one)),
    )


@pytest.fixture
def disclosed(small, tmp_path):
    """S03 was released, S11 never was; their tokens have changed places."""
    with opened(small) as s:
        gate.extract(s, ask(s), tmp_path / "out")
        people = resolve(s, "S03"), resolve(s, "S11")
    swap(small, *people)
    return small


def test_nothing_is_released_under_another_persons_token(disclosed):
    with opened(disclosed) as s:
        for use in (
            lambda: gate.view(s, project="demo", dataset="cohort"),
            lambda: recording.withdraw(s, "S03"),
        ):
            with pytest.raises(IntegrityError) as caught:
                use()
            assert caught.value.code == "token_altered"


def test_what_was_disclosed_stays_with_its_person(disclosed):
    with opened(disclosed) as s:
        assert releases_with(s, resolve(s, "S03"))
        assert not releases_with(s, resolve(s, "S11"))
        assert accounting.account_for(s, "S03").disclosures
        assert not accounting.account_for(s, "S11").disclosures


def test_a_token_that_was_taken_out_hides_nothing(disclosed):
    sql(disclosed / "keys.db", "DELETE FROM subject_token")
    with opened(disclosed) as s:
        assert releases_with(s, resolve(s, "S03"))


def test_older_tokens_count_too(small, tmp_path):
    with opened(small) as s:
        gate.extract(s, ask(s), tmp_path / "out")
        key_rotation.renew_tokens(s)
    sql(small / "keys.db", "DELETE FROM subject_token WHERE version = 1")
    with opened(small) as s:
        assert releases_with(s, resolve(s, "S03"))


def test_doctor_finds_it(disclosed):
    with opened(disclosed) as s:
        found = {finding.code for finding in doctor.examine(s).findings}
    assert "token_altered" in found
