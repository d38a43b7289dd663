"""What is read is the same however imports came, compacted or not, half, or again (docs/design/genotypes.md §16)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter

import pytest

from policies.loci import Interval
from tests.support.gvcf_text import block, gvcf
from tests.support.held import Held
from tests.support.vcf_text import vcf
from vault.crypto.key_wrapping import KeyPurpose
from vault.genotypes.catalog import dataset_reader, dataset_rules, datasets
from vault.genotypes.loci import parse_loci
from vault.genotypes.panel_loci import LocusIndex
from vault.genotypes.store.part_merge import Calls
from vault.genotypes.store.selections import PanelLoci, Selection
from vault.ids import SubjectId
from vault.operations import doctor
from vault.operations.compaction import plan, process
from vault.operations.compaction.candidates import candidates
from vault.subjects.references import resolve

LENGTH = 90
LOCI = b"contig\tpos\tref\talt\n1\t33\tA\tG\n1\t30\tA\tG,C\nX\t12\tA\tT\n1\t45\t\t\n1\t50\tAA\tA\n"
SELECTIONS = (
    Selection(),
    Selection(regions=(Interval.from_positions("1", 20, 60), Interval.from_positions("X", 1, 40))),
    Selection(panel=PanelLoci(b"p" * 16, LocusIndex(parse_loci(LOCI, name="loci")))),
)


def person(rng: random.Random, name: str, contigs: Sequence[str] = ("1", "X")) -> bytes:
    """A gVCF with what makes lines hard: several ALTs, records of one place, long and symbolic ALTs, one copy, filtered and bad blocks."""
    rows = []
    for contig in contigs:
        at, haploid = 1, contig == "X" and rng.random() < 0.5
        while at < LENGTH:
            kind = rng.choice(["block", "block", "snv", "snv", "two", "deletion", "insertion", "gap"])
            one, het = ("1", "1") if haploid else (rng.choice(["0/1", "1|1", "0|1"]), "1/2")
            if kind == "block":
                end = min(LENGTH, at + rng.randint(0, 25))
                rows.append(block(at, end, rng.choice([5, 20, 29, 60]), contig=contig, gt="0" if haploid else "0/0"))
                at = end + 1
                continue
            if kind == "snv":
                alts, gt = rng.choice([("G", one), ("C", one), ("G,T", het), ("T,G", het)])
                rows.append(f"{contig} {at} A {alts if not haploid else alts[0]},<NON_REF> {gt} 50")
            elif kind == "two":
                rows.append(f"{contig} {at} A AG,<NON_REF> {one} 50")
                rows.append(f"{contig} {at} AA A,<NON_REF> {one} 50")
            elif kind == "deletion":
                size = rng.choice([2, 3, 55])
                rows.append(f"{contig} {at} {'A' * size} A,<NON_REF> {one} 50")
                at += size - 1
            elif kind == "insertion":
                rows.append(f"{contig} {at} A {rng.choice(['AC', 'A' + 'C' * 60, '<INS>'])},<NON_REF> {one} 50")
            at += rng.randint(1, 6)
    return gvcf(name, *rows)


def plain(rng: random.Random, *names: str) -> bytes:
    """A VCF without blocks: split records, listed ALTs that nobody has, names and filters, and calls that no code holds."""
    rows = []
    for pos in sorted(rng.sample(range(1, LENGTH), 12)):
        calls = lambda *some: " ".join(rng.choice(some) for _ in names)  # noqa: E731
        rows.append(f"1 {pos} A G {calls('0/1', '0/0', './.')}")
        if rng.random() < 0.5:
            rows.append(f"1 {pos} A {rng.choice(['T', 'C,T', 'AC'])} {calls('0/1', '0/0', '1|1')}")
        if rng.random() < 0.2:
            rows.append(f"1 {pos} AA A {calls('0/1/1', '0/1')}")
    return vcf(" ".join(names), *rows).data


def read(vault, people: Sequence[SubjectId], selection: Selection):
    """Every line of a read with each person's call and the allele counts, contig by contig: in which order these come is not compared."""
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, people)
    dataset = datasets.by_name(vault, "cohort")
    whole = said(dataset_reader.read(vault, dataset, selection, people, keys))
    choice = dataset_reader.GenotypeReader(vault, dataset, people, keys).choose(selection)
    windows = [window.read() for window in choice.windows(7)]
    assert sorted(whole, key=itemgetter(0)) == sorted((line for calls, _ in windows for line in said(calls)), key=itemgetter(0))
    counts = [counts.counts[a:b].tolist() for _, counts in windows for a, b in pairwise(counts.offsets.tolist())]
    return sorted(zip(whole, counts, strict=True), key=lambda line: line[0][0])


def said(calls: Calls):
    """(contig, position, texts, each person's call) of each line."""
    sites, escapes = calls.sites, calls.escapes
    rows: list[list[object]] = calls.codes.tolist()
    for at, (a, b) in enumerate(pairwise(escapes.offset.tolist())):
        rows[escapes.site[at]][escapes.sample[at]] = (tuple(escapes.alleles[a:b]), tuple(escapes.phased[a:b]))
    texts = zip(sites.alleles.items(), sites.ids.items(), sites.filters.items(), sites.info.items(), strict=True)
    places = zip(sites.contig.tolist(), sites.pos.tolist(), strict=True)
    return [(sites.contigs[c], pos, text, row) for (c, pos), text, row in zip(places, texts, rows, strict=True)]


def everything(vault, names: Sequence[str], rng: random.Random, *, some: int = 2):
    """What several choices of people read of several selections: everybody, some at random, and as many alone."""
    everyone = [resolve(vault, name) for name in names]
    chosen = [everyone, *(rng.sample(everyone, rng.randint(1, len(everyone))) for _ in range(some))]
    chosen += [[one] for one in rng.sample(everyone, some)]
    return [read(vault, people, selection) for people in chosen for selection in SELECTIONS]


@pytest.fixture
def by_threes(monkeypatch):
    """Three parts of a class make one of the next, so that few people make several classes."""
    monkeypatch.setattr(plan, "FAN_IN", 3)


def filled(held, seed: int) -> list[str]:
    """A dataset of people who came each alone, twice, without blocks and together; their names."""
    rng = random.Random(seed)
    names = [f"P{n}" for n in range(9)]
    files = {name: person(rng, name) for name in names}
    files["twice-1"], files["twice-2"] = person(rng, "W", ["1"]), person(rng, "W", ["X"])
    files["split"], files["more"] = plain(rng, "S"), plain(rng, "V")
    files["pair"] = plain(rng, "A", "P0")
    order = list(files)
    rng.shuffle(order)
    for nth, name in enumerate(order):
        held.load(held.write(f"{name}.vcf", files[name]), append=nth > 0, accept=True)
    return [*names, "W", "S", "V", "A"]


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 7))])
def test_every_read_is_the_same_at_every_step_of_joining(held, by_threes, seed):
    names = filled(held, seed)
    vault, dataset = held.vault, datasets.by_name(held.vault, "cohort")
    before = everything(vault, names, random.Random(seed))
    steps = 0
    while groups := plan.compaction_plan(*candidates(vault, dataset), whole=True):
        process._join(vault, dataset, groups[0])
        steps += 1
        if steps < 3 or len(groups) == 1:
            assert everything(vault, names, random.Random(seed)) == before
    assert steps > 3
    assert doctor.examine(vault).ok


def test_the_quality_that_is_asked_for_may_be_raised_afterwards(held, by_threes, tmp_path):
    (tmp_path / "other").mkdir()
    other = Held.make(tmp_path / "other")
    names = filled(held, 20)
    filled(other, 20)
    process.compact(held.vault, "cohort")
    found = []
    for one in (held, other):
        first = everything(one.vault, names, random.Random(1))
        dataset_rules.raise_quality(one.vault, "cohort", 30)
        found.append((first, everything(one.vault, names, random.Random(1))))
    other.vault.close()
    assert found[0] == found[1]
    assert found[0][0] != found[0][1]
