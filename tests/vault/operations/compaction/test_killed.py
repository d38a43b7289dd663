"""A compaction that is killed at any step leaves the dataset as it was or as it was meant, and nothing besides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.crashing import killed_at, steps_survived
from tests.support.gvcf_text import block, gvcf
from vault import gate
from vault.genotypes.catalog import parts, personal_parts
from vault.genotypes.catalog.object_inventory import being_written, named_objects
from vault.genotypes.import_job import import_files
from vault.genotypes.import_plan import ImportOptions
from vault.operations import doctor
from vault.operations.compaction import process
from vault.operations.erasure import process as erasure
from vault.storage.book_tables import JobRow, PartRow, PersonalPartRow


@pytest.fixture
def people(tmp_path) -> Path:
    """The small template vault, with a dataset of one part each of three people."""
    folder = vaults.copy(tmp_path, whole=False)
    with vaults.opened(folder) as s:
        for nth, name in enumerate(("S03", "S04", "S05")):
            file = tmp_path / f"{name}.g.vcf"
            file.write_bytes(gvcf(name, block(1, 99), f"1 {100 + nth} A G,<NON_REF> 0/1 50", block(200, 300)))
            import_files(s, [file], name="lab", assembly="GRCh38", options=ImportOptions(append=nth > 0))
        vaults.approve(s, "seen", "lab")
    return folder


def compact(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        process.compact(s, "lab")


def erase(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        erasure.erase(s, "S04")


def seen(s) -> dict[str, object]:
    view = gate.view(s, project="seen", dataset="lab")
    calls = {name: view.codes[:, at].tolist() for at, name in enumerate(view.pseudonyms)}
    return {"pos": view.sites.pos.tolist(), "calls": calls}


def sound(s, *, whole: bool = True) -> int:
    """Nothing is half done; how many parts there are."""
    report = doctor.examine(s)
    assert report.ok, report.findings
    assert "orphans" not in {finding.code for finding in report.findings}
    verified = vaults.verified(s)
    assert verified.ok
    acts = {json.loads(s.trail.log.entry(at).leaf or b"{}")["act"] for at in verified.open_intents}
    assert acts <= {"panel.build", "subject.erase"}  # what these opened, before their own intent, stays in the log as opened
    with s.books.read() as tx:
        assert set(tx.scalars(select(JobRow.state))) <= {"done"}
        named, leased = {stored.name for stored in named_objects(tx)}, being_written(tx)
        compacted = tx.scalars(select(PartRow).where(PartRow.compacted.is_not(None))).all()
        own = [row for row in personal_parts.live(tx) if row.n_sites == 1]
        joined = tx.scalars(select(PersonalPartRow).where(PersonalPartRow.state == personal_parts.JOINED)).all()
    present = {name for name, _ in s.objects.list("")}
    assert named <= present
    assert all(name.split("/")[0] in leased for name in present - named)
    for row in compacted:
        assert {one.subject_id for one in joined if one.joined == row.part_id} == set(parts.members(s, row))
    assert len(compacted) in (0, 1)
    assert len(joined) + len(own) == (3 if whole else 2)
    assert bool(joined) == bool(compacted)
    return len(compacted) + len(own)


def test_a_compaction_killed_while_it_writes_is_closed_and_swept(people, tmp_path):
    with vaults.opened(people) as s:
        before = seen(s)
    assert killed_at(9, compact, str(people))
    with vaults.opened(people) as s:
        assert sound(s) == 3
        assert seen(s) == before
        assert process.compact(s, "lab").parts == 1
        assert seen(s) == before


@pytest.mark.long
def test_a_compaction_killed_at_any_step_is_done_or_is_not(people, tmp_path):
    with vaults.opened(people) as s:
        before = seen(s)
    counts = []

    def settled(folder: Path) -> None:
        with vaults.opened(folder) as s:
            counts.append(sound(s))
            assert seen(s) == before

    assert steps_survived(people, tmp_path, compact, settled, every=2) > 10
    assert set(counts) == {1, 3}


@pytest.mark.long
def test_an_erasure_killed_at_any_step_leaves_nothing_that_was_joined(people, tmp_path):
    compact(str(people))

    def settled(folder: Path) -> None:
        with vaults.opened(folder) as s:
            with s.books.read() as tx:
                gone = len(personal_parts.people(tx, [s_row.dataset_id for s_row in tx.scalars(select(PartRow))])) < 3
            assert sound(s, whole=not gone) == 1
            if gone:
                with s.books.read() as tx:
                    named, leased = {stored.name for stored in named_objects(tx)}, being_written(tx)
                left = {name for name, _ in s.objects.list("")} - named
                assert {name.partition("/")[0] for name in left} <= set(leased)  # a panel's build that was killed

    assert steps_survived(people, tmp_path, erase, settled, every=7) > 10
