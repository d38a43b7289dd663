"""The book of subjects: nothing shown that is not logged, and no subject without keys."""

from __future__ import annotations

import pytest

from tests.support import vaults
from tests.support.vaults import opened, sql
from vault.audit.entry import decode_leaf
from vault.consent import people as people_of
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import UnavailableError
from vault.subjects import registry
from vault.subjects.identities import Identity, open_identities
from vault.subjects.references import resolve
from vault.subjects.registration import draw_subjects, registering


def people(folder):
    return sql(folder / "books.db", "SELECT count(*) FROM subject")[0][0]


def test_listing_and_showing_are_logged(s):
    listed = people_of.listed(s)
    assert len(listed) == 12
    assert [one.identity.mrn for one in listed] == [f"MRN{at:04}" for at in range(1, 13)]
    assert {one.identity.samples[0]: one.status for one in listed if one.status != "active"} == {
        "S11": "nothing allowed",
        "S12": "withdrawn",
    }
    registry.subject_show(s, "S01")
    leaves = [decode_leaf(entry.leaf) for entry in s.trail.log.entries()][-2:]
    assert [leaf["act"] for leaf in leaves] == ["subject.list", "subject.show"]
    assert leaves[1]["subj"]["n"] == 1


def test_many_identities_open_in_one_go(s):
    with s.books.read() as tx:
        assert registry.count(tx) == 12
    wanted = [resolve(s, sample) for sample in vaults.SAMPLES]
    found = open_identities(s, wanted)
    assert [found[subject].samples for subject in wanted] == [(sample,) for sample in vaults.SAMPLES]


def test_keys_that_were_kept_for_nobody_do_no_harm(folder, s):
    """A crash between keys and books: unused keys, never a subject without one."""
    s.subject_keys.store(draw_subjects(s, 3).fresh)
    assert people(folder) == 12
    with opened(folder) as again:
        assert len(people_of.listed(again)) == 12


def register(s, drawn, *, fail_within=None, fail_behind=None):
    with registering(s, drawn, [Identity((str(n),)) for n in range(3)]) as new:
        with new.transaction() as tx:
            new.add(tx)
            if fail_within:
                raise fail_within
        if fail_behind:
            raise fail_behind


@pytest.mark.parametrize(
    ("error", "kept"), [(OSError("x"), 0), (KeyboardInterrupt(), 0), (UnavailableError("database_unavailable", "x"), 3)]
)
def test_people_whose_registration_fails_lose_their_keys_unless_the_books_may_know_them(s, error, kept):
    drawn = draw_subjects(s, 3)
    with pytest.raises(type(error)):
        register(s, drawn, fail_within=error)
    assert len(s.keys.open_many(KeyPurpose.IDENTITY, drawn.subjects)) == kept


def test_an_interruption_behind_the_commit_leaves_keys_and_people(s):
    drawn = draw_subjects(s, 3)
    with pytest.raises(KeyboardInterrupt):
        register(s, drawn, fail_behind=KeyboardInterrupt())
    assert len(open_identities(s, drawn.subjects)) == 3


def test_keys_that_cannot_be_kept_roll_the_people_back(s, monkeypatch):
    def full(*_):
        raise UnavailableError("database_full", "x")

    monkeypatch.setattr(s.subject_keys, "store", full)
    with s.books.read() as tx:
        before = registry.count(tx)
    with pytest.raises(UnavailableError, match="x"):
        register(s, draw_subjects(s, 3))
    with s.books.read() as tx:
        assert registry.count(tx) == before
