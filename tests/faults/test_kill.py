"""A kill at any instant leaves a vault that opens, a log that verifies, and nothing half visible (docs/architecture.md §3, rule 11)."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.crashing import killed_at
from tests.support.releases import pinned
from tests.support.vaults import copy, opened, verified
from vault import gate
from vault.access import releases
from vault.consent import ledger, recording
from vault.extracts.verification import verify_release
from vault.genotypes.catalog import datasets
from vault.storage.book_tables import ChunkRow, ContainerRow, LeaseRow, PartRow, SubjectRow
from vault.subjects import sheet_import

EVERY = 24  # at length each test takes each twenty-fourth step, and all of them together every one
SELDOM = 2 * EVERY  # default suite


def steps(offset):
    """Steps to be killed at, without end: of offset 0 those of the default suite, of ``EVERY`` the ones between them."""
    return itertools.count(1 + offset, EVERY if offset % EVERY else SELDOM)


def pytest_generate_tests(metafunc):
    """All steps of all works, those of offset 0 in the default suite, the rest at length."""
    if "offset" in metafunc.fixturenames:
        metafunc.parametrize("offset", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, EVERY + 1))])


# What the children do


def import_dataset(folder, file):
    with opened(folder) as s:
        vaults.import_job.import_files(
            s, [Path(file)], name="new", assembly="GRCh38", options=vaults.import_job.ImportOptions(unknown="register")
        )


def import_sheet(folder):
    rows = vaults.read_subject_sheet(b"sample_id,mrn\nX1,M1\nX2,M2\n", today=vaults.TODAY)
    with opened(folder) as s:
        sheet_import.import_sheet(s, rows)


def import_answers(folder, sheet):
    with opened(folder) as s:
        recording.import_answers(s, sheet, "clinical-matching")


def withdraw(folder):
    with opened(folder) as s:
        recording.withdraw(s, "S03")


def extract(folder, request, output):
    with opened(folder) as s:
        gate.extract(s, request, Path(output))


def look(folder):
    with opened(folder) as s:
        gate.view(s, project="demo", dataset="cohort")


# What must hold afterwards


@dataclass(frozen=True)
class Found:
    """A vault as found after the kill."""

    names: tuple[str, ...]
    events: int
    subjects: int
    releases: tuple[str, ...]


def found(folder):
    """Open as anybody would, and check everything that must hold whatever happened."""
    with opened(folder) as s:
        report = verified(s)
        assert report.ok, report.findings
        assert report.open_intents == ()
        with s.books.read() as tx:
            stored = {name for row in tx.scalars(select(PartRow)) for name in (row.directory_object, row.counts_object)}
            stored |= {row.table_object for row in tx.scalars(select(ChunkRow))}
            stored |= {row.object for row in tx.scalars(select(ContainerRow))}
            leased = list(tx.scalars(select(LeaseRow.prefix)))
            events = ledger.last(tx, s.vault_id).seq
            people = len(tx.scalars(select(SubjectRow.subject_id)).all())
        present = {name for name, _ in s.objects.list()}
        assert stored <= present
        assert all(name.split("/")[0] in leased for name in present - stored)  # the sweeper will find them
        listed = datasets.list_all(s)
        for item in listed:
            assert gate.check(s, "demo").subjects == 12
            whole = gate.view(s, project="demo", dataset="cohort")
            assert whole.codes.shape[1] == sum(1 for _ in whole.pseudonyms)
            assert item.sites > 0
        ended = releases.list_all(s)
        assert all(r.state in {releases.RELEASED, releases.ABORTED} for r in ended)
        keys = pinned(s)
    newest = {release.content.output: release for release in reversed(ended)}
    for release in newest.values():
        if release.content.output:
            shown = Path(release.content.output)
            assert not Path(release.content.staged).exists()
            assert shown.exists() == (release.state == releases.RELEASED)
            if shown.exists():
                verify_release(shown, **keys)
    return Found(tuple(i.name for i in listed), events, people, tuple(r.state for r in ended if r.content.output))


def each_kill(tmp_path, offset, work, prepare):
    """(folder, what was prepared) after a kill at each step, and last after none. Each time at one place: a vault's books name paths."""
    place, made = tmp_path / "place", tmp_path / "made"
    place.mkdir()
    folder = copy(place, whole=False)
    arguments = prepare(folder)
    shutil.copytree(place, made)
    for step in steps(offset):
        shutil.rmtree(place)
        shutil.copytree(made, place)
        died = killed_at(step, work, folder, *arguments)
        yield folder, arguments
        if not died:
            return


def test_importing_genotypes(tmp_path, offset):
    file = tmp_path / "new.vcf"
    file.write_bytes(vaults.vcf("N1 N2 N3", "22 100 A G 0|1 1|1 0|0", "22 200 C T 0|1 ./. 0|0").data)
    outcomes = set()
    for folder, arguments in each_kill(tmp_path, offset, import_dataset, lambda _: (str(file),)):
        before = found(folder)
        assert (before.names, before.subjects) in {(("cohort",), 12), (("cohort", "new"), 15)}
        outcomes.add("new" in before.names)
        if "new" not in before.names:
            import_dataset(folder, *arguments)  # nothing of the first attempt is in the way
        assert found(folder).names == ("cohort", "new")
    assert outcomes == {False, True}  # killed before its commit, and after


def test_importing_people(tmp_path, offset):
    for folder, _ in each_kill(tmp_path, offset, import_sheet, lambda _: ()):
        people = found(folder).subjects
        assert people in {12, 14}
        if people == 12:
            import_sheet(folder)
        assert found(folder).subjects == 14


def test_importing_answers(tmp_path, offset):
    def prepare(folder):
        with opened(folder) as s:
            return (vaults.answers(s, form="clinical-matching", decline=()),)

    for folder, arguments in each_kill(tmp_path, offset, import_answers, prepare):
        events = found(folder).events
        assert events in {13, 24}
        if events == 13:
            import_answers(folder, *arguments)
        assert found(folder).events == 24


def test_withdrawing(tmp_path, offset):
    for folder, _ in each_kill(tmp_path, offset, withdraw, lambda _: ()):
        assert found(folder).events in {13, 14}


def test_extracting(tmp_path, offset):
    def prepare(folder):
        with opened(folder) as s:
            return vaults.ask(s), str(folder.parent / "out")

    ends = set()
    for folder, (request, output) in each_kill(tmp_path, offset, extract, prepare):
        states = found(folder).releases
        ends.add(states)
        assert states in {(), ("aborted",), ("released",)}
        assert Path(output).exists() == (states == ("released",))
        left = list(folder.parent.glob(".genovault-*"))
        assert not any(any(one.iterdir()) for one in left)  # made before the intent: empty, and nobody's
        if not Path(output).exists():
            extract(folder, request, output)
        assert found(folder).releases[0] == "released"
    assert ("released",) in ends  # of a whole run at least; which other ends come up depends on the steps taken


def test_viewing(tmp_path, offset, monkeypatch):
    """A killed view left no folder: recovery must not mistake the working folder for one."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "precious").write_text("stays")
    monkeypatch.chdir(here)
    for folder, _ in each_kill(tmp_path, offset, look, lambda _: ()):
        found(folder)
        assert (here / "precious").read_text() == "stays"
