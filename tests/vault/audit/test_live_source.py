"""Live verification: the sets of subjects that entries name, against the stored ones."""

from __future__ import annotations

import pytest

from tests.support.audit_log import SIGNER, VKEY, event, tamper, token
from vault.audit.live_source import check_live
from vault.errors import IntegrityError

KEY = VKEY.to_text()


@pytest.fixture
def named(books):
    """Ten entries: 0 and 4 name persons 1 and 2, 2 names person 3, 5 names person 1; the others no person."""
    people = {0: [1, 2], 2: [3], 4: [2, 1], 5: [1]}
    books.log.record_many([event(subjects=[token(n) for n in people.get(i, [])]) for i in range(10)])
    books.log.checkpoint(SIGNER)
    return books


def test_a_whole_log_holds(named):
    assert check_live(named.log, KEY, KEY).ok
    assert [named.log.entries_of(token(n)) for n in (1, 2, 3, 4)] == [[0, 4, 5], [0, 4], [2], []]


@pytest.mark.parametrize("table", ["audit_set_leaf", "audit_set_leaf WHERE idx IN (0, 4)"])
def test_the_index_of_entries_is_not_needed(named, table):
    tamper(named.path, f"DELETE FROM {table}")
    assert named.log.entries_of(token(1)) == [0, 4, 5]
    assert check_live(named.log, KEY, KEY).ok


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        (f"DELETE FROM audit_set_token WHERE token_id = (SELECT token_id FROM audit_token WHERE token = '{token(2)}')", [0, 4]),
        ("DELETE FROM audit_set WHERE set_id = (SELECT set_id FROM audit_set_leaf WHERE idx = 5)", [5]),
        ("DELETE FROM audit_set", [0, 2, 4, 5]),
        ("DELETE FROM audit_token", [0, 2, 4, 5]),
        ("UPDATE audit_token SET token = replace(token, 'sha256:1', 'sha256:2')", [0, 2, 4, 5]),
        ("UPDATE audit_set SET digest = zeroblob(32) WHERE set_id = (SELECT set_id FROM audit_set_leaf WHERE idx = 2)", [2]),
    ],
)
def test_who_is_taken_out_of_a_set_is_missed_at_the_entries_that_name_it(named, statement, lost):
    tamper(named.path, statement)
    report = check_live(named.log, KEY, KEY)
    assert [(finding.code, finding.entry) for finding in report.findings] == [("people_altered", index) for index in lost]
    if not {0, 4}.intersection(lost):  # an entry about one person is found by its digest alone
        assert [named.log.entries_of(token(n)) for n in (1, 2, 3)] == [[0, 4, 5], [0, 4], [2]]
        return
    with pytest.raises(IntegrityError) as caught:
        named.log.entries_of(token(1))
    assert caught.value.code == "audit_set_altered"


@pytest.mark.parametrize("members", [1, 2])
def test_a_forged_set_excuses_no_entry(named, members):
    """A stored set with the digest of persons 1 and 2 and other members."""
    digest = "(SELECT digest FROM audit_set WHERE set_id = (SELECT set_id FROM audit_set_leaf WHERE idx = 0))"
    tamper(
        named.path,
        f"INSERT INTO audit_set (set_id, lead, digest, n) SELECT 90, 90, {digest}, {members}",
        "DELETE FROM audit_set WHERE set_id = (SELECT set_id FROM audit_set_leaf WHERE idx = 0)",
        "INSERT INTO audit_set_token (token_id, set_id) SELECT token_id, 90 FROM audit_token WHERE token LIKE '%'",
    )
    with pytest.raises(IntegrityError) as caught:
        named.log.entries_of(token(1))
    assert caught.value.code == "audit_set_altered"


def test_a_missing_entry_hides_nobody(named):
    tamper(named.path, "DELETE FROM audit_leaf WHERE idx = 4")
    with pytest.raises(IntegrityError) as caught:
        named.log.entries_of(token(1))
    assert caught.value.code == "log_incomplete"
    assert "entry_missing" in {finding.code for finding in check_live(named.log, KEY, KEY).findings}


def test_without_a_head_the_report_says_so(named):
    tamper(named.path, "DELETE FROM audit_head", "DELETE FROM audit_set")
    assert {finding.code for finding in check_live(named.log, KEY, KEY).findings} == {"head_mismatch"}


def test_people_in_sets_of_every_size_are_found(books):
    sizes = (1, 2, 9, 10, 11, 12, 19, 100, 101, 111)
    books.log.record_many([event(subjects=[token(n) for n in range(size)], counts={"n": 1}) for size in sizes])
    books.log.record_many([event(counts={"set": 1}), event(subjects=[token(200)])])
    for person in (0, 1, 8, 9, 10, 11, 18, 99, 100, 110, 111, 200):
        named = [at for at, size in enumerate(sizes) if person < size]
        assert books.log.entries_of(token(person)) == (named if person < 200 else [len(sizes) + 1])


def test_of_a_dropped_payload_the_index_says_whom_it_named(named):
    tamper(named.path, "UPDATE audit_leaf SET leaf = NULL WHERE idx = 4")
    assert named.log.entries_of(token(1)) == [0, 4, 5]
    assert check_live(named.log, KEY, KEY).ok
