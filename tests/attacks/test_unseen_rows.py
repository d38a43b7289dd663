"""Rows of the large tables: what decides is refused at the gate, everything else is found by doctor."""

from __future__ import annotations

import shutil

import pytest

from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError
from vault.operations import doctor
from vault.operations.erasure import process
from vault.subjects import registry, sheet_import
from vault.subjects.references import resolve
from vault.subjects.subject_sheet import read_subject_sheet

BOOKS, KEYS = "books.db", "keys.db"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A vault with a release, and evidence of consent."""
    folder = vaults.copy(tmp_path_factory.mktemp("rows"), whole=False)
    with opened(folder) as s:
        gate.extract(s, vaults.ask(s), folder.parent / "out")
        gate.view(s, project="demo", dataset="cohort")
    return folder


@pytest.fixture
def edited(full, tmp_path):
    """The vault after statements of an attacker."""

    def edit(database, *statements):
        shutil.copytree(full, tmp_path / "v")
        vaults.sql(tmp_path / "v" / database, "PRAGMA foreign_keys=0", *statements)
        return tmp_path / "v"

    return edit


LAST = "DELETE FROM {table} WHERE {key} = (SELECT max({key}) FROM {table})"
MEMBERS = {
    "one taken out": LAST.format(table="layout_member", key="subject_id"),
    "all taken out": "DELETE FROM layout_member",
    "one replaced": "UPDATE layout_member SET subject_id = randomblob(16) WHERE rowid = 1",
    "one added": "INSERT INTO layout_member SELECT layout_id, randomblob(16), group_no, slot FROM layout_member LIMIT 1",
}


@pytest.mark.parametrize("attack", MEMBERS)
def test_a_cohort_of_other_people_is_not_released(edited, attack):
    with opened(edited(BOOKS, MEMBERS[attack])) as s:
        with pytest.raises(IntegrityError) as caught:
            gate.view(s, project="demo", dataset="cohort")
        assert caught.value.code == "members_altered"
        assert "members_altered" in codes(s)


ONE_OF_S03 = "DELETE FROM layout_member WHERE subject_id = ?"


def test_nobody_vanishes_from_a_session_that_is_open(edited):
    """Members are listed once in a session; where their blocks lie is read each time."""
    folder = edited(BOOKS)
    with opened(folder) as s:
        person = resolve(s, "S03")
        gate.view(s, project="demo", dataset="cohort")
        vaults.sql(folder / BOOKS, (ONE_OF_S03, (person,)))
        with pytest.raises(IntegrityError) as caught:
            gate.view(s, project="demo", dataset="cohort")
        assert caught.value.code == "members_altered"


def test_nobody_is_erased_from_fewer_parts_than_hold_their_calls(edited):
    """The certificate would say that sites which only they carried are gone, and a part lists them still."""
    folder = edited(BOOKS)
    with opened(folder) as s:
        person = resolve(s, "S03")
        vaults.sql(folder / BOOKS, (ONE_OF_S03, (person,)))
        with pytest.raises(IntegrityError) as caught:
            process.erase(s, "S03")
        assert caught.value.code == "members_altered"
        assert s.keys.open_many(KeyPurpose.GENOTYPE, [person])
        assert process.issued(s) == []


def test_an_older_identity_is_not_the_newest(full, tmp_path):
    """A birth date that was corrected stays corrected: what an age is counted from is not put back."""
    folder = tmp_path / "v"
    shutil.copytree(full, folder)
    before = vaults.sql(folder / BOOKS, "SELECT subject_id, version, sealed FROM identity")
    with opened(folder) as s:
        sheet = b"sample_id,mrn,birth_date\nS01,MRN0001,2015-02-03\n"
        sheet_import.import_sheet(
            s, read_subject_sheet(sheet, today=vaults.TODAY), options=sheet_import.SheetOptions(update=True)
        )
    now = dict(vaults.sql(folder / BOOKS, "SELECT subject_id, version FROM identity"))
    subject, version, sealed = next(row for row in before if now[row[0]] != row[1])
    put_back = ("UPDATE identity SET version = ?, sealed = ? WHERE subject_id = ?", (version, sealed, subject))
    vaults.sql(folder / BOOKS, put_back)
    with opened(folder) as s:
        with pytest.raises(IntegrityError) as caught:
            registry.subject_show(s, "S01")
        assert caught.value.code == "identity_altered"
        assert "identity_altered" in codes(s)


def codes(s):
    return {found.code for found in doctor.examine(s).findings if found.severity != "note"}


FOUND = {
    "an identity taken out": (BOOKS, LAST.format(table="identity", key="subject_id"), "identity_altered"),
    "an identity edited": (BOOKS, "UPDATE identity SET sealed = zeroblob(200) WHERE rowid = 1", "identity_altered"),
    "a person's state": (BOOKS, "UPDATE subject SET state = 'gone' WHERE rowid = 1", "subject_altered"),
    "an outcome of another": (BOOKS, "INSERT INTO audit_closing SELECT zeroblob(16), 3", "log_rows_altered"),
    "identities swapped": (
        BOOKS,
        "UPDATE identity SET sealed = (SELECT sealed FROM identity ORDER BY subject_id DESC LIMIT 1)",
        "identity_altered",
    ),
    "a reference taken out": (BOOKS, LAST.format(table="reference", key="digest"), "reference_missing"),
    "a reference turned": (
        BOOKS,
        (
            "UPDATE reference SET subject_id = (SELECT max(subject_id) FROM subject) WHERE digest = "
            "(SELECT digest FROM reference WHERE subject_id < (SELECT max(subject_id) FROM subject) LIMIT 1)"
        ),
        "reference_altered",
    ),
    "a reference added": (
        BOOKS,
        "INSERT INTO reference SELECT randomblob(32), subject_id, NULL, 1 FROM subject LIMIT 1",
        "reference_altered",
    ),
    "evidence taken out": (BOOKS, LAST.format(table="consent_private", key="seq"), "evidence_altered"),
    "evidence edited": (BOOKS, "UPDATE consent_private SET sealed = zeroblob(99) WHERE seq = 2", "evidence_altered"),
    "evidence of another": (
        BOOKS,
        "UPDATE consent_private SET subject_id = (SELECT min(subject_id) FROM subject)",
        "evidence_altered",
    ),
    "people of a release": (BOOKS, "UPDATE release SET n_subjects = n_subjects + 1", "release_altered"),
    "sites of a release": (BOOKS, "UPDATE release SET n_sites = 0", "release_altered"),
    "the set of a release": (BOOKS, "UPDATE release SET subject_set = zeroblob(32)", "release_altered"),
    "the outcome of a release": (BOOKS, "UPDATE release SET outcome_index = outcome_index + 1", "release_altered"),
    "the manifest of a release": (BOOKS, "UPDATE release SET manifest_sha256 = zeroblob(32)", "release_altered"),
    "the time of a release": (BOOKS, "UPDATE release SET created = created - 1", "release_altered"),
    "records of releases swapped": (
        BOOKS,
        "UPDATE release SET sealed = (SELECT sealed FROM release ORDER BY release_id DESC LIMIT 1)",
        "release_altered",
    ),
    "an entry's id": (BOOKS, "UPDATE audit_leaf SET event_id = zeroblob(16) WHERE idx = 3", "log_rows_altered"),
    "a checkpoint's root": (BOOKS, "UPDATE audit_checkpoint SET root = zeroblob(32)", "log_rows_altered"),
    "a checkpoint's log": (BOOKS, "UPDATE audit_checkpoint SET base = base + 1", "log_rows_altered"),
    "a detail's session": (
        BOOKS,
        "UPDATE audit_detail SET session_id = zeroblob(16) WHERE idx = (SELECT max(idx) FROM audit_detail)",
        "log_rows_altered",
    ),
    "a detail": (
        BOOKS,
        "UPDATE audit_detail SET sealed = zeroblob(200) WHERE idx = (SELECT max(idx) FROM audit_detail)",
        "detail_altered",
    ),
    "a session's key": (BOOKS, "UPDATE audit_session SET sealed_key = zeroblob(80)", "detail_altered"),
    "an outcome's link": (BOOKS, "DELETE FROM audit_closing", "log_rows_altered"),
    "a set's size": (BOOKS, "UPDATE audit_set SET n = n + 1", "log_rows_altered"),
    "a set's lead": (BOOKS, "UPDATE audit_set SET lead = lead + 1", "log_rows_altered"),
    "a set's entries": (BOOKS, "DELETE FROM audit_set_leaf", "log_rows_altered"),
    "a token's mark": (BOOKS, "UPDATE audit_token SET mark = mark + 1", "log_rows_altered"),
    "a person's key taken out": (KEYS, "DELETE FROM wrapped_key WHERE purpose = 'genotype'", "subject_keyless"),
    "a person's key edited": (KEYS, "UPDATE wrapped_key SET wrapped = zeroblob(60) WHERE purpose = 'genotype'", "key_altered"),
    "a token's version": (KEYS, "UPDATE subject_token SET version = version + 1", "token_altered"),
    "a token taken out": (KEYS, "DELETE FROM subject_token", "token_missing"),
    "the use of a key": (KEYS, "UPDATE branch_epoch SET wraps = 0", "key_usage_altered"),
    "the counter of a key taken out": (KEYS, "DELETE FROM branch_epoch", "key_usage_altered"),
}


@pytest.mark.parametrize("attack", FOUND)
def test_what_vanishes_or_changes_unseen_is_found(edited, attack):
    database, statement, code = FOUND[attack]
    with opened(edited(database, statement)) as s:
        assert code in codes(s)


def test_a_whole_vault_has_no_finding(edited):
    with opened(edited(BOOKS, "SELECT 1")) as s:
        registry.subject_show(s, "S01")
        assert not codes(s) & ({code for _, _, code in FOUND.values()} | {"members_altered"})
