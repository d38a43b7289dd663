"""Importing: a refusal, a failure or a kill leaves no trace but one failed entry."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from tests.support.vcf_text import SmallVcf, vcf
from tests.vault.genotypes.imports import TWO, calls, refused
from vault.errors import InputError, UnavailableError
from vault.genotypes import import_job
from vault.genotypes.ingest import begin
from vault.genotypes.ingest.begin import begin_reading

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


@pytest.mark.parametrize(("name", "meant"), [("hg20", "hg"), ("GRCh39", "grch3"), ("GRCh83", "grch38"), ("mm10", "")])
def test_an_assembly_that_is_not_known_is_taken_only_when_it_is_meant(held, name, meant):
    path = held.write("in.vcf", vcf("A", "1 10 A G 0|1").data)
    error = refused(held, "assembly_unknown", path, assembly=name)
    assert "--unlisted-assembly" in error.hint
    assert f"did you mean {meant}" in error.message if meant else "did you mean" not in error.message
    held.load(path, assembly=name, unlisted_assembly=True)
    held.load(held.write("more.vcf", vcf("B", "1 20 A G 0|1").data), assembly=name, append=True)  # said once is enough


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
        held.vault,
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
                held.vault,
                [path],
                name="cohort",
                assembly="GRCh38",
                options=import_job.ImportOptions(unknown="register"),
                progress=kill,
                reading=begun,
            )
    assert caught.value.code == "reader_ended"
    assert held.traces() == before
    assert not list(held.vault.objects.list(""))


def test_keys_that_cannot_be_kept_stop_the_import_without_a_trace(held, monkeypatch):
    def full(*_: object) -> None:
        raise UnavailableError("database_full", "x")

    monkeypatch.setattr(held.vault.subject_keys, "store", full)
    refused(held, "database_full", held.write("a.vcf", TWO.data))


def test_a_break_after_megabytes_leaves_no_object_and_no_key(held):
    """The first chunk's objects are written before the break is met."""
    rng = np.random.default_rng(7)
    rows = [f"1 {i + 1} A G {'0|1' if rng.random() < 0.2 else '0|0'} 0|0" for i in range(17_000)]
    path = held.write("big.vcf", vcf("A B", *rows).data + b"1\t3\t.\tA\tG\t.\t.\t.\tGT\t0|1\t0|0\n")
    refused(held, "unsorted", path)
    held.load(held.write("again.vcf", vcf("A B", *rows).data))
    assert held.traces()["chunk"] == 2


def test_a_store_that_fails_halfway_leaves_nothing_named(held, monkeypatch):
    puts = iter(range(100))
    put = held.vault.objects.put

    def failing(name: str, data: bytes) -> None:
        if next(puts) == 2:
            raise InputError("store_failed", "x")
        put(name, data)

    monkeypatch.setattr(held.vault.objects, "put", failing)
    refused(held, "store_failed", held.write("a.vcf", TWO.data))


def test_a_commit_that_fails_takes_everything_back(held, monkeypatch):
    def failing(*_: object, **__: object) -> None:
        raise InputError("commit_failed", "x")

    monkeypatch.setattr("vault.genotypes.catalog.part_members.add", failing)
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
        import_job.import_files(held.vault, [path], name="cohort", assembly="GRCh38", options=options, progress=overtaken)
    assert caught.value.code == "changed_meanwhile"
    traces = held.traces()
    assert (traces["dataset"], traces["part"], traces["subject"], traces["lease"]) == (1, 1, 2, 0)
    entry = next(e for e in held.entries() if e["outcome"] == "failed")
    assert entry["reasons"] == {"changed_meanwhile": 1}
    prefixes = {object_name.split("/")[0] for object_name, _ in held.vault.objects.list("")}
    assert len(prefixes) == 1
    assert held.verified().ok
