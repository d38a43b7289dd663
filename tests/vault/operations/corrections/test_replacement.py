"""Replacement: people have the new calls only, others lose nothing, and what the old calls alone carried is gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import vaults
from tests.support.crashing import steps_survived
from tests.support.held import Held
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import calls, refused
from vault.errors import InputError
from vault.genotypes.catalog import datasets, part_list, parts
from vault.genotypes.import_plan import ImportOptions
from vault.operations import doctor
from vault.operations.corrections import replacement, verification

OLD = vcf("A B C", "22 100 A G 0/1 0/0 1/1", "22 200 C T 1/1 0/0 0/0", "22 300 G C,T 1/2 0/1 0/0")
NEW = vcf("A", "22 100 A G 0/1", "22 250 C T 0/1")


@pytest.fixture
def held(tmp_path) -> Held:
    held = Held.make(tmp_path)
    held.load(held.write("old.vcf", OLD.data))
    return held


def put(held, data: bytes, *, reason="called again", **options):
    options.setdefault("unknown", "register")
    path = held.write("new.vcf", data)
    given = ImportOptions(**options)
    return replacement.import_instead(held.vault, [path], name="cohort", assembly="GRCh38", options=given, reason=reason)


def listed(s):
    """Alleles of every site that the tables of the dataset list."""
    found = set()
    for row in parts.list_all(s, datasets.by_name(s, "cohort").dataset_id):
        opened = parts.open_part(s, row, keep=False)
        parts.learn(s, opened, range(row.n_chunks))
        for ordinal in range(row.n_chunks):
            sites = opened.reader.sites(ordinal)
            found |= {(int(p), a) for p, a in zip(sites.pos, sites.alleles.items(), strict=True) if a}
    return found


def test_the_new_calls_alone_are_read(held):
    report = put(held, NEW.data)
    assert (report.replaced, report.matched, report.already.same) == (1, 1, 1)
    found = calls(held)
    mine = {key[2:]: call for key, call in found.items() if key[0] == "A"}
    assert mine[(100, "A,G")] == [0, 1]
    assert mine[(250, "C,T")] == [0, 1]
    assert all(set(call) <= {-1, -2} for (pos, _), call in mine.items() if pos == 300)
    others = {key: call for key, call in found.items() if key[0] in "BC"}
    assert others[("C", "22", 100, "A,G")] == [1, 1]
    assert not [key for key in found if key[2] == 200]  # A alone carried it


def test_what_the_old_calls_alone_carried_is_blanked(held):
    put(held, NEW.data)
    assert not {(200, b"C,T"), (300, b"G,C,T")} & listed(held.vault)
    assert doctor.examine(held.vault).ok
    assert not verification.verify(held.vault, "cohort").damages
    assert held.verified().open_intents == ()


def test_a_part_without_anybody_goes(held):
    put(held, vcf("A B C", "22 100 A G 0/1 0/0 1/1").data)
    assert [p.people for p in part_list.list_parts(held.vault, datasets.by_name(held.vault, "cohort"))] == [3]
    assert listed(held.vault) == {(100, b"A,G")}
    assert doctor.examine(held.vault).ok


def test_a_file_that_was_imported_before_takes_the_place_of_what_came_after_it(held):
    held.load(held.write("first.vcf", NEW.data), append=True)
    held.load(held.write("wrong.vcf", vcf("A", "22 100 A G 0/1", "22 270 C T 1/1").data), append=True, accept=True)
    report = put(held, NEW.data)
    assert (report.replaced, report.nothing_new) == (1, False)
    assert {key[2] for key, call in calls(held).items() if key[0] == "A" and max(call) > 0} == {100, 250}
    assert not verification.verify(held.vault, "cohort").damages


def test_the_log_says_why_and_which_parts(held):
    (old,) = part_list.list_parts(held.vault, datasets.by_name(held.vault, "cohort"))
    size = held.vault.trail.log.size()
    put(held, NEW.data, reason=" new caller ")
    intent, done = held.entries(size)[:2]
    assert (intent["act"], intent["outcome"], intent["subj"]["n"]) == ("dataset.import", "intent", 1)
    assert (done["act"], done["outcome"], done["refers"]) == ("dataset.import", "done", intent["id"])
    detail = held.vault.trail.detail(size + 1)
    assert detail["reason"] == "new caller"
    assert [one[:12] for one in detail["replaced"]] == [old.part]


def test_a_narrower_file_or_none_of_a_reason_is_refused(held):
    more = held.write("more.vcf", vcf("A", "21 100 A G 0/1").data)
    held.load(more, append=True)
    narrow = held.write("narrow.vcf", NEW.data)
    error = refused(held, "replace_narrower", narrow, replace="x")
    assert "on 21" in error.message
    with pytest.raises(InputError) as caught:
        put(held, NEW.data, reason=" ")
    assert caught.value.code == "reason_missing"


def act_at(s, index: int) -> str:
    (entry,) = list(s.trail.log.entries(index))[:1]
    return json.loads(entry.leaf)["act"]


def replaced(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        path = Path(folder).parent / "new.vcf"
        path.write_bytes(vcf("S02 S03", *(f"22 {1000 + 10 * n} A G 0/1 0/1" for n in range(4))).data)
        given = ImportOptions(accept=True)
        replacement.import_instead(s, [path], name="cohort", assembly="GRCh38", options=given, reason="x")


@pytest.mark.parametrize("every", [47, pytest.param(11, marks=pytest.mark.long)])
def test_a_kill_at_any_step_leaves_the_old_calls_or_the_new(tmp_path, every):
    with vaults.opened(vaults.template(whole=False)) as s:
        before = sorted(vaults.read_all(s).codes.T.tolist())
    ends = set()

    def settled(folder) -> None:
        with vaults.opened(folder) as s:
            report = doctor.examine(s)
            assert report.ok, report.findings
            assert not [f for f in report.findings if f.code in ("job_unfinished", "orphans")]
            n_parts = len(parts.list_all(s, datasets.by_name(s, "cohort").dataset_id))
            ends.add(n_parts)
            if n_parts == 1:
                assert sorted(vaults.read_all(s).codes.T.tolist()) == before
            assert not verification.verify(s, "cohort").damages
            assert {act_at(s, index) for index in vaults.verified(s).open_intents} <= {"dataset.import", "panel.build"}

    assert steps_survived(vaults.template(whole=False), tmp_path, replaced, settled, every=every) > 5
    assert ends <= {1, 2}
    assert 2 in ends
