"""Importing: files become a dataset and its samples subjects; several files are one part; datasets are appended to."""

from __future__ import annotations

import gzip
import random

import numpy as np
import pytest
from sqlalchemy import select

from tests.support.held import Held
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import TWO, calls, refused
from vault.consent import recording
from vault.genotypes import import_job
from vault.session.subject_keys import SUBJECT_PURPOSES
from vault.storage.book_tables import LayoutMemberRow
from vault.subjects.references import resolve


def test_a_file_becomes_a_dataset_and_its_samples_subjects(held):
    report = held.load(held.write("a.vcf", TWO.data))
    assert (report.dataset, report.sites, report.matched, report.new, report.skipped) == ("cohort", 2, 0, 2, 0)
    assert report.stored_bytes == sum(size for _, size in held.vault.objects.list(""))
    assert calls(held) == {
        ("A", "22", 100, "A,G"): [0, 1],
        ("B", "22", 100, "A,G"): [-1, -1],
        ("A", "22", 200, "C,T,G"): [1, 2],
        ("B", "22", 200, "C,T,G"): [0, 0],
    }


def test_the_entry_names_part_people_counts_and_objects(held):
    held.load(held.write("a.vcf", TWO.data))
    entry = next(e for e in held.entries() if e["act"] == "dataset.import")
    assert entry["outcome"] == "done"
    assert entry["counts"]["sites"] == 2
    assert entry["counts"]["registered"] == 2
    assert entry["subj"]["n"] == 2
    objects = [name for name, _ in held.vault.objects.list("")]
    assert entry["blobs"]["n"] == len(objects)
    assert all(name.startswith(entry["obj"]["ref"]) for name in objects)
    assert "cohort" not in str(entry)


def test_every_subject_has_its_four_keys(held):
    held.load(held.write("a.vcf", TWO.data))
    assert held.traces()["subject"] == 2
    assert held.traces()["subject_token"] == 2
    everyone = [resolve(held.vault, name) for name in "AB"]
    keys = [held.vault.keys.open_many(purpose, everyone) for purpose in SUBJECT_PURPOSES]
    assert len({key for found in keys for key in found.values()}) == 8


def test_progress_is_told_and_ends_whole(held):
    seen: list[tuple[int, int, int]] = []
    path = held.write("a.vcf", TWO.data)
    options = import_job.ImportOptions(unknown="register")
    import_job.import_files(
        held.vault, [path], name="c", assembly="GRCh38", options=options, progress=lambda *now: seen.append(now)
    )
    assert seen[-1] == (len(TWO.data), len(TWO.data), 2)


# one file for each chromosome


def test_files_of_one_set_of_people_are_one_part_whatever_the_order_of_their_samples(held):
    one = held.write("chr1.vcf", vcf("A B C", "1 10 A G 0|1 1|1 0|0").data)
    two = held.write("chr2.vcf.gz", gzip.compress(vcf("C A B", "2 20 C T 0|0 0|1 ./1").data))
    report = held.load(one, two)
    assert (report.sites, report.new) == (2, 3)
    assert held.traces()["part"] == 1
    assert calls(held) == {
        ("A", "1", 10, "A,G"): [0, 1],
        ("B", "1", 10, "A,G"): [1, 1],
        ("C", "1", 10, "A,G"): [0, 0],
        ("A", "2", 20, "C,T"): [0, 1],
        ("B", "2", 20, "C,T"): [-1, 1],
        ("C", "2", 20, "C,T"): [0, 0],
    }


def test_files_with_other_people_are_refused(held):
    one, two = held.write("1.vcf", vcf("A B", "1 10 A G 0|1 1|1").data), held.write("2.vcf", vcf("A C", "2 10 A G 0|1 1|1").data)
    assert "2.vcf" in refused(held, "samples_differ", one, two).message


@pytest.mark.parametrize("second", ["1", "chr1", "CHR1"])
def test_one_contig_in_two_files_is_refused(held, second):
    one = held.write("1.vcf", vcf("A", "1 10 A G 0|1").data)
    refused(held, "contig_twice", one, held.write("2.vcf", vcf("A", f"{second} 20 A G 0|1").data))


def test_a_second_file_that_breaks_halfway_takes_the_first_with_it(held):
    one = held.write("1.vcf", vcf("A B", "1 10 A G 0|1 1|1").data)
    two = held.write("2.vcf", vcf("A B", "2 10 A G 0|1 1|1").data + b"2\t5\t.\tA\tG\t.\t.\t.\tGT\t0|1\t0|1\n")
    assert "2.vcf: line" in refused(held, "unsorted", one, two).message


# appending


def test_a_name_is_taken_once(held):
    path = held.write("a.vcf", TWO.data)
    held.load(path)
    refused(held, "dataset_exists", path)
    refused(held, "dataset_unknown", path, name="other", append=True)
    refused(held, "assembly_differs", path, assembly="GRCh37", append=True)


def test_new_people_and_new_sites_are_appended_and_what_a_part_lacks_is_missing(held):
    held.load(held.write("a.vcf", vcf("A B", "22 100 A G 0|1 1|1", "22 300 G T 0|1 0|0").data))
    held.load(held.write("b.vcf", vcf("C", "22 100 A G 1|0", "22 200 T C 1|1").data), append=True)
    assert held.traces()["dataset"] == 1
    found = calls(held)
    assert found["C", "22", 100, "A,G"] == [1, 0]
    assert found["C", "22", 300, "G,T"] == [-1, -1]
    assert found["A", "22", 200, "T,C"] == [-1, -1]
    assert found["B", "22", 300, "G,T"] == [0, 0]
    assert len(found) == 9


def test_the_same_people_are_matched_on_appending(held):
    held.load(held.write("a.vcf", vcf("A B", "1 100 A G 0|1 1|1").data))
    report = held.load(held.write("b.vcf", vcf("B A", "2 100 A G 0|0 1|0").data), append=True, unknown="refuse")
    assert (report.matched, report.new) == (2, 0)
    found = calls(held)
    assert found["A", "2", 100, "A,G"] == [1, 0]
    assert found["B", "2", 100, "A,G"] == [0, 0]
    assert found["B", "1", 100, "A,G"] == [1, 1]


def test_where_two_parts_hold_the_same_call_the_earlier_stands(held):
    held.load(held.write("a.vcf", vcf("A B", "1 100 A G 0|1 1|1").data))
    held.load(held.write("b.vcf", vcf("A B", "1 100 A G 1|1 0|0", "1 101 A G 1|1 0|0").data), append=True, accept=True)
    found = calls(held)
    assert found["A", "1", 100, "A,G"] == [0, 1]
    assert found["B", "1", 100, "A,G"] == [1, 1]
    assert found["A", "1", 101, "A,G"] == [1, 1]


def test_other_alleles_at_one_position_are_alts_of_one_line(held):
    held.load(held.write("a.vcf", vcf("A", "1 100 A G 0|1").data))
    held.load(held.write("b.vcf", vcf("B", "1 100 A T 0|1").data), append=True)
    assert calls(held) == {
        ("A", "1", 100, "A,G,T"): [0, 1],
        ("B", "1", 100, "A,G,T"): [0, 2],
    }


def test_another_spelling_of_a_contig_is_refused(held):
    held.load(held.write("a.vcf", vcf("A", "22 100 A G 0|1").data))
    refused(held, "contig_spelling", held.write("b.vcf", vcf("B", "chr22 100 A G 0|1").data), append=True)


def test_places_in_containers_say_nothing_of_the_order_in_the_file(tmp_path):
    rng = random.Random(3)
    held = Held.make(tmp_path, random=rng.randbytes)
    names = [f"S{i}" for i in range(300)]
    held.load(held.write("a.vcf", vcf(" ".join(names), "1 10 A G " + " ".join(["0|1"] * 300)).data))
    with held.vault.books.read() as tx:
        slots = dict(tx.execute(select(LayoutMemberRow.subject_id, LayoutMemberRow.slot)).all())
    ranks = [slots[resolve(held.vault, name)] for name in names]
    assert sorted(ranks) == list(range(300))
    assert abs(np.corrcoef(ranks, np.arange(300))[0, 1]) < 0.2
    held.vault.close()


def test_withdrawn_people_stay_withdrawn_when_more_of_them_is_appended(held):
    held.load(held.write("a.vcf", vcf("A B", "1 10 A G 0|1 1|1").data))
    held.everyone_consents()
    recording.withdraw(held.vault, "A")
    held.load(held.write("b.vcf", vcf("A B", "2 10 A G 0|1 1|1").data), append=True)
    assert {sample for sample, *_ in calls(held)} == {"B"}
