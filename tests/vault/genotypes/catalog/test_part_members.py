"""Layouts: parts of the same people share the rows that say where these are, and whoever leaves leaves only what they left."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from tests.support.held import Held
from tests.support.vaults import sql
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import calls
from vault import gate
from vault.errors import IntegrityError
from vault.genotypes import import_job
from vault.genotypes.catalog import datasets, part_list, part_members, parts
from vault.genotypes.import_plan import ImportOptions
from vault.operations import doctor
from vault.operations.corrections import moving, removal, replacement, verification
from vault.operations.erasure import process
from vault.storage.book_tables import LayoutMemberRow
from vault.subjects.references import resolve

CONTIGS = ("20", "21", "22")


def file(contig: str, people: str = "A B C D") -> bytes:
    gts = ["0/1", "1/1", "0/0", "1|0"]
    rows = (f"{contig} {100 * n} A G {' '.join(gts[(n + at) % 4] for at in range(len(people.split())))}" for n in range(1, 5))
    return vcf(people, *rows).data


@pytest.fixture
def held(tmp_path) -> Held:
    """One cohort, contig by contig, the people in another order each time."""
    held = Held.make(tmp_path)
    for at, contig in enumerate(CONTIGS):
        people = ("A B C D", "D C B A", "B A D C")[at]
        held.load(held.write(f"{contig}.vcf", file(contig, people)), append=at > 0)
    return held


def rows(held: Held) -> int:
    with held.vault.books.read() as tx:
        return tx.scalar(select(func.count()).select_from(LayoutMemberRow)) or 0


def layouts(held: Held) -> list[int]:
    """For each part a number of its layout, in order of the first that has it."""
    dataset_id = datasets.by_name(held.vault, "cohort").dataset_id
    found = [row.layout_id for row in parts.list_all(held.vault, dataset_id)]
    return [list(dict.fromkeys(found)).index(one) for one in found]


def people(held: Held) -> list[int]:
    return [part.people for part in part_list.list_parts(held.vault, datasets.by_name(held.vault, "cohort"))]


def clean(held: Held) -> None:
    report = doctor.examine(held.vault)
    assert report.ok, report.findings
    assert not verification.verify(held.vault, "cohort").damages
    assert held.verified().open_intents == ()


def test_parts_of_the_same_people_have_the_rows_of_one(held):
    assert (rows(held), layouts(held), people(held)) == (4, [0, 0, 0], [4, 4, 4])
    found = calls(held)
    assert [found[who, "20", 100, "A,G"] for who in "ABCD"] == [[1, 1], [0, 0], [1, 0], [0, 1]]
    assert [found[who, "21", 100, "A,G"] for who in "DCBA"] == [[1, 1], [0, 0], [1, 0], [0, 1]]
    assert [found[who, "22", 100, "A,G"] for who in "BADC"] == [[1, 1], [0, 0], [1, 0], [0, 1]]
    (summary,) = datasets.list_all(held.vault)
    assert (summary.parts, summary.subjects) == (3, 4)
    clean(held)


@pytest.mark.parametrize("other", ["A B C", "A B C D E", "E F"])
def test_other_people_have_a_layout_of_their_own(held, other):
    held.load(held.write("x.vcf", file("X", other)), append=True)
    assert layouts(held) == [0, 0, 0, 1]
    assert rows(held) == 4 + len(other.split())
    clean(held)


def test_who_is_erased_leaves_the_one_layout(held):
    before = calls(held)
    process.erase(held.vault, "B")
    assert (rows(held), layouts(held), people(held)) == (3, [0, 0, 0], [3, 3, 3])
    after = calls(held)
    assert {who for who, *_ in after} == set("ACD")
    assert after.items() <= before.items()
    clean(held)


def in_slot(held: Held, slot: int) -> str:
    """Who has a slot of the first part."""
    first = parts.list_all(held.vault, datasets.by_name(held.vault, "cohort").dataset_id)[0]
    places = parts.members(held.vault, first)
    return next(who for who in "ABCD" if places[resolve(held.vault, who)] == (0, slot))


def test_a_layout_with_a_gap_takes_no_new_part(held):
    gone = in_slot(held, 0)
    left = " ".join(who for who in "ABCD" if who != gone)
    process.erase(held.vault, gone)
    held.load(held.write("x.vcf", file("X", left)), append=True)
    assert layouts(held) == [0, 0, 0, 1]
    held.load(held.write("19.vcf", file("19", left[::-1])), append=True)
    assert layouts(held) == [0, 0, 0, 1, 1]
    assert rows(held) == 3 + 3
    clean(held)


def test_a_layout_whose_last_slot_is_free_goes_on(held):
    gone = in_slot(held, 3)
    process.erase(held.vault, gone)
    held.load(held.write("x.vcf", file("X", " ".join(who for who in "ABCD" if who != gone))), append=True)
    assert (rows(held), layouts(held)) == (3, [0, 0, 0, 0])
    assert len({who for who, *_ in calls(held)}) == 3
    clean(held)


def test_who_leaves_one_part_leaves_the_others_as_they_are(held):
    held.load(held.write("e.vcf", vcf("E", "1 10 A G 0/1").data), append=True)
    before = calls(held)
    dataset = datasets.by_name(held.vault, "cohort")
    second = part_list.list_parts(held.vault, dataset)[1].part
    moving.move(held.vault, "cohort", "A", "E", part=second, reason="the wrong tube")
    assert (rows(held), layouts(held)) == (4 + 3, [0, 1, 0])
    after = calls(held)
    assert after["A", "21", 100, "A,G"] == [-1, -1]
    assert after["E", "21", 100, "A,G"] == before["A", "21", 100, "A,G"]
    others = {key: call for key, call in before.items() if key[0] in "BCD"}
    assert {key: call for key, call in after.items() if key[0] in "BCD"} == others
    assert [after["A", contig, 100, "A,G"] for contig in ("20", "22")] == [before["A", c, 100, "A,G"] for c in ("20", "22")]
    clean(held)
    process.erase(held.vault, "A")
    assert (rows(held), people(held)) == (3 + 3, [3, 3, 3, 1, 1])
    clean(held)


def test_who_leaves_all_parts_needs_no_layout_more(held):
    moving.move(held.vault, "cohort", "A", "B", swap=True, reason="x")
    assert (rows(held), layouts(held), people(held)[:3]) == (2, [0, 0, 0], [2, 2, 2])
    clean(held)


def test_replaced_people_do_not_go_on_in_the_layout_that_they_left(held):
    path = held.write("new.vcf", vcf("A B C D", *(f"{c} 100 A G 0/1 0/1 0/1 0/1" for c in CONTIGS)).data)
    options = ImportOptions(accept=True)
    replacement.import_instead(held.vault, [path], name="cohort", assembly="GRCh38", options=options, reason="called again")
    assert (rows(held), people(held)) == (4, [4])
    assert {tuple(call) for call in calls(held).values()} == {(0, 1)}
    clean(held)


def test_removing_parts_forgets_a_layout_with_its_last(held):
    listed = part_list.list_parts(held.vault, datasets.by_name(held.vault, "cohort"))
    for part, left in ((listed[0], 4), (listed[1], 4), (listed[2], 0)):
        removal.remove(held.vault, "cohort", part=part.part, reason="x", accept=True)
        assert rows(held) == left
    assert doctor.examine(held.vault).ok


def test_a_layout_that_changes_while_files_are_read_is_not_joined(held, monkeypatch):
    held.load(held.write("e.vcf", vcf("E", "1 10 A G 0/1").data), append=True)
    compared = import_job._compared

    def meanwhile(vault, *given, **options):
        moving.move(vault, "cohort", "A", "E", reason="the wrong tube")
        return compared(vault, *given, **options)

    monkeypatch.setattr(import_job, "_compared", meanwhile)
    held.load(held.write("x.vcf", file("X")), append=True)
    assert layouts(held) == [0, 0, 0, 1]
    assert (rows(held), people(held)) == (3 + 4, [3, 3, 3, 1, 1, 1, 1, 4])
    assert [calls(held)[who, "X", 100, "A,G"] for who in "ABCD"] == [[1, 1], [0, 0], [1, 0], [0, 1]]
    clean(held)


def test_members_that_were_edited_are_refused_in_every_part(held):
    sql(held.folder / "v" / "books.db", "DELETE FROM layout_member WHERE rowid = 1")
    dataset_id = datasets.by_name(held.vault, "cohort").dataset_id
    for row in parts.list_all(held.vault, dataset_id):
        with held.vault.books.read() as tx, pytest.raises(IntegrityError) as caught:
            part_members.listed(tx, row.layout_id, row.members_sha256)
        assert caught.value.code == "members_altered"


def test_parts_are_chosen_before_any_member_is_looked_up_and_each_layout_once(held, monkeypatch):
    held.load(held.write("x.vcf", file("X", "A B")), append=True)
    held.everyone_consents()
    held.project("demo")
    looked: list[bytes] = []
    members = parts.members

    def counted(vault, part, subjects=None):
        looked.append(part.layout_id)
        return members(vault, part, subjects)

    monkeypatch.setattr(parts, "members", counted)
    for regions, layouts_asked in ((["21:1-150"], 1), (["X:1-150"], 1), (["X:1-50"], 0), ([], 2), (["20:1-150", "22:1-150"], 1)):
        looked.clear()
        view = gate.view(held.vault, project="demo", dataset="cohort", regions=regions)
        assert len(view.pseudonyms) == 4
        assert len(set(looked)) == len(looked) == layouts_asked, regions
