"""Importing: samples are matched with subjects by name, by a sheet beforehand, or by MAP.csv."""

from __future__ import annotations

from datetime import date

import pytest

from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import TWO, calls, refused
from vault.errors import InputError
from vault.operations.erasure import process
from vault.subjects import sheet_import
from vault.subjects.references import resolve
from vault.subjects.subject_sheet import read_subject_sheet


def test_unknown_samples_are_refused_skipped_or_registered(held):
    held.load(held.write("a.vcf", vcf("A", "1 10 A G 0|1").data))
    both = held.write("b.vcf", vcf("B A", "2 10 A G 1|1 0|1").data)
    error = refused(held, "samples_unknown", both, append=True, unknown="refuse")
    assert "1 of 2" in error.message
    assert "sample column 1" in error.message
    skipped = held.load(both, append=True, unknown="skip")
    assert (skipped.matched, skipped.new, skipped.skipped) == (1, 0, 1)
    assert calls(held)["A", "2", 10, "A,G"] == [0, 1]
    assert held.traces()["subject"] == 1


def test_nobody_known_is_refused_also_when_skipping(held):
    refused(held, "samples_unknown", held.write("a.vcf", TWO.data), unknown="skip")


def test_a_sheet_names_samples_beforehand(held):
    sheet = held.write("s.csv", "sample_id,mrn\nA,m1\nB;B2,m2\n")
    sheet_import.import_sheet(held.vault, read_subject_sheet(sheet, today=date(2026, 1, 1)))
    report = held.load(held.write("a.vcf", vcf("B2 A", "1 10 A G 0|1 1|1").data), unknown="refuse")
    assert (report.matched, report.new) == (2, 0)
    assert resolve(held.vault, "sample:B2") == resolve(held.vault, "mrn:m2")
    assert calls(held) == {("A", "1", 10, "A,G"): [1, 1], ("B", "1", 10, "A,G"): [0, 1]}


def test_two_samples_of_one_person_in_one_file_are_refused(held):
    sheet = held.write("s.csv", "sample_id,mrn\nA;A2,m1\n")
    sheet_import.import_sheet(held.vault, read_subject_sheet(sheet, today=date(2026, 1, 1)))
    path = held.write("a.vcf", vcf("A A2 N", "1 10 A G 0|1 1|1 0|0").data)
    refused(held, "subject_twice", path)


def test_names_that_no_sheet_or_header_could_hold_are_refused(held):
    path = held.write("a.vcf", vcf("A B", "1 10 A G 0|1 1|1").data)
    for wrong in ("", "hg\n##x", "a\udcff"):
        refused(held, "name_malformed", path, assembly=wrong)
    refused(held, "name_malformed", path, namespace="n\x1b[2J")
    long = held.write("b.vcf", vcf(f"A {'B' * 10_000}", "1 10 A G 0|1 1|1").data)
    assert "column 2" in refused(held, "sample_name_too_long", long).message


def test_a_reference_longer_than_any_is_nobody_s(held):
    with pytest.raises(InputError) as caught:
        resolve(held.vault, "A" * 70_000)
    assert caught.value.code == "subject_unknown"


def test_a_name_that_another_cohort_registered_is_another_persons_until_said_otherwise(held):
    held.load(held.write("a.vcf", vcf("A B", "1 10 A G 0|1 1|1").data))
    path = held.write("b.vcf", vcf("A C", "1 10 A G 0|0 0|1").data)
    assert "--namespace" in refused(held, "sample_taken", path, name="second").hint
    report = held.load(path, name="second", namespace="two")
    assert (report.matched, report.new) == (0, 2)
    assert resolve(held.vault, "sample:two/A") != resolve(held.vault, "sample:A")
    again = held.load(held.write("c.vcf", vcf("A C", "2 10 A G 0|0 0|1").data), name="second", namespace="two", append=True)
    assert (again.matched, again.new) == (2, 0)


# MAP.csv


def test_a_map_says_who_is_who(held):
    held.load(held.write("a.vcf", vcf("A B", "1 10 A G 0|1 1|1").data))
    path = held.write("b.vcf", vcf("x y", "1 10 A G 0|0 1|0").data)
    mapped = held.write("map.csv", "sample,subject\ny,A\nx,sample:B\n")
    report = held.load(path, name="second", sample_map=mapped, unknown="refuse")
    assert (report.matched, report.new) == (2, 0)
    assert calls(held, "second") == {("A", "1", 10, "A,G"): [1, 0], ("B", "1", 10, "A,G"): [0, 0]}


def test_a_map_settles_whose_a_taken_name_is(held):
    held.load(held.write("a.vcf", vcf("A", "1 10 A G 0|1").data))
    path = held.write("b.vcf", vcf("A", "1 10 A G 1|1").data)
    assert held.load(path, name="second", sample_map=held.write("map.csv", "sample,subject\nA,A\n")).matched == 1


def test_samples_that_a_map_leaves_out_are_matched_by_name(held):
    held.load(held.write("a.vcf", vcf("A B", "1 10 A G 0|1 1|1").data))
    path = held.write("b.vcf", vcf("x B n", "2 10 A G 0|0 1|0 0|1").data)
    mapped = held.write("map.csv", "sample,subject\nx,A\n")
    assert "1 of 3" in refused(held, "samples_unknown", path, append=True, sample_map=mapped, unknown="refuse").message
    report = held.load(path, append=True, sample_map=mapped)
    assert (report.matched, report.new) == (2, 1)
    found = calls(held)
    assert [found[name, "2", 10, "A,G"] for name in "ABn"] == [[0, 0], [1, 0], [0, 1]]


def test_a_map_and_a_namespace_go_together(held):
    held.load(held.write("a.vcf", vcf("A", "1 10 A G 0|1").data))
    path = held.write("b.vcf", vcf("A B", "1 10 A G 1|1 0|1").data)
    mapped = held.write("map.csv", "sample,subject\nA,A\n")
    report = held.load(path, name="second", sample_map=mapped, namespace="two")
    assert (report.matched, report.new) == (1, 1)
    assert resolve(held.vault, "sample:two/B")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("x,A\nz,B\n", "line 3"),  # no such sample in the file
        ("x,A\ny,nobody\n", "line 3"),
        ("x,A\nx,B\n", "line 3"),  # a sample twice
        ("x\n", "line 2"),
    ],
)
def test_a_bad_map_is_refused_with_its_line(held, rows, says):
    held.load(held.write("a.vcf", vcf("A B", "1 10 A G 0|1 1|1").data))
    path = held.write("b.vcf", vcf("x y", "1 10 A G 0|0 1|0").data)
    error = refused(held, "sheet_rejected", path, name="second", sample_map=held.write("map.csv", f"sample,subject\n{rows}"))
    assert says in str(error)


def test_a_map_that_makes_one_person_of_two_samples_is_refused(held):
    held.load(held.write("a.vcf", vcf("A", "1 10 A G 0|1").data))
    path = held.write("b.vcf", vcf("x y n", "1 10 A G 0|0 1|0 0|0").data)
    refused(held, "subject_twice", path, name="second", sample_map=held.write("map.csv", "sample,subject\nx,A\ny,A\n"))


def test_a_joint_file_is_refused_once_somebody_was_erased(held):
    """Next month's file holds the erased person too, and nothing that is kept tells who that is."""
    held.load(held.write("a.vcf", vcf("P1 P2", "1 10 A G 0|1 1|1").data))
    process.erase(held.vault, "P1")
    path = held.write("b.vcf", vcf("P1 P2 P3", "2 10 A G 0|1 1|1 0|1").data)
    assert "--unknown skip" in refused(held, "erased_may_return", path, append=True).hint
    with pytest.raises(InputError):
        resolve(held.vault, "P1")
    assert held.load(path, append=True, unknown="skip").erased == 0
    assert held.load(held.write("c.vcf", vcf("P2 P4", "3 10 A G 0|1 1|1").data), append=True, accept=True).erased == 1


def test_a_newcomer_alone_is_taken_beside_an_erasure_and_that_is_told(held):
    held.load(held.write("a.vcf", vcf("P1 P2", "1 10 A G 0|1 1|1").data))
    assert held.load(held.write("b.vcf", vcf("P3 P5", "1 10 A G 0|1 1|1").data), append=True).erased == 0
    process.erase(held.vault, "P1")
    assert held.load(held.write("c.vcf", vcf("P4 P6", "1 10 A G 0|1 1|1").data), append=True).erased == 1
