"""gVCFs through the door: calls are kept, what was assayed reads as reference at others' sites, and nothing else does."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from sqlalchemy import select

from policies.loci import Interval
from tests.support.gvcf_text import block, drawn, gvcf, truth
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import calls, refused
from vault import gate
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import InputError
from vault.genotypes.catalog import dataset_rules, datasets, panel_builder, parts
from vault.genotypes.catalog.dataset_reader import GenotypeReader
from vault.genotypes.codec.allele_counts import count_calls
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.loci import parse_loci
from vault.genotypes.store.selections import PanelLoci, Selection
from vault.ids import SubjectId
from vault.operations.erasure import process
from vault.storage.book_tables import SubjectRow

A = gvcf("A", block(1, 99), "1 100 A G,<NON_REF> 0/1 50", block(101, 149), block(150, 199, 25), block(200, 250, 12))
B = gvcf(
    "B",
    block(1, 160),
    "1 161 C T,<NON_REF> 1/1 50",
    "1 162 ACGT A,<NON_REF> 0/1 50",
    block(166, 300),
    block(5, 9, contig="2", gt="0"),
)


def both(held, **options):
    return held.load(held.write("a.g.vcf", A), held.write("b.g.vcf", B), **options)


def test_each_file_is_its_own_persons_and_reads_as_reference_where_it_was_assayed(held):
    report = both(held)
    assert (report.new, report.sites) == (2, 3)
    assert (report.gvcf.blocks, report.gvcf.low_gq, report.gvcf.kept) == (7, 1, 3)
    assert held.traces()["personal_part"] == 2
    assert len([entry for entry in held.entries() if entry["act"] == "dataset.import"]) == 1
    found = calls(held)
    assert found["A", "1", 100, "A,G"] == [0, 1]
    assert found["B", "1", 100, "A,G"] == [0, 0]
    assert found["A", "1", 161, "C,T"] == [0, 0]
    assert found["A", "1", 162, "ACGT,A"] == [0, 0]
    assert found["B", "1", 162, "ACGT,A"] == [0, 1]


def test_a_person_who_came_earlier_without_blocks_stays_without_a_call(held):
    held.load(held.write("v.vcf", vcf("C", "1 120 A G 0|1", "1 163 C T 1|1", "1 210 A G 1|1", "2 7 A G 0|1").data))
    both(held, append=True)
    found = calls(held)
    assert [found[who, "1", 120, "A,G"] for who in "ABC"] == [[0, 0], [0, 0], [0, 1]]
    assert [found[who, "1", 210, "A,G"] for who in "ABC"] == [[-1, -1], [0, 0], [1, 1]]  # A: GQ 12
    assert found["B", "1", 163, "C,T"] == [-1, -1]  # under B's own deletion
    assert found["C", "1", 100, "A,G"] == [-1, -1]
    assert found["B", "2", 7, "A,G"] == [0, -2]  # one copy
    assert found["A", "2", 7, "A,G"] == [-1, -1]


def test_a_variant_of_one_part_holds_against_the_track_of_another(held):
    held.load(held.write("c.vcf", vcf("C D", "1 52 A G 0|1 0|0", "1 60 A G 0|1 0|0", "2 9 A G 0|1 0|0").data))
    held.load(held.write("a1.g.vcf", gvcf("A", block(1, 99))), append=True)
    held.load(held.write("a2.vcf", vcf("A", "1 50 AAAA A 0|1", "1 59 AA A 0|0").data), append=True)
    held.load(held.write("a3.g.vcf", gvcf("A", block(1, 99, contig="2"))), append=True)
    found = calls(held)
    assert found["A", "1", 52, "A,G"] == [-1, -1]
    assert found["A", "1", 60, "A,G"] == [0, 0]  # the other part's record is of the reference
    assert found["A", "2", 9, "A,G"] == [0, 0]
    same_in_windows(held)


def test_the_quality_can_be_raised_later(held):
    held.load(held.write("v.vcf", vcf("C", "1 155 A G 0|1").data))
    both(held, append=True)
    assert calls(held)["A", "1", 155, "A,G"] == [0, 0]
    raised = dataset_rules.raise_quality(held.vault, "cohort", 30)
    assert raised == AssayRule(min_gq=30)
    assert calls(held)["A", "1", 155, "A,G"] == [-1, -1]
    assert calls(held)["B", "1", 155, "A,G"] == [0, 0]
    (entry,) = [entry for entry in held.entries() if entry["act"] == "dataset.rule"]
    assert entry["outcome"] == "done"
    for wrong, code in ((20, "rule_lower"), (40, "rule_between")):
        with pytest.raises(InputError) as caught:
            dataset_rules.raise_quality(held.vault, "cohort", wrong)
        assert caught.value.code == code
    held.load(held.write("d.g.vcf", gvcf("D", block(1, 99), block(100, 300, 25))), append=True)
    assert calls(held)["D", "1", 155, "A,G"] == [-1, -1]


def test_the_rule_is_fixed_at_the_first_gvcf(held):
    both(held, rule=AssayRule(min_gq=10))
    c = held.write("c.g.vcf", gvcf("C", block(1, 300)))
    refused(held, "rule_differs", c, append=True, rule=AssayRule())
    held.load(c, append=True)
    assert dataset_rules.current(held.vault, datasets.by_name(held.vault, "cohort").dataset_id) == AssayRule(min_gq=10)


def test_what_is_refused(held):
    a, v = held.write("a.g.vcf", A), held.write("v.vcf", vcf("C", "1 120 A G 0|1").data)
    refused(held, "files_mixed", a, v)
    refused(held, "subject_twice", a, held.write("again.g.vcf", A))
    refused(held, "rule_without_blocks", v, rule=AssayRule())
    refused(held, "no_sites", held.write("e.g.vcf", gvcf("E", block(1, 99, 5))))
    held.load(v)
    with pytest.raises(InputError) as caught:
        dataset_rules.raise_quality(held.vault, "cohort", 30)
    assert caught.value.code == "rule_unset"


def test_a_panel_answers_every_exact_locus_for_whoever_has_a_track(held):
    both(held)
    held.load(held.write("v.vcf", vcf("C", "1 130 A G 0|1").data), append=True)
    held.everyone_consents()
    dataset = datasets.by_name(held.vault, "cohort")
    loci = parse_loci(
        b"contig\tpos\tref\talt\n1\t100\tA\tG\n1\t140\tC\tT\n1\t140\tC\tA\n1\t210\tG\tT\n9\t5\tA\tG\n1\t131\t\t\n", name="loci"
    )
    panel_builder.create(held.vault, dataset, "p", loci)
    held.project("demo")
    view = gate.view(held.vault, project="demo", dataset="cohort", panel="p")
    names = held.names("demo")
    who = [names[pseudonym] for pseudonym in view.pseudonyms]
    shown = {
        (int(pos), alleles.decode()): dict(zip(who, row.tolist(), strict=True))
        for pos, alleles, row in zip(view.sites.pos, view.sites.alleles.items(), view.genotypes, strict=True)
    }
    assert shown[100, "A,G"] == {"A": [0, 1], "B": [0, 0], "C": [-1, -1]}
    assert shown[140, "C,T,A"] == {"A": [0, 0], "B": [0, 0], "C": [-1, -1]}
    assert shown[210, "G,T"] == {"A": [-1, -1], "B": [0, 0], "C": [-1, -1]}
    assert set(shown) == {(100, "A,G"), (140, "C,T,A"), (210, "G,T")}
    assert view.not_assayed == ("9:5", "1:131")


def test_a_reader_of_a_panel_asks_for_contigs_once(held, monkeypatch):
    both(held)
    dataset = datasets.by_name(held.vault, "cohort")
    panel = panel_builder.create(held.vault, dataset, "p", parse_loci(b"contig\tpos\tref\talt\n1\t140\tC\tT\n", name="loci"))
    with held.vault.books.read() as tx:
        people = [SubjectId(subject) for subject in tx.scalars(select(SubjectRow.subject_id))]
    asked, original = [], parts.contigs
    monkeypatch.setattr(parts, "contigs", lambda *given: asked.append(given) or original(*given))
    loci = PanelLoci(panel.panel_id, panel.index)
    reader = GenotypeReader(held.vault, dataset, people, held.vault.keys.open_many(KeyPurpose.GENOTYPE, people))
    reader.derive(loci)
    assert len(asked) == 1
    assert [reader.read(Selection(panel=loci)).codes.tolist() for _ in range(2)] == 2 * [[[12, 12]]]
    assert len(asked) == 1


def test_erased_is_as_never_imported(held):
    both(held)
    process.erase(held.vault, "B")
    found = calls(held)
    assert found == {("A", "1", 100, "A,G"): [0, 1]}


@pytest.mark.parametrize("seed", range(4))
def test_views_windows_and_counts_agree_with_an_array_of_bases(held, seed):
    rng = random.Random(seed)
    people = {name: drawn(rng, name) for name in "ABCDE"}
    order = list(people)
    rng.shuffle(order)
    for at, name in enumerate(order):
        held.load(held.write(f"{name}.g.vcf", people[name][0]), append=at > 0)
    sites = sorted({site for _, own, _ in people.values() for site in own})
    at_least = rng.choice([20, 30])
    if at_least == 30:
        dataset_rules.raise_quality(held.vault, "cohort", 30)
    found = calls(held)
    for name, (_, own, confident) in people.items():
        for site in sites:
            rows = [
                (key, call)
                for key, call in found.items()
                if key[0] == name and key[2] == site[0] and key[3].split(",")[0] == site[1] and site[2] in key[3].split(",")[1:]
            ]
            ((key, call),) = rows
            number = key[3].split(",").index(site[2])
            expected = truth(own, confident, site, at_least)
            if expected is not None:
                assert sorted(str(a).replace(str(number), "1") for a in call) == list(expected), (name, site, call)
            elif not any((p, r) == site[:2] for p, r, _ in own):
                assert call == [-1, -1], (name, site, call)
    same_in_windows(held)


def same_in_windows(held) -> None:
    vault = held.vault
    with vault.books.read() as tx:
        people = [SubjectId(s) for s in tx.scalars(select(SubjectRow.subject_id))]
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, people)
    reader = GenotypeReader(vault, datasets.by_name(vault, "cohort"), people, keys)
    whole = reader.read(Selection())
    counted = count_calls(whole.sites, whole.codes, whole.escapes)
    for size in (1, 3, 1000):
        windows = [(window.read(), window.count()) for window in reader.choose(Selection()).windows(size)]
        codes = np.concatenate([calls.codes for (calls, _), _ in windows])
        assert np.array_equal(codes, whole.codes)
        for total in (
            np.concatenate([counts.counts for (_, counts), _ in windows]),
            np.concatenate([counts.counts for _, (_, counts) in windows]),
        ):
            assert np.array_equal(total, counted.counts)
    assert np.array_equal(reader.count(Selection())[1].counts, counted.counts)
    for first, last in itertools.combinations((1, 40, 41, 77, 120), 2):
        part = reader.read(Selection(regions=(Interval.from_positions("1", first, last),)))
        rows = (
            [whole.sites.pos.tolist().index(pos) for pos in part.sites.pos.tolist()]
            if len(set(whole.sites.pos.tolist())) == len(whole.sites)
            else None
        )
        if rows is not None:
            assert np.array_equal(part.codes, whole.codes[rows])


def test_two_who_carry_one_indel_at_other_ends_of_a_repeat_are_one_record_by_a_fasta(held):
    """Without, each reads 0/0 where the other carries it."""
    bases = "GGGGG" + "CA" * 20 + "T" * 55
    text = f">1\n{bases}\n"
    reference = held.write("ref.fa", text)
    held.write("ref.fa.fai", f"1\t{len(bases)}\t3\t{len(bases)}\t{len(bases) + 1}\n")

    def carrying(sample: str, pos: int) -> bytes:
        ref = bases[pos - 1 : pos + 2]
        record = f"1 {pos} {ref} {ref[0]},<NON_REF> 0/1 60"
        return gvcf(sample, block(1, pos - 1), record, block(pos + 3, 100))

    files = [held.write(f"{name}.g.vcf", carrying(name, pos)) for name, pos in (("A", 5), ("B", 43))]
    plain = held.load(*files, name="plain", assembly="x", unlisted_assembly=True)
    assert (plain.indels.sites, plain.indels.apart) == (2, 1)
    found = calls(held, "plain", "plain")
    assert found["A", "1", 43, "CAT,C" if bases[42] == "C" else f"{bases[42:45]},{bases[42]}"] == [0, 0]
    again = [held.write(f"{name}2.g.vcf", carrying(f"{name}2", pos)) for name, pos in (("A", 5), ("B", 43))]
    moved = held.load(*again, name="moved", assembly="x", unlisted_assembly=True, fasta=reference)
    assert moved.indels.apart == 0
    assert {key[1:]: call for key, call in calls(held, "moved", "moved").items()} == {("1", 5, "GCA,G"): [0, 1]}
