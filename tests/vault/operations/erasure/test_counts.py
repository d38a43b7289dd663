"""Carrier counts: an erasure opens one person's blocks, leaves counts of who is left, and never blanks by counts that are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.crashing import killed_at, steps_survived
from tests.support.held import FACTOR, Held
from tests.support.vcf_text import vcf
from tests.vault.operations.corrections.test_replacement import listed, put
from vault import gate
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import GenovaultError
from vault.genotypes.catalog import datasets, panel_blocks, panel_builder, parts
from vault.genotypes.codec.carrier_counts import CarrierCounts
from vault.genotypes.loci import parse_loci
from vault.genotypes.store import part_reader
from vault.genotypes.store.part_counts import PartCarriers
from vault.operations import backup, dataset_upgrade, doctor, restore
from vault.operations.corrections import leaving_job, moving, recounting, verification
from vault.operations.erasure import counts, process
from vault.storage.book_tables import JobRow, PanelBuildRow, PartRow
from vault.subjects.references import resolve

FILE = vcf(
    "A B C D",
    "21 50 A G 0/1 0/1 0/0 0/0",
    "22 100 A G 0/1 0|0 1/1 0/0",
    "22 200 C T 1|1 0/0 0/0 0/0",
    "22 300 G C,T 1/2 0/1 0/0 0/0",
    "22 400 G C 0/0 0/0 0/1 0/0",
    "X 500 G A 1 0/1 0/0 ./.",
)
WHOLE = {(0, 0, 1): 2, (1, 0, 1): 2, (1, 1, 1): 1, (1, 2, 1): 2, (1, 2, 2): 1, (1, 3, 1): 1, (2, 0, 1): 2}
WITHOUT_A = {(0, 0, 1): 1, (1, 0, 1): 1, (1, 2, 1): 1, (1, 3, 1): 1, (2, 0, 1): 1}
LOCI = b"chrom\tpos\tref\talt\n22\t100\tA\tG\n22\t200\tC\tT\n22\t300\tG\tT\nX\t500\tG\tA\n"


@pytest.fixture
def held(tmp_path) -> Held:
    held = Held.make(tmp_path)
    held.load(held.write("a.vcf", FILE.data))
    return held


def row_of(s) -> PartRow:
    return parts.list_all(s, datasets.by_name(s, "cohort").dataset_id)[0]


def counted(s) -> dict[tuple[int, int, int], int]:
    """People by (chunk, row, ALT), as the part's counts have them."""
    found = counts.held(s, row_of(s))
    chunks = [(at, found.chunk(at)) for at in range(len(found))]
    return {
        (at, *alt): people for at, one in chunks for alt, people in zip(one.alts().tolist(), one.people.tolist(), strict=True)
    }


def uncounted(s) -> None:
    """Make the dataset's part one of before."""
    with s.books.write() as tx:
        keys, names = counts.forget(tx, [row_of(s).part_id])
    s.keys.destroy_ids(keys)
    s.objects.delete(names)


@pytest.fixture
def opened(monkeypatch) -> list[int]:
    """How many blocks each reading of a container has opened."""
    found: list[int] = []
    original = part_reader.open_blocks

    def open_blocks(ref, get, key, wanted, **options):
        found.append(len(wanted))
        return original(ref, get, key, wanted, **options)

    monkeypatch.setattr(part_reader, "open_blocks", open_blocks)
    return found


def clean(held) -> None:
    assert doctor.examine(held.vault).ok
    assert not verification.verify(held.vault, "cohort").damages
    assert held.verified().open_intents == ()


def test_an_import_counts_and_an_erasure_subtracts(held, opened):
    assert counted(held.vault) == WHOLE
    before = row_of(held.vault)
    opened.clear()
    process.erase(held.vault, "sample:A")
    assert opened == [1, 1, 1]  # one block of each chunk
    assert counted(held.vault) == WITHOUT_A
    assert row_of(held.vault).counts_object not in (None, before.counts_object)
    assert before.counts_object not in dict(held.vault.objects.list())
    assert held.vault.keys.missing_ids([before.counts_key_id]) == {before.counts_key_id}
    assert {(200, b"C,T"), (300, b"G,C,T")}.isdisjoint(listed(held.vault))
    clean(held)


def test_counts_are_those_of_a_file_without_the_person(held, tmp_path):
    process.erase(held.vault, "sample:A")
    (tmp_path / "never").mkdir()
    never = Held.make(tmp_path / "never")
    lines = [f"{r.contig} {r.pos} {r.ref} {','.join(r.alts)} {' '.join(r.gts[1:])}" for r in FILE.records]
    never.load(never.write("a.vcf", vcf("B C D", *lines).data))
    assert counted(held.vault) == counted(never.vault)


def test_only_tables_that_lose_something_are_rewritten(held):
    process.erase(held.vault, "sample:C")  # alone in carrying 22:400
    with held.vault.books.read() as tx:
        versions = panel_blocks.table_versions(tx, row_of(held.vault).part_id)
    assert versions == 4  # of three chunks
    clean(held)


def test_nobody_waits_for_chunks_that_lose_nothing(held, monkeypatch):
    def stop(*_arguments: object) -> None:
        raise RuntimeError("power cut")

    held.everyone_consents()
    held.project("demo")
    monkeypatch.setattr(process, "purge", stop)
    with pytest.raises(RuntimeError):
        process.erase(held.vault, "sample:A")
    assert gate.view(held.vault, project="demo", dataset="cohort", regions=["21"]).sites.pos.tolist() == [50]
    with pytest.raises(GenovaultError) as caught:
        gate.view(held.vault, project="demo", dataset="cohort", regions=["22"])
    assert caught.value.code == "erasure_pending"
    monkeypatch.undo()
    assert process.resume(held.vault) == 1
    assert gate.view(held.vault, project="demo", dataset="cohort", regions=["22"]).sites.pos.tolist() == [100, 300, 400]


def test_a_part_of_before_is_counted_at_its_first_erasure(held, opened):
    uncounted(held.vault)
    process.erase(held.vault, "sample:A")
    assert counted(held.vault) == WITHOUT_A
    assert max(opened) == 3
    assert {(200, b"C,T"), (300, b"G,C,T")}.isdisjoint(listed(held.vault))
    opened.clear()
    process.erase(held.vault, "sample:B")
    assert set(opened) == {1}
    clean(held)


def test_counting_anew_gives_what_the_import_counted(held):
    uncounted(held.vault)
    size = held.vault.trail.log.size()
    assert recounting.recount(held.vault, "cohort") == recounting.Recounted("cohort", 1, 4)
    assert counted(held.vault) == WHOLE
    assert [(entry["act"], entry["outcome"]) for entry in held.entries(size)] == [
        ("dataset.recount", word) for word in ("intent", "done")
    ]
    clean(held)


def test_a_dataset_upgrade_counts_what_has_no_counts(held):
    uncounted(held.vault)
    assert dataset_upgrade.check(held.vault, "cohort").counted == 1
    assert dataset_upgrade.upgrade(held.vault, "cohort").needed
    assert counted(held.vault) == WHOLE
    assert not dataset_upgrade.check(held.vault, "cohort").needed
    clean(held)


@pytest.mark.parametrize("wrong", [CarrierCounts.nobody(4), None])
def test_counts_that_are_wrong_stop_an_erasure_before_anything_is_changed(held, monkeypatch, wrong):
    false = counts.held(held.vault, row_of(held.vault)).replaced({1: wrong or CarrierCounts.nobody(9)})
    monkeypatch.setattr(counts, "counted", lambda *_: false if wrong else PartCarriers(false.chunks[:2]))
    recounting.recount(held.vault, "cohort")
    monkeypatch.undo()
    with pytest.raises(GenovaultError) as caught:
        process.erase(held.vault, "sample:A")
    assert caught.value.code == "counts_damaged"
    assert resolve(held.vault, "sample:A")
    assert listed(held.vault) >= {(200, b"C,T"), (300, b"G,C,T")}
    assert {damage.code for damage in verification.verify(held.vault, "cohort").damages} == {"counts_damaged"}
    recounting.recount(held.vault, "cohort")
    process.erase(held.vault, "sample:A")
    clean(held)


def test_counts_that_are_too_high_are_found(held, monkeypatch):
    false = counts.held(held.vault, row_of(held.vault))
    more = CarrierCounts.from_calls(1, np.array([0]), np.array([1]), np.array([3]))
    monkeypatch.setattr(counts, "counted", lambda *_: false.replaced({0: more}))
    recounting.recount(held.vault, "cohort")
    monkeypatch.undo()
    assert doctor.examine(held.vault).ok
    (damage,) = verification.verify(held.vault, "cohort").damages
    assert (damage.code, damage.chunk, damage.remedy) == ("counts_damaged", 0, "genovault dataset recount N")


def test_damaged_counts_are_found_by_doctor(held):
    held.vault.objects.delete([row_of(held.vault).counts_object])
    assert {f.code for f in doctor.examine(held.vault).findings if f.severity == "error"} == {"object_missing"}


def test_a_replacement_subtracts(held):
    put(held, vcf("A", "21 50 A G 0/0", "22 250 C T 0/1", "X 500 G A 0").data)
    assert counted(held.vault) == WITHOUT_A
    process.erase(held.vault, "sample:B")
    assert counted(held.vault) == {(1, 0, 1): 1, (1, 3, 1): 1}
    clean(held)


def test_moved_calls_are_subtracted_and_an_erasure_reaches_what_they_list(held):
    moving.move(held.vault, "cohort", "A", "D", swap=True, reason="x")
    assert counted(held.vault) == WITHOUT_A
    assert {(200, b"C,T"), (300, b"G,C,T")} <= listed(held.vault)
    process.erase(held.vault, "sample:D")
    assert {(200, b"C,T"), (300, b"G,C,T")}.isdisjoint(listed(held.vault))
    clean(held)


def test_whoever_leaves_last_takes_with_them_what_both_carried(held, monkeypatch):
    """A replacement that is stopped half-way, then an erasure of the only other carrier, then the replacement goes on."""

    def stop(*_arguments: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(leaving_job, "_finish", stop)
    with pytest.raises(RuntimeError):
        put(held, vcf("B", "21 60 A G 0/0", "22 310 C T 0/1", "X 510 G A 0/1").data)
    monkeypatch.undo()
    process.erase(held.vault, "sample:A")
    assert leaving_job.finish_all(held.vault) == 1
    assert counted(held.vault) == {(1, 0, 1): 1, (1, 3, 1): 1}
    assert {alleles for pos, alleles in listed(held.vault) if pos in (50, 200, 300)} == set()
    clean(held)


def by_person(view):
    columns = np.asarray(view.genotypes).transpose(1, 0, 2).tolist()
    return dict(zip(view.pseudonyms, columns, strict=True))


def panels_of(held: Held):
    """What two panels show, and how many builds stand."""
    found = [gate.view(held.vault, project="demo", dataset="cohort", panel=name) for name in ("few", "all")]
    with held.vault.books.read() as tx:
        builds = len(tx.scalars(select(PanelBuildRow)).all())
    shown = [(view.sites.pos.tolist(), view.sites.alleles.items(), by_person(view), view.not_assayed) for view in found]
    return shown, builds


def with_panels(held: Held) -> None:
    held.everyone_consents()
    held.project("demo")
    dataset = datasets.by_name(held.vault, "cohort")
    panel_builder.create(held.vault, dataset, "few", parse_loci(LOCI, name="few"))
    panel_builder.create(held.vault, dataset, "all", parse_loci(b"21\t0\t9999\n22\t0\t9999\nX\t0\t9999\n", name="all"))


def test_panels_are_blanked_where_they_are_and_no_block_is_opened_for_them(held, opened):
    with_panels(held)
    opened.clear()
    size = held.vault.trail.log.size()
    for person in ("A", "C", "B"):
        process.erase(held.vault, f"sample:{person}")
        assert set(opened) == {1}
        blanked = panels_of(held)
        panel_builder.forget(held.vault, datasets.by_name(held.vault, "cohort"))
        made = panel_builder.rebuild(held.vault, datasets.by_name(held.vault, "cohort"))
        assert panels_of(held) == blanked
        assert blanked[1] == made
        opened.clear()
    assert held.vault.trail.log.size() > size
    clean(held)


def test_a_panel_that_names_more_after_an_erasure_is_made_again(tmp_path):
    held = Held.make(tmp_path)
    held.load(held.write("a.vcf", vcf("A B C", "22 100 A T 0/1 0/0 0/0", "22 200 C G 0/1 0/1 0/0").data), assayed="all")
    held.everyone_consents()
    held.project("demo")
    loci = b"chrom\tpos\tref\talt\n22\t100\tA\tG\n22\t200\tC\tG\n"  # the first names nothing until T is blanked
    panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "p", parse_loci(loci, name="p"))
    process.erase(held.vault, "sample:A")
    view = gate.view(held.vault, project="demo", dataset="cohort", panel="p")
    assert view.sites.pos.tolist() == [100, 200]
    clean(held)


def test_a_restore_leaves_no_counts_that_speak_of_the_erased(held, tmp_path):
    backup.backup(held.vault, tmp_path / "old")
    process.erase(held.vault, "sample:A")
    held.vault.close()
    folder = tmp_path / "v"
    for path in folder.glob("books.db*"):
        path.unlink()
    for path in sorted((folder / "objects").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (folder / "objects").rmdir()
    report = restore.restore(tmp_path / "old", folder, factor=FACTOR)
    assert report.erased_again == 1
    again = Held.of(tmp_path)
    assert row_of(again.vault).counts_object is None
    assert not [name for name, _ in again.vault.objects.list() if name.endswith(".counts")]


WHO = "S03"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A vault with a dataset in which S03 alone carries something, and a panel of it."""
    made = vaults.copy(tmp_path, whole=False)
    with vaults.opened(made) as s:
        calls = " ".join("0|1" if sample == WHO else "0|0" for sample in vaults.SAMPLES)
        shared = " ".join("0|1" if sample in (WHO, "S05") else "0|0" for sample in vaults.SAMPLES)
        vaults.bring(s, vcf(" ".join(vaults.SAMPLES), f"20 100 A G {shared}", f"20 200 A C {calls}"), "rare")
        vaults.approve(s, "rarity", "rare")
        vaults.panel(s, "both", "rare", b"20\t0\t999\n")
    return made


def erased(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        process.erase(s, WHO)


def counted_anew(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        recounting.recount(s, "rare")


def settled(folder: Path) -> None:
    with vaults.opened(folder) as s:
        report = doctor.examine(s)
        assert report.ok, report.findings
        assert not [finding for finding in report.findings if finding.code in ("job_unfinished", "orphans")]
        assert not verification.verify(s, "rare").damages
        with s.books.read() as tx:
            states = set(tx.scalars(select(JobRow.state)))
            builds = tx.scalars(select(PanelBuildRow)).all()
        assert states <= {"done"}
        for build in builds:  # no key of a table that was replaced is left
            assert set(s.keys.ids_of(KeyPurpose.PANEL, build.build_id)) == {build.table_key_id, build.length_key_id}
        view = gate.view(s, project="rarity", dataset="rare", panel="both")
        done = len(process.issued(s))
        assert view.sites.pos.tolist() == ([100] if done else [100, 200])
        held = counts.held(s, parts.list_all(s, datasets.by_name(s, "rare").dataset_id)[0])
        assert held.chunk(0).people.tolist() == ([1] if done else [2, 1])


@pytest.mark.parametrize("step", [60, 110])
def test_killed_somewhere_counts_and_panels_are_right_at_the_next_open(folder, step):
    killed_at(step, erased, str(folder))
    settled(folder)


@pytest.mark.long
def test_killed_at_any_step_counts_and_panels_are_right_at_the_next_open(folder, tmp_path):
    assert steps_survived(folder, tmp_path, erased, settled, every=4) >= 40


@pytest.mark.parametrize("every", [37, pytest.param(5, marks=pytest.mark.long)])
def test_a_kill_while_counting_anew_leaves_counts(folder, tmp_path, every):
    assert steps_survived(folder, tmp_path, counted_anew, settled, every=every) >= 20
