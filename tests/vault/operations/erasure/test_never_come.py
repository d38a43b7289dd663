"""Erased, or withdrawn, is as never imported: what a person's leaving leaves of the others' records, by views of everything and of a panel."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from policies.loci import Interval
from tests.support.gt_text import texts_of
from tests.support.held import Held
from tests.support.vcf_text import Record, SmallVcf, vcf
from vault import gate
from vault.consent import recording
from vault.errors import RefusedError
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import Locus
from vault.operations.erasure import process

LOCI = [Locus(Interval.from_positions("22", 1000, 1000), "A", ("G",)), Locus(Interval.from_positions("22", 2000, 2000))]

CASES = {
    "an ALT of two": [
        vcf("A B", "22 1000 A G,T 0/1 0/2", "22 2000 C G,T 0/1 0/2"),
        vcf("C D", "22 1000 A G,T 0/0 0/2", "22 2000 C G,T 0/1 0/2"),
    ],
    "the only ALT": [vcf("A B", "22 1000 A G 0/1 0/0"), vcf("C", "22 1000 A G 0/1")],
    "a superseded call": [
        vcf("A B", "22 1000 A G,T 0/1 0/2"),
        vcf("C D", "22 1000 A G,T 0/0 0/2"),
        vcf("B", "22 1000 A G,T 2/2"),
    ],
    "a declared locus": [vcf("A B C", "22 1000 A G 0/1 0/0 0/0")],
    "a declared locus of three alleles": [vcf("A B C", "22 1000 A G,T 0/1 0/0 0/2")],
    "a SNV beside an insertion": [
        vcf("A B", "22 1000 A G 0/1 0/0", "22 1000 A AT 0/0 0/1"),
        vcf("C D", "22 1000 A G 0/1 0/0", "22 1000 A AT 0/0 ./."),
    ],
    "another ALT than the panel's": [vcf("A B", "22 1000 A C,T 0/2 0/1"), vcf("C D", "22 1000 A C,T 0/1 0/0")],
    "lower case and fewer ALTs": [vcf("A B", "22 1000 a t,g 0/1 0/2"), vcf("C D", "22 1000 A G 0/1 0/0")],
    "a deletion": [vcf("A B", "22 1000 AC A,AT 0/1 0/2"), vcf("C", "22 1000 AC A 0/1")],
    "a part of one": [vcf("A", "22 1000 A G 0/1", "22 3000 A G 1/1"), vcf("B C", "22 1000 A G,T 0/0 0/2")],
}

OFTEN = (
    "an ALT of two",
    "the only ALT",
    "a superseded call",
    "a declared locus of three alleles",
    "another ALT than the panel's",
)


def held_of(folder: Path, batches, *, assayed=None, loci=LOCI) -> Held:
    """A vault with these batches, a project and, where places are declared, a panel."""
    folder.mkdir()
    held = Held.make(folder)
    for number, batch in enumerate(batches):
        held.load(held.write(f"{number}.vcf", batch.data), append=number > 0, assayed=assayed, accept=True)
    panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "loci", loci)
    held.everyone_consents()
    held.project("demo")
    return held


def without(batches, person):
    """The files without one person's column."""
    for batch in batches:
        kept = [at for at, sample in enumerate(batch.samples) if sample != person]
        records = tuple(replace(record, gts=tuple(record.gts[at] for at in kept)) for record in batch.records)
        if kept:
            yield replace(batch, samples=tuple(batch.samples[at] for at in kept), records=records)


def seen(held: Held):
    """What a researcher sees: each view's lines, with calls by sample name, and the loci that were not assayed."""
    shown = []
    for panel in (None, "loci"):
        try:
            view = gate.view(held.vault, project="demo", dataset="cohort", panel=panel)
        except RefusedError as error:
            shown.append(error.code)
            continue
        names = [held.names("demo")[name] for name in view.pseudonyms]
        calls = [dict(zip(names, row, strict=True)) for row in texts_of(view.codes, view.escapes)]
        told = zip(view.sites.pos.tolist(), view.sites.alleles.items(), view.sites.filters.items(), calls, strict=True)
        shown.append((sorted(told, key=lambda line: line[:2]), view.not_assayed))
    return shown


@pytest.mark.parametrize("case", [pytest.param(case, marks=() if case in OFTEN else pytest.mark.long) for case in CASES])
def test_the_others_records_are_as_if_the_person_had_never_come(tmp_path, case):
    assayed = "all" if "declared" in case else None
    left = held_of(tmp_path / "left", CASES[case], assayed=assayed)
    never = seen(held_of(tmp_path / "never", without(CASES[case], "A"), assayed=assayed))
    recording.withdraw(left.vault, "A")
    assert seen(left) == never
    process.erase(left.vault, "sample:A")
    assert seen(left) == never


def test_a_declared_locus_of_whom_only_the_erased_carried_stays(tmp_path):
    held = held_of(tmp_path / "v", CASES["a declared locus"], assayed="all")
    process.erase(held.vault, "sample:A")
    _, (lines, missing) = seen(held)
    assert lines == [(1000, b"A,G", b"PASS", {"B": "0/0", "C": "0/0"})]
    assert missing == ("22:2000",)


@st.composite
def batches(draw):
    """Two or three files over the same places, people in one of them or in several."""
    found = []
    for _ in range(draw(st.integers(2, 3))):
        samples = draw(st.lists(st.sampled_from("ABCDE"), unique=True, min_size=1, max_size=3))
        records = []
        for pos, ref in itertools.product((1000, 2000), ("A", "AC")):
            alts = draw(st.lists(st.sampled_from(["G", "T", "AT", "ACC"]), unique=True, min_size=1, max_size=3))
            call = st.tuples(*[st.integers(0, len(alts))] * 2).map("{0[0]}|{0[1]}".format)
            if draw(st.booleans()):
                calls = tuple(draw(st.just("./.") | st.just("0|0") | call) for _ in samples)
                records.append(Record("22", pos, ref, tuple(alts), calls))
        if records:
            found.append(SmallVcf(tuple(samples), tuple(records)))
    return found


@pytest.mark.long
@settings(deadline=None, max_examples=25, phases=[Phase.generate])
@given(batches(), st.sampled_from("ABCDE"))
def test_whoever_leaves_whatever_was_imported(tmp_path_factory, files, person):
    rest = list(without(files, person))
    if rest and person in {sample for batch in files for sample in batch.samples}:
        folder = tmp_path_factory.mktemp("v")
        options = {"assayed": "all", "loci": LOCI[1:]}  # an exact locus may take a blanked ALT for its own
        left = held_of(folder / "left", files, **options)
        never = seen(held_of(folder / "never", rest, **options))
        process.erase(left.vault, f"sample:{person}")
        assert seen(left) == never
