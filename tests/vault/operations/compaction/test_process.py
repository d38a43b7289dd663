"""Joining of parts: one transaction, logged before and after, and everything that speaks of parts goes on working."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.support.gvcf_text import block, gvcf
from tests.support.held import Held
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import calls, refused
from vault import gate
from vault.consent.cohort_decisions import members
from vault.errors import InputError, UnavailableError
from vault.genotypes.catalog import compacted_parts, datasets, panel_blocks, panel_builder, part_list, parts, personal_parts
from vault.genotypes.catalog.object_inventory import named_objects
from vault.genotypes.import_plan import ImportOptions
from vault.genotypes.loci import parse_loci
from vault.operations import backup, doctor
from vault.operations.compaction import plan, process
from vault.operations.corrections import merging, moving, removal, replacement, sample_checks, verification
from vault.operations.erasure import process as erasure
from vault.operations.erasure.process import alone
from vault.storage.book_tables import JobRow, LeaseRow, PartRow, PersonalPartRow
from vault.subjects.references import resolve

NAMES = [f"P{n}" for n in range(6)]


def file_of(name: str) -> bytes:
    """A gVCF with a variant that all share, one that is the person's own, and one of a second ALT."""
    nth = int(name[1:])
    own = f"1 {200 + 5 * nth} A C,<NON_REF> 0/1 50"
    alt = "G" if nth % 2 else "T"
    return gvcf(
        name, block(1, 99), f"1 100 A {alt},<NON_REF> 0/1 50", block(101, 199), own, block(300, 400), block(1, 50, contig="2")
    )


def brought(held: Held, names=NAMES) -> Held:
    for nth, name in enumerate(names):
        held.load(held.write(f"{name}.g.vcf", file_of(name)), append=nth > 0)
    return held


@pytest.fixture
def joined(held, monkeypatch) -> Held:
    """Six people in one compacted part, which was made of two parts of three."""
    monkeypatch.setattr(plan, "FAN_IN", 3)
    brought(held)
    process.compact(held.vault, "cohort")
    return held


def listed(held: Held) -> list[part_list.PartSummary]:
    return part_list.list_parts(held.vault, datasets.by_name(held.vault, "cohort"))


def objects(held: Held) -> set[str]:
    return {name for name, _ in held.vault.objects.list("")}


def never(tmp_path, names) -> Held:
    """A vault into which only these people came, and nothing was joined."""
    folder = tmp_path / "never"
    folder.mkdir()
    return brought(Held.make(folder), names)


def test_the_log_names_who_was_opened_before_and_tells_when_it_is_done(held, monkeypatch):
    monkeypatch.setattr(plan, "FAN_IN", 3)
    brought(held)
    size = held.vault.trail.log.size()
    report = process.compact(held.vault, "cohort")
    assert (report.parts_before, report.parts, report.groups, report.people) == (6, 1, 3, 6)
    entries = [(e["act"], e["outcome"], e["subj"]["n"] if "subj" in e else 0) for e in held.entries(size)]
    assert entries == [("dataset.compact", "intent", 3), ("dataset.compact", "done", 0)] * 2 + [
        ("dataset.compact", "intent", 6),
        ("dataset.compact", "done", 0),
    ]
    verified = held.verified()
    assert verified.ok
    assert verified.open_intents == ()


def test_saying_what_would_be_done_does_nothing(held, monkeypatch):
    monkeypatch.setattr(plan, "FAN_IN", 3)
    brought(held)
    before = held.traces()
    found = process.compact(held.vault, "cohort", check=True)
    assert held.traces() == before
    done = process.compact(held.vault, "cohort")
    assert (done.parts_before, done.parts, done.groups, done.people) == (
        found.parts_before,
        found.parts,
        found.groups,
        found.people,
    )
    assert process.compact(held.vault, "cohort").groups == 0


def test_imports_stay_listed_with_the_part_that_they_are_in(joined):
    found = listed(joined)
    (one,) = [part for part in found if part.compacted]
    assert (one.people, one.source) == (6, None)
    imports = [part for part in found if not part.compacted]
    assert [(part.people, part.sites, part.stored_bytes, part.joined) for part in imports] == [(1, 2, 0, one.part)] * 6
    assert all(part.source for part in imports)
    (summary,) = datasets.list_all(joined.vault)
    assert (summary.parts, summary.subjects) == (1, 6)


def test_what_was_joined_stays_for_an_hour_and_goes_then(held, monkeypatch, tmp_path):
    monkeypatch.setattr(plan, "FAN_IN", 3)
    brought(held)
    first = objects(held)
    process.compact(held.vault, "cohort")
    assert first <= objects(held)
    report = doctor.examine(held.vault)
    assert report.ok
    assert {"orphans", "being_written", "lease_expired"}.isdisjoint(finding.code for finding in report.findings)
    clock = held.clock
    held.clock = lambda: clock() + timedelta(minutes=59)
    held.reopen()
    assert first <= objects(held)
    held.clock = lambda: clock() + timedelta(minutes=61)
    held.reopen()
    assert first.isdisjoint(objects(held))
    with held.vault.books.read() as tx:
        (part_id,) = tx.scalars(select(PartRow.part_id))
        assert tx.scalars(select(LeaseRow.prefix)).all() == []
    assert {name.split("/")[0] for name in objects(held)} == {part_id.hex()}
    assert doctor.examine(held.vault).ok


def test_an_erasure_deletes_at_once_what_was_joined_and_leaves_what_had_never_come(joined, tmp_path):
    vault = joined.vault
    with vault.books.read() as tx:
        (part_id,) = tx.scalars(select(PartRow.part_id))
    certificate = erasure.erase(vault, "P2")
    assert {name.split("/")[0] for name in objects(joined)} == {part_id.hex()}
    assert certificate.content["destroyed"]["alts_blanked"] == 1
    others = [name for name in NAMES if name != "P2"]
    other = never(tmp_path, others)
    assert calls(joined) == calls(other)
    other.vault.close()
    assert [part.joined is not None for part in listed(joined)].count(True) == 5
    assert doctor.examine(vault).ok
    assert verification.verify(vault, "cohort").damages == ()


def test_an_import_that_was_joined_can_be_removed(joined, tmp_path):
    target = next(part for part in listed(joined) if part.joined)
    gone = removal.remove(joined.vault, "cohort", part=target.part, reason="not this one")
    assert (gone.people, gone.bare, gone.whole, gone.parts) == (1, 1, False, (target.part,))
    other = never(tmp_path, NAMES[1:])
    assert calls(joined) == calls(other)
    other.vault.close()
    assert target.part not in {part.part for part in listed(joined)}
    assert doctor.examine(joined.vault).ok
    # the same file may come again
    assert joined.load(joined.folder / "P0.g.vcf", append=True).matched == 1


def test_the_last_import_of_a_compacted_part_takes_it_along(joined):
    for name in NAMES[1:]:
        erasure.erase(joined.vault, name)
    (left,) = [part for part in listed(joined) if part.joined]
    removed = removal.remove(joined.vault, "cohort", part=left.part, reason="all", accept=True)
    assert removed.whole
    assert datasets.list_all(joined.vault) == []
    assert objects(joined) == set()
    with joined.vault.books.read() as tx:
        assert tx.scalars(select(PersonalPartRow)).all() == []


def test_a_whole_compacted_part_can_be_removed(joined):
    (one,) = [part for part in listed(joined) if part.compacted]
    joined.load(joined.write("more.vcf", vcf("Z", "1 7 A G 0/1").data), append=True)
    assert removal.remove(joined.vault, "cohort", part=one.part, reason="all of them").people == 6
    assert {sample for sample, *_ in calls(joined)} == {"Z"}
    assert doctor.examine(joined.vault).ok


def test_the_same_file_is_known_again_and_another_is_compared(joined):
    again = joined.load(joined.folder / "P3.g.vcf", append=True)
    assert again.nothing_new
    other = joined.load(joined.write("p3.vcf", vcf("P3", "1 100 A G 0/1", "1 215 A C 1/1").data), append=True, accept=True)
    assert (other.already.same, other.already.different) == (1, 1)
    refused(joined, "calls_differ", joined.write("x.vcf", vcf("P3", "1 215 A C 1/1").data), append=True)


def test_calls_are_replaced(joined, tmp_path):
    new = gvcf("P1", block(1, 400), "1 401 A G,<NON_REF> 1/1 50", block(1, 50, contig="2"))
    narrow = joined.write("narrow.g.vcf", gvcf("P1", block(1, 400), "2 7 A G,<NON_REF> 1/1 50"))
    options = ImportOptions()
    with pytest.raises(InputError, match="have calls on 1,"):
        replacement.import_instead(joined.vault, [narrow], name="cohort", assembly="GRCh38", options=options, reason="r")
    file = joined.write("new.g.vcf", new)
    replacement.import_instead(joined.vault, [file], name="cohort", assembly="GRCh38", options=options, reason="again")
    other = never(tmp_path, [name for name in NAMES if name != "P1"])
    other.load(other.write("new.g.vcf", new), append=True)
    assert calls(joined) == calls(other)
    other.vault.close()
    assert [part.joined is not None for part in listed(joined)].count(True) == 5
    assert doctor.examine(joined.vault).ok


def test_a_contig_that_others_have_does_not_make_a_replacement_narrower(held):
    held.load(held.write("a.g.vcf", gvcf("A", "1 5 A G,<NON_REF> 0/1 50")))
    held.load(held.write("b.g.vcf", gvcf("B", block(1, 9), "2 5 A G,<NON_REF> 0/1 50")), append=True)
    process.compact(held.vault, "cohort")
    file = held.write("a2.g.vcf", gvcf("A", "1 6 A G,<NON_REF> 0/1 50"))
    report = replacement.import_instead(
        held.vault, [file], name="cohort", assembly="GRCh38", options=ImportOptions(), reason="again"
    )
    assert report.replaced == 1


def test_calls_are_moved_with_their_track_and_only_the_persons_own(joined):
    joined.load(joined.write("n.vcf", vcf("N", "2 900 A G 0/1").data), append=True)
    before = calls(joined)
    target = next(part for part in listed(joined) if part.joined)
    moved = moving.move(joined.vault, "cohort", "P0", "N", part=target.part, reason="swapped tubes")
    after = calls(joined)
    places = {key[1:] for key in before if key[0] == "P0"}
    assert all(after["N", *place] == before["P0", *place] for place in places if place[1] != 900)
    assert "P0" not in {key[0] for key in after}
    (own,) = [part for part in listed(joined) if part.part in moved.new_parts]
    assert own.sites == 2
    assert moving.move(joined.vault, "cohort", "P1", "P2", swap=True, reason="tubes").swapped
    swapped = calls(joined)
    assert all(swapped["P2", *place] == after["P1", *place] for place in {key[1:] for key in after if key[0] == "P1"})
    # the origin lists what was moved: it goes when its new person is erased
    erasure.erase(joined.vault, "N")
    assert not any(key[2] == 200 for key in calls(joined))
    assert doctor.examine(joined.vault).ok


def test_two_registrations_of_one_person_are_merged_as_if_they_had_not_been_joined(joined, tmp_path):
    other = never(tmp_path, NAMES)
    found = []
    for one in (joined, other):
        merging.merge(one.vault, "P1", "P4", reason="one person", accept=True)
        found.append(calls(one))
        assert doctor.examine(one.vault).ok
    other.vault.close()
    assert found[0] == found[1]
    assert {key[0] for key in found[0]} == {"P0", "P1", "P2", "P3", "P5"}


def test_people_who_were_moved_stay_apart(joined):
    joined.load(joined.write("n.vcf", vcf("N", "2 900 A G 0/1").data), append=True)
    moving.move(joined.vault, "cohort", "P0", "N", reason="swapped tubes")
    brought_more = [f"P{n}" for n in range(10, 19)]
    for name in brought_more:
        joined.load(joined.write(f"{name}.g.vcf", file_of(name)), append=True)
    process.compact(joined.vault, "cohort")
    with joined.vault.books.read() as tx:
        assert [row.subject_id for row in personal_parts.live(tx)] == [resolve(joined.vault, "N")] * 2


def test_verification_reads_tracks_too(joined):
    found = verification.verify(joined.vault, "cohort")
    assert (found.parts, found.blocks, found.damages) == (1, 6, ())
    name = next(name for name in objects(joined) if name.endswith(".tracks") and name in named(joined))
    path = joined.folder / "v" / "objects" / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert {damage.code for damage in verification.verify(joined.vault, "cohort").damages} == {"object_altered"}


def named(held: Held) -> set[str]:
    with held.vault.books.read() as tx:
        return {stored.name for stored in named_objects(tx)}


def test_samples_are_checked_as_before(held, monkeypatch):
    monkeypatch.setattr(plan, "FAN_IN", 3)
    rng = random.Random(5)
    snps = sorted(rng.sample(range(1000, 90_000), 400))
    alts = [rng.choice("CGT") for _ in snps]
    truth = {name: [rng.choice(["0/1", "1/1", "0/0"]) for _ in snps] for name in NAMES}
    truth["P5"] = truth["P2"]
    for nth, name in enumerate(NAMES):
        rows = [f"1 {pos} A {alt},<NON_REF> {gt} 50" for pos, alt, gt in zip(snps, alts, truth[name], strict=True) if gt != "0/0"]
        held.load(held.write(f"{name}.g.vcf", gvcf(name, *rows)), append=nth > 0)
    process.compact(held.vault, "cohort")
    found = sample_checks.check(held.vault, "cohort")
    assert len([s for s in found.suspicions if s.kind == "duplicate"]) == 1
    assert found.people == 6


def test_a_panel_has_blocks_over_it_and_reads_the_same(held, monkeypatch):
    monkeypatch.setattr(plan, "FAN_IN", 3)
    brought(held)
    vault, dataset = held.vault, datasets.by_name(held.vault, "cohort")
    loci = parse_loci(b"contig\tpos\tref\talt\n1\t100\tA\tG\n1\t205\tA\tC\n1\t60\tA\tT\n2\t40\tC\tT\n", name="loci")
    panel = panel_builder.create(vault, dataset, "pgx", loci)
    calls(held)

    def view():
        found = gate.view(vault, project="demo", dataset="cohort", panel="pgx")
        names = held.names("demo")
        order = sorted(range(len(found.pseudonyms)), key=lambda at: names[found.pseudonyms[at]])
        return found.sites.alleles.items(), found.sites.pos.tolist(), found.codes[:, order].tolist(), found.not_assayed

    before = view()
    process.compact(vault, "cohort")
    (row,) = parts.list_all(vault, dataset.dataset_id)
    assert panel_blocks.find(vault, row.part_id, panel.panel_id) is not None
    assert view() == before
    erasure.erase(vault, "P1")
    assert panel_blocks.find(vault, row.part_id, panel.panel_id) is not None
    assert doctor.examine(vault).ok


def test_consent_that_ends_with_older_data_goes_by_the_imports(joined):
    with joined.vault.books.read() as tx:
        held = members(joined.vault, tx, [datasets.by_name(joined.vault, "cohort").dataset_id])
        times = {row.subject_id: row.created for row in tx.scalars(select(PersonalPartRow))}
    assert dict(zip(held.subjects, held.data_at.tolist(), strict=True)) == times


def test_another_correction_at_work_is_left_alone(joined):
    for name in ("P7", "P8", "P9"):
        joined.load(joined.write(f"{name}.g.vcf", file_of(name)), append=True)
    with alone(joined.vault):
        with pytest.raises(UnavailableError, match="being carried out"):
            process.compact(joined.vault, "cohort")
        assert process.after_import(joined.vault, "cohort") is None
    assert process.after_import(joined.vault, "cohort").groups == 1
    assert process.after_import(joined.vault, "cohort") is None


def test_somebody_who_is_erased_meanwhile_is_not_in_it(held, monkeypatch):
    monkeypatch.setattr(plan, "FAN_IN", 3)
    brought(held)
    write = process.joining.write_joined

    def and_then(*args):
        written = write(*args)
        with held.vault.books.write() as tx:
            personal_parts.leave(tx, [resolve(held.vault, "P1")])
        return written

    monkeypatch.setattr(process.joining, "write_joined", and_then)
    before = held.traces()["objects"]
    with pytest.raises(UnavailableError, match="changed"):
        process.compact(held.vault, "cohort")
    assert held.traces()["objects"] == before
    with held.vault.books.read() as tx:
        assert tx.scalars(select(PartRow)).all() == []
        assert tx.scalars(select(JobRow.state)).all() == ["done"]
        assert tx.scalars(select(LeaseRow)).all() == []
    assert held.verified().open_intents == ()


def test_a_backup_has_what_the_books_name(joined, tmp_path):
    backup.backup(joined.vault, tmp_path / "copy")
    kept = (
        json.loads((tmp_path / "copy" / "manifest.json").read_text()) if (tmp_path / "copy" / "manifest.json").exists() else None
    )
    assert kept is None or kept
    erasure.erase(joined.vault, "P0")
    assert doctor.examine(joined.vault).ok


def test_compacted_parts_tell_whether_they_have_tracks(joined):
    joined.load(joined.write("a.vcf", vcf("A", "1 5 A G 0/1").data), append=True)
    joined.load(joined.write("b.vcf", vcf("B", "1 5 A G 1/1").data), append=True)
    process.compact(joined.vault, "cohort")
    rows = parts.list_all(joined.vault, datasets.by_name(joined.vault, "cohort").dataset_id)
    assert sorted(row.compacted for row in rows) == [compacted_parts.CALLS, compacted_parts.TRACKED]
