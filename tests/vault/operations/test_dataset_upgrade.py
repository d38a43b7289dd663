"""Upgrade of datasets: one-person parts become their people's own, and nobody sees a difference but whoever kept a copy of the vault."""

from __future__ import annotations

import gzip
import itertools
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support import vaults
from tests.support.crashing import steps_survived
from tests.support.earlier_parts import shared_tables
from tests.support.gvcf_text import block, gvcf
from tests.support.held import Held
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import calls
from vault import gate
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import GenovaultError
from vault.genotypes.catalog import datasets, panel_builder, part_list, parts, personal_parts
from vault.genotypes.loci import parse_loci
from vault.operations import dataset_upgrade, doctor
from vault.operations.corrections import moving, verification
from vault.operations.erasure import process

ONE = vcf("A", "1 100 A G 0|1", "1 200 C T,G 1|2", "2 50 G T 1|1", "2 60 G T 0|0")
OTHER = vcf("B", "1 100 A G 1|1", "X 7 G GATTACA 0|1")
TWO = vcf("C D", "1 100 A G 0|0 0|1", "1 300 A T 0|1 0|0", "1 400 A T,C 1|2 0|2")
LOCI = b"contig\tpos\tref\talt\n1\t100\tA\tG\n1\t300\tA\tT\n1\t400\tA\tT\n2\t60\tG\tT\n2\t61\tG\tT\n"


@pytest.fixture
def held(tmp_path) -> Held:
    return Held.make(tmp_path)


def loaded(held: Held) -> Held:
    """Two one-person parts of before around one of two people."""
    with shared_tables():
        held.load(held.write("one.vcf", ONE.data), assayed="all")
        held.load(held.write("two.vcf", TWO.data), append=True)
        held.load(held.write("other.vcf", OTHER.data), append=True)
    return held


def shapes(held: Held) -> list[tuple[str, int]]:
    """Kind and place of each part."""
    dataset_id = datasets.by_name(held.vault, "cohort").dataset_id
    shared = [("shared", row.ordinal) for row in parts.list_all(held.vault, dataset_id)]
    with held.vault.books.read() as tx:
        own = [("own", row.ordinal) for row in personal_parts.live(tx, dataset_id)]
    return sorted(shared + own, key=lambda one: one[1])


def clean(held: Held) -> None:
    assert doctor.examine(held.vault).ok
    assert not verification.verify(held.vault, "cohort").damages
    assert held.verified().open_intents == ()


def warned(held: Held) -> list[tuple[str, str]]:
    return [(f.message, f.remedy) for f in doctor.examine(held.vault).findings if f.code == "dataset_upgrade"]


def test_parts_of_one_person_become_their_own_in_the_same_places(held):
    loaded(held)
    listed = part_list.list_parts(held.vault, datasets.by_name(held.vault, "cohort"))
    done = dataset_upgrade.upgrade(held.vault, "cohort")
    assert (done.own_parts, done.people, done.needed) == (2, 2, True)
    assert shapes(held) == [("own", 0), ("shared", 1), ("own", 2)]
    now = part_list.list_parts(held.vault, datasets.by_name(held.vault, "cohort"))
    said = [(p.imported, p.people, p.sites, p.source) for p in listed]
    assert [(p.imported, p.people, p.sites, p.source) for p in now] == said
    assert parts.contigs(held.vault, datasets.by_name(held.vault, "cohort").dataset_id) == ["1", "2", "X"]
    clean(held)
    assert not dataset_upgrade.upgrade(held.vault, "cohort").needed


def test_keys_and_objects_of_the_old_parts_are_gone(held):
    loaded(held)
    dataset_id = datasets.by_name(held.vault, "cohort").dataset_id
    old = [row for row in parts.list_all(held.vault, dataset_id) if row.ordinal != 1]
    before = held.traces()["wrapped_key"]
    dataset_upgrade.upgrade(held.vault, "cohort")
    for row in old:
        assert not list(held.vault.objects.list(row.part_id.hex()))
        assert held.vault.keys.newest_version(KeyPurpose.SITE_TABLE, row.part_id) == 0
    assert before - held.traces()["wrapped_key"] == (3 + 2) + (3 + 2)  # a directory, lengths, counts and two tables each
    assert len([name for name, _ in held.vault.objects.list("") if name.endswith(".personal")]) == 2


def test_doctor_warns_until_then_and_a_check_changes_nothing(held):
    loaded(held)
    assert warned(held) == [
        (
            "dataset cohort has 2 imports of one person each, whose site tables are under keys of the vault",
            "genovault dataset upgrade cohort",
        )
    ]
    before = held.traces()
    told = dataset_upgrade.check(held.vault, "cohort")
    assert (told.own_parts, told.people) == (2, 2)
    assert held.traces() == before
    dataset_upgrade.upgrade(held.vault, "cohort")
    assert warned(held) == []
    assert not dataset_upgrade.check(held.vault, "cohort").needed


def test_the_log_names_whose_genotypes_are_opened_before_and_says_what_became_of_them(held):
    loaded(held)
    size = held.vault.trail.log.size()
    dataset_upgrade.upgrade(held.vault, "cohort")
    entries = held.entries(size)
    told = [(e["act"], e["outcome"], e.get("subj", {}).get("n")) for e in entries]
    assert told == [
        ("dataset.upgrade", "intent", 2),
        ("dataset.upgrade", "done", None),
        ("dataset.remove", "intent", 2),
        ("dataset.remove", "done", None),
    ]
    assert entries[1]["refers"] == entries[0]["id"]
    assert len(held.vault.trail.detail(size)["parts"]) == 2


def test_an_upgraded_person_is_erased_with_one_object(held):
    loaded(held)
    dataset_upgrade.upgrade(held.vault, "cohort")
    certificate = process.erase(held.vault, "A")
    assert certificate.content["destroyed"]["personal_parts"] == 1
    assert certificate.content["destroyed"]["parts"] == 0
    assert {who for who, *_ in calls(held)} == {"B", "C", "D"}
    clean(held)


def test_who_is_left_alone_in_a_part_of_several_gets_one_too(held):
    loaded(held)
    panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "pgx", parse_loci(LOCI, name="loci"))
    process.erase(held.vault, "D")
    before, panel = calls(held), paneled(held)
    assert dataset_upgrade.upgrade(held.vault, "cohort").own_parts == 3
    assert [kind for kind, _ in shapes(held)] == ["own", "own", "own"]
    assert (calls(held), paneled(held)) == (before, panel)
    clean(held)


def test_a_part_whose_calls_were_moved_to_another_waits_until_that_person_is_gone(held):
    loaded(held)
    held.load(held.write("e.vcf", vcf("E", "3 10 A G 0/1").data), append=True)
    moving.move(held.vault, "cohort", "D", "E", reason="the wrong tube")
    assert dataset_upgrade.upgrade(held.vault, "cohort").own_parts == 2
    assert [kind for kind, _ in shapes(held)].count("shared") == 1
    process.erase(held.vault, "E")
    assert dataset_upgrade.upgrade(held.vault, "cohort").own_parts == 1
    clean(held)


def test_tracks_and_variants_of_several_files_still_tell_of_one_another(held):
    with shared_tables():
        held.load(held.write("one.vcf", vcf("A", "1 100 ACGT A 0|1").data))
        held.load(held.write("two.vcf", vcf("C D", "1 102 G T 0|0 0|1", "1 200 G T 0|0 0|1").data), append=True)
    held.load(held.write("a.g.vcf", gvcf("A", block(1, 300))), append=True)
    before = calls(held)
    assert before["A", "1", 200, "G,T"] == [0, 0]
    assert before["A", "1", 102, "G,T"] == [-1, -1]  # under the deletion of the other file
    dataset_upgrade.upgrade(held.vault, "cohort")
    assert calls(held) == before


@pytest.mark.parametrize("wrong", ["dataset_unknown", "erasure_running"])
def test_what_is_refused_changes_nothing(held, wrong):
    loaded(held)
    before, size = held.traces(), held.vault.trail.log.size()
    name, lock = ("cohort", process.alone(held.vault)) if wrong == "erasure_running" else ("another", nullcontext())
    with lock, pytest.raises(GenovaultError) as caught:
        dataset_upgrade.upgrade(held.vault, name)
    assert caught.value.code == wrong
    assert held.traces() == before
    assert [(e["act"], e["reasons"]) for e in held.entries(size)] == [("dataset.upgrade", {wrong: 1})]


def paneled(held: Held) -> dict[str, object]:
    """What a view of the panel shows."""
    return shown(held, panel="pgx")


def shown(held: Held, **asked: object) -> dict[str, object]:
    """All that a view says, people in the order of their pseudonyms."""
    view = gate.view(held.vault, project="demo", dataset="cohort", **asked)
    sites, order = view.sites, np.argsort(view.pseudonyms)
    return {
        **{name: getattr(sites, name).items() for name in ("alleles", "ids", "filters", "info")},
        "people": sorted(view.pseudonyms),
        "contigs": [sites.contigs[number] for number in sites.contig.tolist()],
        "pos": sites.pos.tolist(),
        "genotypes": view.genotypes[:, order].tolist(),
        "phased": view.phased[:, order].tolist(),
        "not_assayed": view.not_assayed,
    }


numbers = itertools.count()


def extracted(held: Held) -> list[tuple[str, ...]]:
    """The columns of an extract's records, people in the order of their pseudonyms; none where nobody carries anything."""
    if not len(gate.view(held.vault, project="demo", dataset="cohort").sites):
        return []
    text = gzip.decompress((held.extract("demo", out=f"out{next(numbers)}") / "genotypes.vcf.gz").read_bytes()).decode()
    columns = list(zip(*(line.split("\t") for line in text.splitlines() if not line.startswith("##")), strict=True))
    return columns[:9] + sorted(columns[9:])


places = st.tuples(
    st.sampled_from(["1", "2", "X"]),
    st.sampled_from([100, 101, 104, 200]),
    st.sampled_from([("A", "G"), ("A", "G,T"), ("ACGT", "A"), ("A", "<DEL>")]),
)


@st.composite
def files(draw: st.DrawFn, sample: str) -> bytes:
    """A file of one person, in order."""
    rows = draw(st.lists(places, min_size=1, max_size=6, unique_by=lambda place: place[:2]))
    lines = []
    for contig, pos, (ref, alts) in sorted(rows):
        gt = draw(st.sampled_from(["0|0", "0/1", "1|1", "./.", "1", "0/1/1", *(["1|2"] if "," in alts else [])]))
        lines.append(f"{contig} {pos} {ref} {alts} {gt}")
    return vcf(sample, *lines).data


LATER = LOCI + b"1\t101\tA\tT\n2\t200\tA\tG,T\nX\t104\tA\tT\nX\t100\tACGT\tA\n"


DRAWN = {"deadline": None, "suppress_health_check": list(HealthCheck), "phases": (Phase.generate,)}


@settings(max_examples=2, **DRAWN)
@given(data=st.data(), samples=st.lists(st.sampled_from("ABC"), min_size=1, max_size=4))
def test_views_extracts_and_panels_are_the_same_before_and_after(data, samples):
    compared(data, samples)


@pytest.mark.long
@settings(max_examples=30, **DRAWN)
@given(data=st.data(), samples=st.lists(st.sampled_from("ABC"), min_size=1, max_size=5))
def test_views_extracts_and_panels_are_the_same_before_and_after_at_length(data, samples):
    compared(data, samples)


def compared(data: st.DataObject, samples: list[str]) -> None:
    folder = Path(tempfile.mkdtemp())
    held = Held.make(folder)
    try:
        with shared_tables():
            for at, sample in enumerate(samples):
                path = held.write(f"{at}.vcf", data.draw(files(sample)))
                assayed = data.draw(st.sampled_from([None, "all"]))
                held.load(path, append=at > 0, accept=True, assayed=assayed)
            if data.draw(st.booleans()):
                held.load(held.write("two.vcf", TWO.data), append=True, accept=True)
                process.erase(held.vault, "D")
        held.everyone_consents()
        held.project("demo")
        panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "pgx", parse_loci(LATER, name="loci"))
        contigs = parts.contigs(held.vault, datasets.by_name(held.vault, "cohort").dataset_id)
        asked = [{}, {"panel": "pgx"}, {"regions": [f"{contig}:100-102" for contig in contigs]}]
        before = [shown(held, **one) for one in asked], extracted(held)
        assert dataset_upgrade.upgrade(held.vault, "cohort").needed
        assert ([shown(held, **one) for one in asked], extracted(held)) == before
        assert all(kind == "own" for kind, _ in shapes(held))
        clean(held)
    finally:
        held.vault.close()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory) -> Path:
    """The small template vault, with a dataset of three one-person parts of before."""
    folder = vaults.copy(tmp_path_factory.mktemp("earlier"), whole=False)
    with vaults.opened(folder) as s, shared_tables():
        vaults.bring(s, vcf("S03", "20 100 A G 0|1", "20 200 A GATTACA 0|1"), "rare")
        vaults.bring(s, vcf("S05", "20 100 A G 1|1"), "rare", append=True)
        vaults.bring(s, vcf("S03", "21 100 A G 0|1"), "rare", append=True)
        vaults.panel(s, "few", "rare", b"20\t99\t100\n")
    return folder


def upgraded(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        dataset_upgrade.upgrade(s, "rare")


@pytest.mark.parametrize("every", [61, pytest.param(13, marks=pytest.mark.long)])
def test_a_kill_at_any_step_leaves_each_part_as_it_was_or_as_meant(earlier, tmp_path, every):
    with vaults.opened(earlier) as s:
        before = vaults.read_all(s, "rare")
    ends = set()

    def settled(folder) -> None:
        with vaults.opened(folder) as s:
            report = doctor.examine(s)
            assert report.ok, report.findings
            codes = {f.code for f in report.findings}
            assert not codes & {"job_unfinished", "orphans"}
            left = len(parts.list_all(s, datasets.by_name(s, "rare").dataset_id))
            assert ("dataset_upgrade" in codes) == (left > 0)
            ends.add(left)
            now = vaults.read_all(s, "rare")
            assert now.codes.tolist() == before.codes.tolist()
            assert now.sites.alleles.items() == before.sites.alleles.items()
            assert not verification.verify(s, "rare").damages
            dataset_upgrade.upgrade(s, "rare")
            assert not parts.list_all(s, datasets.by_name(s, "rare").dataset_id)
            assert vaults.verified(s).ok

    assert steps_survived(earlier, tmp_path, upgraded, settled, every=every) > 5
    assert ends == {0, 3}
