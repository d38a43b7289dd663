"""One person's file is that person's own part: one object, one row, no stored key, and gone when they are erased."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.crashing import steps_survived
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import calls, refused
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError
from vault.genotypes.catalog import datasets, part_list, parts, personal_parts
from vault.genotypes.catalog.row_mapping import owner_from_row, personal_from_row
from vault.genotypes.store.personal_reader import PersonalPart
from vault.operations import backup, doctor, restore
from vault.operations.corrections import removal, verification
from vault.operations.erasure import process
from vault.storage.book_tables import PersonalPartRow
from vault.subjects.references import resolve

ONE = vcf("A", "1 100 A G 0|1", "1 200 C T,G 1|2", "2 50 G T 1|1")
OTHER = vcf("B", "1 100 A G 1|1", "X 7 G GATTACA 0|1")
TWO = vcf("C D", "1 100 A G 0|0 0|1")


def rows(vault) -> list[PersonalPartRow]:
    with vault.books.read() as tx:
        return personal_parts.live(tx)


def loaded(held):
    held.load(held.write("one.vcf", ONE.data))
    held.load(held.write("other.vcf", OTHER.data), append=True)
    held.load(held.write("two.vcf", TWO.data), append=True)
    return held


def test_a_file_of_one_person_is_one_object_and_one_row(held):
    before = held.traces()
    report = held.load(held.write("one.vcf", ONE.data))
    after = held.traces()
    assert (report.sites, report.new) == (3, 1)
    assert [len(after["objects"]), after["personal_part"], after["part"], after["chunk"]] == [1, 1, 0, 0]
    assert after["wrapped_key"] - before["wrapped_key"] == 4  # those of the person, and none besides
    assert report.stored_bytes == sum(size for _, size in held.vault.objects.list(""))
    (entry,) = [e for e in held.entries() if e["act"] == "dataset.import"]
    assert entry["blobs"]["n"] == 1
    assert entry["counts"]["sites"] == 3


def test_it_is_read_beside_all_other_parts(held):
    found = calls(loaded(held))
    assert found["A", "1", 200, "C,T,G"] == [1, 2]
    assert found["A", "2", 50, "G,T"] == [1, 1]
    assert [found[who, "1", 100, "A,G"] for who in "ABCD"] == [[0, 1], [1, 1], [0, 0], [0, 1]]
    assert [found[who, "X", 7, "G,GATTACA"] for who in "ABCD"] == [[-1, -1], [0, 1], [-1, -1], [-1, -1]]


def test_the_dataset_counts_it_and_lists_its_contigs(held):
    vault = loaded(held).vault
    (summary,) = datasets.list_all(vault)
    assert (summary.parts, summary.subjects, summary.sites) == (3, 4, 6)
    assert parts.contigs(vault, datasets.by_name(vault, "cohort").dataset_id) == ["1", "2", "X"]
    refused(held, "contig_spelling", held.write("e.vcf", vcf("E", "chr1 5 A G 0|1").data), append=True)


def test_parts_of_both_kinds_share_one_order(held):
    vault = loaded(held).vault
    shared = [row.ordinal for row in parts.list_all(vault, datasets.by_name(vault, "cohort").dataset_id)]
    assert ([row.ordinal for row in rows(vault)], shared) == ([0, 1], [2])


def test_the_earlier_of_two_calls_of_one_person_stands(held):
    held.load(held.write("one.vcf", ONE.data))
    held.load(held.write("again.vcf", vcf("A", "1 100 A G 1|1", "1 101 A G 1|1").data), append=True, accept=True)
    found = calls(held)
    assert found["A", "1", 100, "A,G"] == [0, 1]
    assert found["A", "1", 101, "A,G"] == [1, 1]


def test_an_import_that_breaks_leaves_nothing(held):
    refused(held, "unsorted", held.write("one.vcf", ONE.data + b"1\t9\t.\tA\tG\t.\t.\t.\tGT\t0|1\n".replace(b"1\t9", b"2\t9")))


def test_a_part_of_ones_own_can_be_named_and_removed(held):
    vault = loaded(held).vault
    dataset = datasets.by_name(vault, "cohort")
    listed = part_list.list_parts(vault, dataset)
    assert [(part.people, part.sites) for part in listed] == [(1, 3), (1, 2), (2, 1)]
    removed = removal.remove(vault, "cohort", part=listed[0].part, reason="the wrong person")
    assert (removed.people, removed.bare, removed.keys, removed.objects, removed.whole) == (1, 1, 0, 1, False)
    assert [part.part for part in part_list.list_parts(vault, dataset)] == [part.part for part in listed[1:]]
    assert len([name for name, _ in vault.objects.list("") if name.endswith(".personal")]) == 1
    assert {sample for sample, *_ in calls(held)} == {"B", "C", "D"}


def test_a_dataset_of_such_parts_alone_is_there_until_it_is_removed(held):
    held.load(held.write("one.vcf", ONE.data))
    process.erase(held.vault, "A")
    held.load(held.write("other.vcf", OTHER.data), append=True)
    removal.remove(held.vault, "cohort", reason="all of it", accept=True)
    refused(held, "dataset_unknown", held.write("two.vcf", TWO.data), append=True)
    held.load(held.write("chr.vcf", vcf("E", "chr1 5 A G 0|1").data))
    assert parts.contigs(held.vault, datasets.by_name(held.vault, "cohort").dataset_id) == ["chr1"]


def test_verification_reads_it_back_and_finds_what_was_edited(held):
    vault = loaded(held).vault
    found = verification.verify(vault, "cohort")
    assert (found.parts, found.damages) == (3, ())
    assert found.blocks == 2 + 2 + 2  # a chunk for each contig
    (row, _) = rows(vault)
    path = held.folder / "v" / "objects" / row.object
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    assert [damage.code for damage in verification.verify(vault, "cohort").damages] == ["object_altered"]


@pytest.fixture
def people(tmp_path):
    """The small template vault, with a dataset of two personal parts of S03 and one of S05."""
    folder = vaults.copy(tmp_path, whole=False)
    with vaults.opened(folder) as s:
        vaults.bring(s, vcf("S03", "20 100 A G 0|1", "20 200 A GATTACAGATTACA 0|1"), "rare")
        vaults.bring(s, vcf("S05", "20 100 A G 1|1"), "rare", append=True)
        vaults.bring(s, vcf("S03", "21 100 A G 0|1"), "rare", append=True)
        vaults.approve(s, "rarity", "rare")
    return folder


def erase(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        process.erase(s, "S03")


def test_erasing_deletes_the_objects_and_certifies_it(people):
    with vaults.opened(people) as s:
        key = s.keys.open_many(KeyPurpose.GENOTYPE, [resolve(s, "S03")])[resolve(s, "S03")]
        mine = [row for row in rows(s) if row.subject_id == resolve(s, "S03")]
        copies = {row.object: s.objects.get(row.object) for row in mine}
        certificate = process.erase(s, "S03")
        assert certificate.content["destroyed"]["personal_parts"] == 2
        assert certificate.content["destroyed"]["alts_blanked"] == 0
        assert [row.subject_id for row in rows(s)] == [resolve(s, "S05")]
        present = {name for name, _ in s.objects.list("")}
        assert present.isdisjoint(copies)
        assert doctor.examine(s).ok
        # what a copy of the object would still give to whoever kept the key, and to nobody else
        row = mine[0]
        shelf = lambda name, at, size: copies[name][at : at + size]  # noqa: E731
        owner, record = owner_from_row(s.vault_id, row), personal_from_row(row)
        assert PersonalPart(owner, record, key, get_range=shelf).index.chunks
        with pytest.raises(IntegrityError):
            _ = PersonalPart(owner, record, bytes(32), get_range=shelf).index


@pytest.mark.long
def test_an_erasure_killed_at_any_step_is_carried_out_when_the_vault_is_opened(people, tmp_path):
    def settled(folder) -> None:
        with vaults.opened(folder) as s:
            left = [row.subject_id for row in rows(s)]
            with s.books.read() as tx:
                named = set(tx.scalars(select(PersonalPartRow.object)))
            assert {name for name, _ in s.objects.list("") if name.endswith(".personal")} == named
            assert len(left) in (1, 3)  # never between

    assert steps_survived(people, tmp_path, erase, settled, every=3) > 10


def test_a_backup_of_before_is_erased_again_beside_newer_keys(people, tmp_path):
    with vaults.opened(people) as s:
        backup.backup(s, tmp_path / "before")
        process.erase(s, "S03")
        kept = {row.object for row in rows(s)}
    for path in people.glob("books.db*"):
        path.unlink()
    shutil.rmtree(people / "objects")
    report = restore.restore(tmp_path / "before", people, factor=vaults.FACTOR, principal="ann")
    assert report.erased_again == 1
    with vaults.opened(people) as s:
        assert {row.object for row in rows(s)} == kept
        assert {name for name, _ in s.objects.list("") if name.endswith(".personal")} == kept
