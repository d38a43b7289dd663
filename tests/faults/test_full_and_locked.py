"""Full disks, read-only and locked databases: nothing is released that is not logged, and the vault goes on afterwards."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.crashing import ROOT
from tests.support.outside import tool
from tests.support.vaults import copy, opened, verified
from vault import gate
from vault.access import releases
from vault.audit.actions import Action, Outcome
from vault.consent import recording
from vault.errors import GenovaultError, UnavailableError
from vault.genotypes import import_entry, import_job
from vault.genotypes.catalog import datasets
from vault.storage import database as module
from vault.storage.book_tables import LeaseRow
from vault.storage.database import PRAGMAS
from vault.storage.object_store import ObjectStore

OPEN_BLOCKS = "vault.genotypes.catalog.dataset_reader.GenotypeReader.choose"


@pytest.fixture
def folder(tmp_path):
    return copy(tmp_path, whole=False)


@pytest.fixture(params=["full", "read-only"])
def broken_books(request, monkeypatch):
    """From ``break_it(session)`` on, the books cannot be written: SQLite's own limits stand for a full or read-only disk."""

    def break_it(session):
        with session.books.read() as tx:
            pages = tx.connection().exec_driver_sql("PRAGMA page_count").scalar()
        extra = ("query_only", 1) if request.param == "read-only" else ("max_page_count", pages)
        monkeypatch.setattr(module, "PRAGMAS", (*PRAGMAS, extra))
        session.books.close()

    return break_it


def fill(session):
    """Take what room is left in the file's last pages, down to what no entry of an access fits in."""
    for size in (3000, 600, 0):
        for _ in range(100):
            try:
                session.trail.record(Action.SUBJECT_LIST, Outcome.DONE, detail={"filler": "x" * size} if size else None)
            except GenovaultError:
                break
        else:
            raise AssertionError("the books never fill up")


def never(*_args, **_kwargs):
    raise AssertionError("a block was opened although nothing could be logged")


def let_out(s, way, request, tmp_path):
    """One of the two ways out of the vault."""
    if way == "view":
        gate.view(s, project="demo", dataset="cohort")
    else:
        gate.extract(s, request, tmp_path / "out")


@pytest.mark.parametrize("way", ["view", "extract"])
def test_no_block_is_opened_when_the_intent_cannot_be_logged(folder, tmp_path, broken_books, monkeypatch, way):
    with opened(folder) as s:
        request = vaults.ask(s)
        broken_books(s)
        fill(s)
        with monkeypatch.context() as patch:
            patch.setattr(OPEN_BLOCKS, never)
            with pytest.raises(UnavailableError):
                let_out(s, way, request, tmp_path)
        monkeypatch.setattr(module, "PRAGMAS", PRAGMAS)
        s.books.close()
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".genovault-*"))
    with opened(folder) as s:
        assert verified(s).ok


@pytest.mark.parametrize("way", ["view", "extract"])
def test_nothing_is_visible_when_the_outcome_cannot_be_logged(folder, tmp_path, broken_books, monkeypatch, way):
    commit = gate.accesses.commit

    def committing(session, *arguments, **keywords):
        broken_books(session)
        fill(session)
        return commit(session, *arguments, **keywords)

    with opened(folder) as s:
        request = vaults.ask(s)
        monkeypatch.setattr(gate.accesses, "commit", committing)
        with pytest.raises(UnavailableError):
            let_out(s, way, request, tmp_path)
        assert not (tmp_path / "out").exists()
        monkeypatch.setattr(module, "PRAGMAS", PRAGMAS)
        s.books.close()
    monkeypatch.setattr(gate.accesses, "commit", commit)
    with opened(folder) as s:  # the outcome was unknown to the process: recovery reads back and says it
        report = verified(s)
        assert report.ok
        assert report.open_intents == ()
        assert [r.state for r in releases.list_all(s)] == ["aborted"]
    assert not list(tmp_path.glob(".genovault-*"))


def test_a_consent_that_cannot_be_logged_is_not_recorded(folder, broken_books, monkeypatch):
    with opened(folder) as s:
        broken_books(s)
        fill(s)
        with pytest.raises(UnavailableError):
            recording.withdraw(s, "S03")
        monkeypatch.setattr(module, "PRAGMAS", PRAGMAS)
        s.books.close()
    with opened(folder) as s:
        assert gate.check(s, "demo").permit == len(vaults.PERMITTED)
        recording.withdraw(s, "S03")
        assert gate.check(s, "demo").permit == len(vaults.PERMITTED) - 1


def bring_new(s, tmp_path):
    file = tmp_path / "new.vcf"
    file.write_bytes(vaults.vcf("N1 N2", "22 100 A G 0|1 1|1").data)
    return import_job.import_files(s, [file], name="new", assembly="GRCh38", options=import_job.ImportOptions(unknown="register"))


def test_an_import_that_cannot_be_recorded_is_not_there(folder, tmp_path, broken_books, monkeypatch):
    with opened(folder) as s:
        write, old = import_job._write, {name.split("/")[0] for name, _ in s.objects.list()}

        def written(*args):
            made = write(*args)
            broken_books(s)
            fill(s)
            return made

        with monkeypatch.context() as patch:
            patch.setattr(import_job, "_write", written)
            with pytest.raises(UnavailableError):
                bring_new(s, tmp_path)
        monkeypatch.setattr(module, "PRAGMAS", PRAGMAS)
        s.books.close()
    with opened(folder) as s:
        assert [d.name for d in datasets.list_all(s)] == ["cohort"]
        with s.books.read() as tx:
            leases = list(tx.scalars(select(LeaseRow.prefix)))
        kept = {name.split("/")[0] for name, _ in s.objects.list()}
        assert kept == {*leases, *old}  # what may have been committed is the sweeper's
        bring_new(s, tmp_path)
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == len(vaults.PERMITTED)


def test_objects_of_an_import_that_was_committed_after_all_are_kept(folder, tmp_path, monkeypatch):
    """The commit is on disk, and its report was lost."""
    commit, armed = import_entry.commit, []
    with opened(folder) as s:
        write = s.books.write

        @contextmanager
        def losing():
            with write() as tx:
                yield tx
            if armed:
                armed.clear()
                raise UnavailableError("database_unavailable", "the database did not answer (lost)")

        # Of the books alone: a thread writes to the key database at the same time, and losing its report stops the import before it commits.
        monkeypatch.setattr(s.books, "write", losing)
        monkeypatch.setattr(import_entry, "commit", lambda *a, **k: (commit(*a, **k), armed.append(True))[0])
        with pytest.raises(UnavailableError):
            bring_new(s, tmp_path)
        assert [d.name for d in datasets.list_all(s)] == ["cohort", "new"]
        vaults.recording.import_answers(
            s, b"subject,legal_time,research_use,signer\nN1,,yes,self\nN2,,yes,self\n", "broad-research"
        )
        vaults.approve(s, "second", "new")
        assert gate.view(s, project="second", dataset="new").codes.shape == (1, 2)


def test_an_interrupted_import_takes_its_objects_away(folder, tmp_path, monkeypatch):
    def interrupt(*_args, **_named):
        raise KeyboardInterrupt

    with opened(folder) as s:
        before = sorted(s.objects.list())
        with monkeypatch.context() as patch:
            patch.setattr(import_entry, "commit", interrupt)
            with pytest.raises(KeyboardInterrupt):
                bring_new(s, tmp_path)
        assert sorted(s.objects.list()) == before
        bring_new(s, tmp_path)


def test_a_store_that_fails_leaves_no_import(folder, tmp_path, monkeypatch):
    put, calls = ObjectStore.put, []

    def failing(self, name, data):
        calls.append(name)
        if len(calls) == 2:
            raise UnavailableError("objects_unavailable", "the object store did not answer")
        put(self, name, data)

    with opened(folder) as s:
        before = sorted(s.objects.list())
        with monkeypatch.context() as patch:
            patch.setattr(ObjectStore, "put", failing)
            with pytest.raises(UnavailableError) as caught:
                bring_new(s, tmp_path)
        assert caught.value.code == "objects_unavailable"
        assert sorted(s.objects.list()) == before
        assert [d.name for d in datasets.list_all(s)] == ["cohort"]
        bring_new(s, tmp_path)


@pytest.mark.parametrize("error", [errno.ENOSPC, *(pytest.param(e, marks=pytest.mark.long) for e in (errno.EIO, errno.EDQUOT))])
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5])
def test_a_full_output_folder(folder, tmp_path, monkeypatch, error, nth):
    """Each file of the folder, and the folder itself, in turn."""
    fsync, calls = os.fsync, []

    def failing(handle):
        place = str(Path(f"/proc/self/fd/{handle}").readlink())
        if ".genovault-" in place:
            calls.append(place)
            if len(calls) == nth:
                raise OSError(error, os.strerror(error))
        fsync(handle)

    with opened(folder) as s:
        request = vaults.ask(s)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            try:
                gate.extract(s, request, tmp_path / "out")
                assert len(calls) < nth
            except (UnavailableError, OSError) as caught:
                assert isinstance(caught, UnavailableError), "an error of the system got out"
                assert caught.code == "output_unwritable"
                assert not (tmp_path / "out").exists()
    with opened(folder) as s:
        report = verified(s)
        assert report.ok
        assert report.open_intents == ()
        assert releases.list_all(s)[0].state in {"released", "aborted"}
        assert (tmp_path / "out").exists() == (releases.list_all(s)[0].state == "released")
        assert not list(tmp_path.glob(".genovault-*"))


HOLDER = """
import sys, time
from sqlalchemy import text
from vault.storage.database import Database
with Database(sys.argv[1]).write() as tx:
    tx.execute(text("DELETE FROM lease"))
    print("held", flush=True)
    time.sleep(float(sys.argv[2])) if sys.argv[2] != "None" else sys.stdin.read()
"""


@pytest.mark.parametrize(("held", "patience"), [(0.3, 30_000), (None, 200)])
def test_books_locked_by_another_process(folder, tmp_path, monkeypatch, held, patience):
    """Held for a moment, far within our patience, or until the test lets go: no machine is slow enough to mix them up."""
    released = held is not None
    monkeypatch.setattr(module, "PRAGMAS", tuple((n, patience if n == "busy_timeout" else v) for n, v in PRAGMAS))
    with opened(folder) as s:
        request = vaults.ask(s)
        url = f"sqlite:///{folder / 'books.db'}"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, url, str(held)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        ) as holder:
            assert holder.stdout.readline() == "held\n"
            if released:
                assert gate.extract(s, request, tmp_path / "out").state == "released"
            else:
                monkeypatch.setattr(OPEN_BLOCKS, never)
                with pytest.raises(UnavailableError):
                    gate.extract(s, request, tmp_path / "out")
                assert not (tmp_path / "out").exists()
            holder.kill()
    with opened(folder) as s:
        assert verified(s).ok


EXTRACT = """
import sys
from pathlib import Path
from tests.support.vaults import opened
from vault import gate
with opened(Path(sys.argv[1])) as s:
    gate.extract(s, sys.argv[2], Path(sys.argv[3]))
"""
FAULTS = ["pwrite64:error=ENOSPC", "pwrite64:error=EIO", "fdatasync:error=EIO", "fsync:error=EIO", "rename:error=EIO"]


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_system_calls_that_fail_during_an_extract(tmp_path, fault):
    """Each Nth call in turn, in a process of its own; the oracle: what is visible was logged, and the log verifies."""
    strace = tool("strace")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    call = fault.partition(":")[0]
    for when in (1, 3, 8, 21):
        place = tmp_path / str(when)
        place.mkdir()
        folder = copy(place, whole=False)
        with opened(folder) as s:
            request = vaults.ask(s)
        ran = subprocess.run(
            [
                strace,
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                f"trace={call}",
                "-e",
                f"inject={fault}:when={when}",
                sys.executable,
                "-c",
                EXTRACT,
                str(folder),
                request,
                str(place / "out"),
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if ran.returncode:
            assert "vault.errors." in ran.stderr, ran.stderr
        with opened(folder) as s:
            report = verified(s)
            assert report.ok, report.findings
            assert report.open_intents == ()
            states = [r.state for r in releases.list_all(s)]
            assert states in ([], ["aborted"], ["released"])
            assert (place / "out").exists() == (states == ["released"])
        assert not list(place.glob(".genovault-*"))
        shutil.rmtree(place)
