"""Moving calls: they are the other person's, nobody else's change, and an erasure reaches what they list."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import vaults
from tests.support.crashing import steps_survived
from tests.support.held import Held
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import calls
from tests.vault.operations.corrections.test_replacement import listed
from vault.errors import GenovaultError
from vault.genotypes.catalog import datasets, part_list
from vault.genotypes.import_plan import ImportOptions
from vault.operations import doctor
from vault.operations.corrections import moving, removal, replacement, verification
from vault.operations.erasure import process

FILE = vcf(
    "A B C D",
    "22 100 A G 0/1 0|0 1/1 0/0",
    "22 200 C T 1|1 0/0 0/0 0/0",
    "22 300 G C,T 1/2 0/1 0/0 0/0",
    "22 400 G C 0/0 0/0 0/1 0/0",
    "X 500 G A 1 0/1 0/0 ./.",
)


@pytest.fixture
def held(tmp_path) -> Held:
    held = Held.make(tmp_path)
    held.load(held.write("a.vcf", FILE.data))
    return held


def of(found: dict, who: str) -> dict:
    return {key[1:]: call for key, call in found.items() if key[0] == who}


def clean(held) -> None:
    assert doctor.examine(held.vault).ok
    assert not verification.verify(held.vault, "cohort").damages
    assert held.verified().open_intents == ()


def test_two_peoples_calls_are_exchanged_and_nobody_elses(held):
    before = calls(held)
    moved = moving.move(held.vault, "cohort", "A", "B", swap=True, reason="tubes were swapped")
    assert moved.swapped
    after = calls(held)
    assert of(after, "A") == of(before, "B")
    assert of(after, "B") == of(before, "A")
    assert (of(after, "C"), of(after, "D")) == (of(before, "C"), of(before, "D"))
    clean(held)


def test_one_persons_calls_go_to_somebody_who_has_none(held):
    before = calls(held)
    held.load(held.write("e.vcf", vcf("E", "21 10 A G 0/1").data), append=True)
    held.everyone_consents()
    moving.move(held.vault, "cohort", "A", "E", reason="the wrong record number")
    after = calls(held)
    assert {k: v for k, v in of(after, "E").items() if k[0] != "21"} == of(before, "A")
    assert not of(after, "A")
    assert of(after, "C") == {**of(before, "C"), **{k: v for k, v in of(after, "C").items() if k[0] == "21"}}
    clean(held)


def test_the_new_parts_say_where_the_calls_were(held):
    moving.move(held.vault, "cohort", "A", "B", swap=True, reason="x")
    old, *new = part_list.list_parts(held.vault, datasets.by_name(held.vault, "cohort"))
    assert (old.people, [one.people for one in new]) == (2, [1, 1])
    assert {one.source[:17] for one in new} == {f"part:{old.part}"}


def test_an_erasure_reaches_the_tables_that_the_calls_were_in(held):
    moving.move(held.vault, "cohort", "A", "B", swap=True, reason="x")
    assert {(200, b"C,T"), (300, b"G,C,T")} <= listed(held.vault)
    process.erase(held.vault, "B")
    left = {(pos, alt) for pos, alleles in listed(held.vault) for alt in alleles.split(b",")[1:] if alt}
    assert left == {(100, b"G"), (400, b"C")}
    clean(held)


def left_of(held) -> set[tuple[int, bytes]]:
    """(position, ALT) of everything that a table of shared parts lists."""
    return {(pos, alt) for pos, alleles in listed(held.vault) for alt in alleles.split(b",")[1:] if alt}


EVERYTHING = {(100, b"G"), (200, b"T"), (300, b"C"), (300, b"T"), (400, b"C"), (500, b"A")}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("end", ["replace", "remove"])
def test_calls_that_were_moved_and_have_ended_leave_nothing_listed_where_they_were(held, again, end):
    held.load(held.write("e.vcf", vcf("E F", "21 10 A G 0/1 0/0").data), append=True)
    moving.move(held.vault, "cohort", "A", "E", reason="the wrong record number")
    if again:
        moving.move(held.vault, "cohort", "E", "F", reason="the wrong one again", part=moved_part(held))
    assert left_of(held) >= EVERYTHING  # the others' reference calls stand beside them
    before = calls(held)
    if end == "replace":
        file = held.write("new.vcf", vcf("F" if again else "E", *(f"{contig} 9 A G 0/1" for contig in ("21", "22", "X"))).data)
        replacement.import_instead(
            held.vault, [file], name="cohort", assembly="GRCh38", options=ImportOptions(), reason="sequenced again"
        )
    else:
        removal.remove(held.vault, "cohort", part=moved_part(held), reason="nobody's")
    assert left_of(held) & EVERYTHING == {(100, b"G"), (300, b"C"), (400, b"C"), (500, b"A")}
    after = calls(held)
    assert {key: call for key, call in of(after, "C").items() if key in of(before, "C") and max(call) > 0} == {
        key: call for key, call in of(before, "C").items() if max(call) > 0
    }
    clean(held)


def moved_part(held) -> str:
    """The newest part whose calls were moved there."""
    found = part_list.list_parts(held.vault, datasets.by_name(held.vault, "cohort"))
    return [one.part for one in found if (one.source or "").startswith("part:")][-1]


def refused(held, code: str, *args, **options) -> None:
    before, size = held.traces(), held.vault.trail.log.size()
    with pytest.raises(GenovaultError) as caught:
        moving.move(held.vault, *args, **{"reason": "x", **options})
    assert caught.value.code == code
    assert held.traces() == before
    *opened, entry = held.entries(size)
    assert (entry["act"], entry["reasons"]) == ("dataset.move", {code: 1})
    assert [(e["outcome"], e["id"]) for e in opened] == ([("intent", entry["refers"])] if code == "calls_differ" else [])


def test_what_is_refused_changes_nothing(held):
    refused(held, "calls_differ", "cohort", "A", "B")
    refused(held, "same_person", "cohort", "A", "sample:A")
    refused(held, "reason_missing", "cohort", "A", "B", swap=True, reason="")
    refused(held, "part_unknown", "cohort", "A", "B", swap=True, part="00000000")
    held.load(held.write("e.vcf", vcf("E", "21 10 A G 0/1").data), name="other")
    refused(held, "no_calls", "other", "A", "E")


def test_ones_own_part_is_moved_as_it_is(held):
    own = held.load(held.write("e.vcf", vcf("E", "21 10 A G 0/1", "21 20 A G ./.").data), append=True)
    assert own.new == 1
    moving.move(held.vault, "cohort", "E", "D", reason="the wrong record number")
    found = calls(held)
    assert found[("D", "21", 10, "A,G")] == [0, 1]
    assert not [key for key in found if key[0] == "E"]
    assert [p.people for p in part_list.list_parts(held.vault, datasets.by_name(held.vault, "cohort"))] == [4, 1]
    clean(held)


def test_the_log_says_who_why_and_where(held):
    size = held.vault.trail.log.size()
    moving.move(held.vault, "cohort", "A", "B", swap=True, reason=" tubes ")
    intent, entry = held.entries(size)[:2]
    assert (intent["act"], intent["outcome"], intent["subj"]) == ("dataset.move", "intent", entry["subj"])
    assert (entry["act"], entry["outcome"], entry["actor"]["id"]) == ("dataset.move", "done", "ann")
    assert entry["refers"] == intent["id"]
    detail = held.vault.trail.detail(size + 1)
    assert (detail["reason"], detail["swapped"]) == ("tubes", True)


def exchanged(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        moving.move(s, "cohort", "S02", "S03", swap=True, reason="x")


@pytest.mark.parametrize("every", [47, pytest.param(11, marks=pytest.mark.long)])
def test_a_kill_at_any_step_leaves_it_done_or_not(tmp_path, every):
    with vaults.opened(vaults.template(whole=False)) as s:
        before = sorted(vaults.read_all(s).codes.T.tolist())

    def settled(folder) -> None:
        with vaults.opened(folder) as s:
            report = doctor.examine(s)
            assert report.ok, report.findings
            assert not [f for f in report.findings if f.code in ("job_unfinished", "orphans")]
            assert sorted(vaults.read_all(s).codes.T.tolist()) == before
            assert not verification.verify(s, "cohort").damages

    assert steps_survived(vaults.template(whole=False), tmp_path, exchanged, settled, every=every) > 5
