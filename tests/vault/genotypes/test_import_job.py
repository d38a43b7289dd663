"""Importing: who a sample is, what several files must agree on, and that a refusal leaves no trace."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from tests.support.held import Held
from tests.support.vcf_text import SmallVcf, vcf
from vault import gate
from vault.access import projects
from vault.consent import recording
from vault.errors import GenovaultError, InputError, UnavailableError
from vault.genotypes import import_job
from vault.genotypes.ingest import begin
from vault.genotypes.ingest.begin import begin_reading
from vault.session.subject_keys import SUBJECT_PURPOSES
from vault.storage.book_tables import PartMemberRow
from vault.subjects import registry
from vault.subjects.references import resolve
from vault.subjects.subject_sheet import read_subject_sheet

TWO = vcf("A B", "22 100 A G 0|1 ./.", "22 200 C T,G 1|2 0|0")


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    vault = Held.make(tmp_path)
    yield vault
    vault.session.close()


def refused(held: Held, code: str, *files: Path, **options: object) -> InputError:
    """The error of an import that must be refused, and must leave nothing but one failed entry."""
    before, size = held.traces(), held.session.trail.log.size()
    with pytest.raises(GenovaultError) as caught:
        held.load(*files, **options)
    assert caught.value.code == code, caught.value
    assert held.traces() == before
    (entry,) = held.entries(size)
    assert (entry["act"], entry["outcome"], entry["reasons"]) == ("dataset.import", "failed", {code: 1})
    assert held.verified().ok
    return caught.value


def calls(held: Held, dataset: str = "cohort", code: str = "demo") -> dict[tuple[str, int, str, str], list[list[int]]]:
    """Sample name → (contig, position, alleles) → alleles of the call, for everyone, through the door."""
    held.everyone_consents()
    if code not in {project.code for project in projects.list_all(held.session)}:
        held.project(code, dataset)
    view = gate.view(held.session, project=code, dataset=dataset)
    names = held.names(code)
    found = {}
    for column, pseudonym in enumerate(view.pseudonyms):
        for row in range(len(view.sites)):
            key = (view.sites.contigs[view.sites.contig[row]], int(view.sites.pos[row]), view.sites.alleles[row].decode())
            found[(names[pseudonym], *key)] = view.genotypes[row, column].tolist()
    return found


def test_a_file_becomes_a_dataset_and_its_samples_subjects(held):
    report = held.load(held.write("a.vcf", TWO.data))
    assert (report.dataset, report.sites, report.matched, report.new, report.skipped) == ("cohort", 2, 0, 2, 0)
    assert report.stored_bytes == sum(size for _, size in held.session.objects.list(""))
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
    objects = [name for name, _ in held.session.objects.list("")]
    assert entry["blobs"]["n"] == len(objects)
    assert all(name.startswith(entry["obj"]["ref"]) for name in objects)
    assert "cohort" not in str(entry)


def test_every_subject_has_its_four_keys(held):
    held.load(held.write("a.vcf", TWO.data))
    assert held.traces()["subject"] == 2
    assert held.traces()["subject_token"] == 2
    everyone = [resolve(held.session, name) for name in "AB"]
    keys = [held.session.keys.open_many(purpose, everyone) for purpose in SUBJECT_PURPOSES]
    assert len({key for found in keys for key in found.values()}) == 8


def test_progress_is_told_and_ends_whole(held):
    seen: list[tuple[int, int, int]] = []
    path = held.write("a.vcf", TWO.data)
    options = import_job.ImportOptions(unknown="register")
    import_job.import_files(
        held.session, [path], name="c", assembly="GRCh38", options=options, progress=lambda *now: seen.append(now)
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
    held.load(held.write("b.vcf", vcf("A B", "1 100 A G 1|1 0|0", "1 101 A G 1|1 0|0").data), append=True)
    found = calls(held)
    assert found["A", "1", 100, "A,G"] == [0, 1]
    assert found["B", "1", 100, "A,G"] == [1, 1]
    assert found["A", "1", 101, "A,G"] == [1, 1]


def test_other_alleles_at_one_position_are_another_site(held):
    held.load(held.write("a.vcf", vcf("A", "1 100 A G 0|1").data))
    held.load(held.write("b.vcf", vcf("B", "1 100 A T 0|1").data), append=True)
    assert calls(held) == {
        ("A", "1", 100, "A,G"): [0, 1],
        ("B", "1", 100, "A,G"): [-1, -1],
        ("A", "1", 100, "A,T"): [-1, -1],
        ("B", "1", 100, "A,T"): [0, 1],
    }


def test_another_spelling_of_a_contig_is_refused(held):
    held.load(held.write("a.vcf", vcf("A", "22 100 A G 0|1").data))
    refused(held, "contig_spelling", held.write("b.vcf", vcf("B", "chr22 100 A G 0|1").data), append=True)


# who a sample is


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
    registry.import_sheet(held.session, read_subject_sheet(sheet, today=date(2026, 1, 1)), update=False)
    report = held.load(held.write("a.vcf", vcf("B2 A", "1 10 A G 0|1 1|1").data), unknown="refuse")
    assert (report.matched, report.new) == (2, 0)
    assert resolve(held.session, "sample:B2") == resolve(held.session, "mrn:m2")
    assert calls(held) == {("A", "1", 10, "A,G"): [1, 1], ("B", "1", 10, "A,G"): [0, 1]}


def test_two_samples_of_one_person_in_one_file_are_refused(held):
    sheet = held.write("s.csv", "sample_id,mrn\nA;A2,m1\n")
    registry.import_sheet(held.session, read_subject_sheet(sheet, today=date(2026, 1, 1)), update=False)
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
        resolve(held.session, "A" * 70_000)
    assert caught.value.code == "subject_unknown"


def test_a_name_that_another_cohort_registered_is_another_persons_until_said_otherwise(held):
    held.load(held.write("a.vcf", vcf("A B", "1 10 A G 0|1 1|1").data))
    path = held.write("b.vcf", vcf("A C", "1 10 A G 0|0 0|1").data)
    assert "--namespace" in refused(held, "sample_taken", path, name="second").hint
    report = held.load(path, name="second", namespace="two")
    assert (report.matched, report.new) == (0, 2)
    assert resolve(held.session, "sample:two/A") != resolve(held.session, "sample:A")
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
    assert resolve(held.session, "sample:two/B")


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


# refusals


BROKEN = {
    "no_such_file": None,
    "not_a_vcf": b"hello\n",
    "duplicate_sample": vcf("A A", "1 10 A G 0|1 0|1").data,
    "no_samples": SmallVcf((), ()).data,
    "no_sites": vcf("A").data,
    "unsorted": vcf("A", "1 10 A G 0|1", "1 9 A G 0|1").data,
    "bad_genotype": vcf("A", "1 10 A G 0|2").data,
    "column_count": vcf("A B", "1 10 A G 0|1").data,
    "file_truncated": gzip.compress(vcf("A", *(f"1 {i} A G 0|1" for i in range(1, 2000))).data)[:-20],
}


@pytest.mark.parametrize("code", BROKEN)
def test_what_is_no_genotype_file_is_refused_without_a_trace(held, code):
    held.load(held.write("good.vcf", vcf("G", "1 10 A G 0|1").data), name="good")
    content = BROKEN[code]
    path = held.folder / "bad.vcf" if content is None else held.write("bad.vcf", content)
    error = refused(held, code, path)
    assert "bad.vcf" in error.message or code == "no_sites"
    if code in {"unsorted", "bad_genotype", "column_count"}:
        assert "line" in error.message


# files large enough for a process of their own


@pytest.fixture
def apart(monkeypatch):
    monkeypatch.setattr(begin, "APART_BYTES", 0)


@pytest.mark.usefixtures("apart")
def test_files_read_by_another_process_become_the_same_dataset(held):
    first = held.write("1.vcf", vcf("A B C", "1 10 A G 0|1 ./. 1", "1 20 A G,T 0|0 1|1 2/2/0").data)
    second = held.write("2.vcf", vcf("C A B", "2 10 A G 0|1 0|0 1|1").data)
    seen: list[tuple[int, int, int]] = []
    report = import_job.import_files(
        held.session,
        [first, second],
        name="cohort",
        assembly="GRCh38",
        options=import_job.ImportOptions(unknown="register"),
        progress=lambda *now: seen.append(now),
    )
    assert (report.sites, report.matched, report.new, report.skipped) == (3, 0, 3, 0)
    assert seen[-1] == (first.stat().st_size + second.stat().st_size,) * 2 + (3,)
    found = calls(held)
    assert found["A", "1", 10, "A,G"][:2] == [0, 1]
    assert found["C", "1", 20, "A,G,T"] == [2, 2, 0]
    assert found["B", "2", 10, "A,G"][:2] == [1, 1]
    assert held.verified().ok


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("code", ["no_such_file", "no_samples", "no_sites", "bad_genotype", "file_truncated"])
def test_what_another_process_refuses_is_refused_without_a_trace(held, code):
    content = BROKEN[code]
    path = held.folder / "bad.vcf" if content is None else held.write("bad.vcf", content)
    error = refused(held, code, path)
    assert "bad.vcf" in error.message or code == "no_sites"


@pytest.mark.usefixtures("apart")
def test_a_reading_process_that_is_killed_leaves_no_trace(held):
    path = held.write("a.vcf", vcf("A", *(f"1 {i + 1} A G 0|1" for i in range(40_000))).data)
    with begin_reading([path], "GRCh38") as begun:
        begun.files()
        killed = False

        def kill(*_: int) -> None:
            nonlocal killed
            if not killed:
                begun._process.kill()
                killed = True

        before = held.traces()
        with pytest.raises(UnavailableError) as caught:
            import_job.import_files(
                held.session,
                [path],
                name="cohort",
                assembly="GRCh38",
                options=import_job.ImportOptions(unknown="register"),
                progress=kill,
                reading=begun,
            )
    assert caught.value.code == "reader_ended"
    assert held.traces() == before
    assert not list(held.session.objects.list(""))


def test_keys_that_cannot_be_kept_stop_the_import_without_a_trace(held, monkeypatch):
    def full(*_: object) -> None:
        raise UnavailableError("database_full", "x")

    monkeypatch.setattr(held.session.subject_keys, "store", full)
    refused(held, "database_full", held.write("a.vcf", TWO.data))


def test_a_break_after_megabytes_leaves_no_object_and_no_key(held):
    """The first chunk's objects are written before the break is met."""
    rng = np.random.default_rng(7)
    rows = [f"1 {i + 1} A G {'0|1' if rng.random() < 0.2 else '0|0'}" for i in range(17_000)]
    path = held.write("big.vcf", vcf("A", *rows).data + b"1\t3\t.\tA\tG\t.\t.\t.\tGT\t0|1\n")
    refused(held, "unsorted", path)
    held.load(held.write("again.vcf", vcf("A", *rows).data))
    assert held.traces()["chunk"] == 2


def test_a_store_that_fails_halfway_leaves_nothing_named(held, monkeypatch):
    puts = iter(range(100))
    put = held.session.objects.put

    def failing(name: str, data: bytes) -> None:
        if next(puts) == 2:
            raise InputError("store_failed", "x")
        put(name, data)

    monkeypatch.setattr(held.session.objects, "put", failing)
    refused(held, "store_failed", held.write("a.vcf", TWO.data))


def test_a_commit_that_fails_takes_everything_back(held, monkeypatch):
    def failing(*_: object, **__: object) -> None:
        raise InputError("commit_failed", "x")

    monkeypatch.setattr("vault.genotypes.catalog.parts.add_members", failing)
    refused(held, "commit_failed", held.write("a.vcf", TWO.data))


@pytest.mark.parametrize(("name", "namespace"), [("cohort", "other"), ("other", "")])
def test_an_import_that_another_overtakes_is_refused_without_a_trace(held, name, namespace):
    """The other one takes the dataset's name, or registers the samples' names, after this one has looked."""
    path = held.write("a.vcf", TWO.data)
    options = import_job.ImportOptions(unknown="register")
    reported: list[int] = []

    def overtaken(*_: int) -> None:
        if not reported:
            reported.append(1)
            held.load(path, name=name, namespace=namespace)

    with pytest.raises(UnavailableError) as caught:
        import_job.import_files(held.session, [path], name="cohort", assembly="GRCh38", options=options, progress=overtaken)
    assert caught.value.code == "changed_meanwhile"
    traces = held.traces()
    assert (traces["dataset"], traces["part"], traces["subject"], traces["lease"]) == (1, 1, 2, 0)
    entry = next(e for e in held.entries() if e["outcome"] == "failed")
    assert entry["reasons"] == {"changed_meanwhile": 1}
    prefixes = {object_name.split("/")[0] for object_name, _ in held.session.objects.list("")}
    assert len(prefixes) == 1
    assert held.verified().ok


def test_places_in_containers_say_nothing_of_the_order_in_the_file(tmp_path):
    rng = random.Random(3)
    held = Held.make(tmp_path, random=rng.randbytes)
    names = [f"S{i}" for i in range(300)]
    held.load(held.write("a.vcf", vcf(" ".join(names), "1 10 A G " + " ".join(["0|1"] * 300)).data))
    with held.session.books.read() as tx:
        slots = dict(tx.execute(select(PartMemberRow.subject_id, PartMemberRow.slot)).all())
    ranks = [slots[resolve(held.session, name)] for name in names]
    assert sorted(ranks) == list(range(300))
    assert abs(np.corrcoef(ranks, np.arange(300))[0, 1]) < 0.2
    held.session.close()


def test_withdrawn_people_stay_withdrawn_when_more_of_them_is_appended(held):
    held.load(held.write("a.vcf", vcf("A B", "1 10 A G 0|1 1|1").data))
    held.everyone_consents()
    recording.withdraw(held.session, "A")
    held.load(held.write("b.vcf", vcf("A B", "2 10 A G 0|1 1|1").data), append=True)
    assert {sample for sample, *_ in calls(held)} == {"B"}
