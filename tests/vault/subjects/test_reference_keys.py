"""The index of references under several keys: everybody is found, and an erasure renews those of one person alone."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.support import vaults
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError, UnavailableError
from vault.operations import doctor
from vault.operations.erasure import process
from vault.storage.book_tables import ReferenceRow, VaultRow
from vault.subjects import reference_keys, reference_rekeying, sheet_import
from vault.subjects.identities import Identity
from vault.subjects.references import Reference, ReferenceIndex, registered_by, resolve, resolve_many
from vault.subjects.registration import draw_subjects, registering

NAMES = [f"N{at:02}" for at in range(12)]


def sheet(s, text, *, update=False):
    rows = vaults.read_subject_sheet(text.encode(), today=vaults.TODAY)
    return sheet_import.import_sheet(s, rows, options=sheet_import.SheetOptions(update=update))


def held(s) -> list[Reference]:
    with s.books.read() as tx:
        columns = (ReferenceRow.digest, ReferenceRow.subject_id, ReferenceRow.dataset_id, ReferenceRow.key_version)
        return [Reference(*row) for row in tx.execute(select(*columns))]


def keys(s) -> set[int]:
    return s.keys.versions_of(KeyPurpose.REFERENCE_INDEX, s.vault_id)


@pytest.fixture
def crowded(s, monkeypatch):
    """Twelve more people, four to a key."""
    monkeypatch.setattr(reference_keys, "FULL", 12)
    sheet(s, "sample_id,mrn\n" + "".join(f"{name},M{name}\n" for name in NAMES))
    return s


def test_a_key_is_for_so_many_references(crowded):
    versions = [row.key_version for row in held(crowded)]
    assert len(set(versions)) >= 4
    later = [version for version in versions if version > 1]
    assert all(later.count(version) <= 12 for version in later)
    with crowded.books.read() as tx:
        assert tx.scalars(select(VaultRow.reference_version)).one() == max(versions) == max(keys(crowded))
    sheet(crowded, "sample_id\nlast\n")
    assert len({row.key_version for row in held(crowded)}) == len(set(versions)) + (versions.count(max(versions)) >= 12)


def test_everybody_is_found_under_any_key(crowded):
    found = resolve_many(crowded, [*NAMES, *(f"mrn:M{name}" for name in NAMES), "S01", "nobody"])
    assert all(len(found[name]) == 1 and found[name] == found[f"mrn:M{name}"] for name in NAMES)
    assert len(set.union(*(set(found[name]) for name in NAMES))) == len(NAMES)
    assert (len(found["S01"]), len(found["nobody"])) == (1, 0)
    handles = ReferenceIndex(crowded).handles(resolve(crowded, name) for name in NAMES)
    assert [resolve(crowded, handle) for handle in handles] == [resolve(crowded, name) for name in NAMES]
    assert set(registered_by(crowded, [*NAMES, "nobody"])) == set(NAMES)
    assert not [finding for finding in doctor.examine(crowded).findings if finding.code.startswith("reference_")]


def test_an_erasure_renews_the_keys_of_one_person(crowded, monkeypatch):
    before, had = held(crowded), keys(crowded)
    subject = resolve(crowded, "N05")
    shared = {row.key_version for row in before if row.subject == subject}
    opened = set()
    original = reference_rekeying.open_identities
    monkeypatch.setattr(reference_rekeying, "open_identities", lambda v, people: opened.update(people) or original(v, people))
    process.erase(crowded, "N05")
    beside = {row.subject for row in before if row.key_version in shared} - {subject}
    assert opened == beside
    assert keys(crowded) & had == had - shared
    after = held(crowded)
    assert {row for row in before if row.key_version not in shared} <= set(after)
    assert not {row.digest for row in before if row.key_version in shared} & {row.digest for row in after}
    index = ReferenceIndex(crowded)
    guesses = {*index.forms("sample", ["N05"]), *index.forms("mrn", ["MN05"]), *index.forms("id", [index.handle(subject)])}
    assert not guesses & {row.digest for row in before}  # an old copy of the books, and every key that is left
    assert resolve_many(crowded, ["N05"])["N05"] == frozenset()
    assert len({resolve(crowded, name) for name in NAMES if name != "N05"}) == 11
    assert not [finding for finding in doctor.examine(crowded).findings if finding.code.startswith("reference_")]


def test_an_erasure_of_before_renews_all_keys(crowded):
    had = keys(crowded)
    assert reference_rekeying.renew(crowded) == len(held(crowded))
    assert not keys(crowded) & had
    assert len({resolve(crowded, name) for name in NAMES}) == 12


def test_a_name_that_somebody_got_meanwhile_under_another_key_is_refused(crowded, monkeypatch):
    drawn = draw_subjects(crowded, 1)
    with monkeypatch.context() as patch:
        patch.setattr(reference_keys, "placed", lambda _, sizes: [min(keys(crowded))] * len(sizes))
        other = registering(crowded, drawn, [Identity(("twice",))])
        new = other.__enter__()
    monkeypatch.setattr(reference_keys, "placed", lambda _, sizes: [max(keys(crowded))] * len(sizes))
    sheet(crowded, "sample_id\ntwice\n")
    with pytest.raises(UnavailableError) as caught, new.transaction() as tx:
        new.add(tx)
    other.__exit__(None, None, None)
    assert caught.value.code == "changed_meanwhile"
    assert len(registered_by(crowded, ["twice"])) == 1


def test_what_a_sheet_adds_comes_under_the_key_of_the_person(crowded):
    subject = resolve(crowded, "N01")
    (version,) = {row.key_version for row in held(crowded) if row.subject == subject}
    sheet(crowded, "sample_id,mrn\nN01;other,MN01\n", update=True)
    assert {row.key_version for row in held(crowded) if row.subject == subject} == {version}
    assert resolve(crowded, "other") == resolve(crowded, "MN01") == subject


def test_keys_that_nothing_is_under_go_with_the_next_erasure(crowded):
    unused = list(reference_keys.create(crowded, 2))
    process.erase(crowded, "N00")
    assert not keys(crowded) & set(unused)


@pytest.mark.parametrize("which", [min, max])
def test_without_one_of_the_keys_nobody_is_looked_for_until_all_are_renewed(crowded, which):
    crowded.keys.destroy_versions(KeyPurpose.REFERENCE_INDEX, crowded.vault_id, [which(keys(crowded))])
    for name in ("N01", "nobody"):
        with pytest.raises(IntegrityError) as caught:
            resolve(crowded, name)
        assert caught.value.code == "key_missing"
    reference_rekeying.renew(crowded)
    assert len({resolve(crowded, name) for name in [*NAMES, "S01"]}) == 13
