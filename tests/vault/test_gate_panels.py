"""Panels through the gate: what they show, and that their own blocks change nothing but what is read."""

from __future__ import annotations

import json
import subprocess

import pytest
import zstandard
from sqlalchemy import update

from tests.support.gt_text import texts_of
from tests.support.held import Held
from tests.support.outside import extra, tool
from vault import gate
from vault.consent import recording
from vault.errors import InputError, IntegrityError
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import parse_loci
from vault.genotypes.store import part_reader
from vault.storage.book_tables import AssayedPlacesRow

HEAD = (
    "##fileformat=VCFv4.3\n"
    + "".join(f"##contig=<ID={c}>\n" for c in ("1", "2"))
    + '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
)
SAMPLES = ("a", "b", "c")
ROWS = [  # c withdraws: what only c carries must not show
    ("1", 100, "A", "C,G", "0/1 0/0 0/2"),
    ("1", 200, "A", "T", "0/0 0/0 0/1"),
    ("1", 300, "AT", "A", "0/0 ./. 0/1"),
    ("1", 400, "G", "C", "0/0 0/0 1/1"),
    ("1", 500, "G", "C", "0/1 0/0 0/0"),
    ("2", 50, "T", "C", "0/1 1/1 0/0"),
    ("2", 60, "T", "C,A", "0/0 0/0 1/2"),
]
LOCI = "contig\tpos\tref\talt\n1\t100\tA\tG\n1\t200\tA\tT\n1\t300\t\t\n1\t350\tC\tT\n2\t60\tT\tC\n"
EXPECTED = [  # G at 1:100 is listed; C at 2:60 is listed and nobody's, A is not listed and c's alone; nothing lists 1:300's ALT, so T of REF goes with it
    ("1", 100, "A,C,G", ["0/1", "0/0"]),
    ("1", 200, "A,T", ["0/0", "0/0"]),
    ("1", 300, "A", ["0/0", "./."]),
    ("2", 60, "T,C", ["0/0", "0/0"]),
]


def vcf(rows=ROWS, samples=SAMPLES):
    lines = [f"{c}\t{p}\t.\t{r}\t{a}\t.\tPASS\t.\tGT\t" + gts.replace(" ", "\t") for c, p, r, a, gts in rows]
    return HEAD + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(samples) + "\n" + "\n".join(lines) + "\n"


@pytest.fixture
def held(tmp_path):
    held = Held.make(tmp_path)
    yield held
    held.vault.close()


def prepare(held, path, assayed="all"):
    held.load(path, assayed=assayed)
    held.everyone_consents()
    recording.withdraw(held.vault, "sample:c")
    held.project("demo")


def make_panel(held, loci, name="p"):
    return panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), name, parse_loci(loci.encode(), name="p.tsv"))


def seen(held, panel="p", regions=()):
    """[(contig, pos, alleles, calls in the order of the samples' names)] and what was not assayed."""
    view = gate.view(held.vault, project="demo", dataset="cohort", panel=panel, regions=regions)
    people = held.names("demo")
    order = sorted(range(len(view.pseudonyms)), key=lambda at: people[view.pseudonyms[at]])
    rows = zip(
        view.sites.contig, view.sites.pos.tolist(), view.sites.alleles.items(), texts_of(view.codes, view.escapes), strict=True
    )
    return [(view.sites.contigs[c], p, a.decode(), [calls[at] for at in order]) for c, p, a, calls in rows], view.not_assayed


def test_a_panel_view_keeps_its_sites_and_listed_alts_and_nothing_of_who_is_not_released(held):
    prepare(held, held.write("c.vcf", vcf()))
    make_panel(held, LOCI)
    assert seen(held) == (EXPECTED, ("1:350",))


def test_a_locus_that_nobody_released_carries_shows_where_a_bed_file_says_that_it_was_assayed(held):
    bed = held.write("kit.bed", "\ufefftrack name=kit\nchr1\t150\t300\n2\t0\t59\n")
    prepare(held, held.write("c.vcf", vcf()), assayed=bed)
    make_panel(held, LOCI)
    # of 1:300 one base of REF was not assayed, and c alone carries it; G, which the locus at 1:100 lists, is c's alone as 2:60 is
    assert seen(held) == ([EXPECTED[1]], ("1:100", "1:300", "1:350", "2:60"))


def test_without_a_declaration_a_panel_is_the_same_as_without_the_one_who_is_not_released(held, tmp_path):
    prepare(held, held.write("c.vcf", vcf()), assayed=None)
    make_panel(held, LOCI)
    rows = [(c, p, r, a, " ".join(gts.split()[:2])) for c, p, r, a, gts in ROWS]
    variants = [row for row in rows if set("123456789") & set(row[4])]  # what a caller would have written of a and b alone
    (tmp_path / "without").mkdir()
    other = Held.make(tmp_path / "without")
    other.load(other.write("c.vcf", vcf(variants, ("a", "b"))))
    other.everyone_consents()
    other.project("demo")
    make_panel(other, LOCI)
    assert seen(held) == seen(other) == ([], ("1:100", "1:200", "1:300", "1:350", "2:60"))
    other.vault.close()


def test_regions_show_nothing_of_who_is_not_released(held):
    prepare(held, held.write("c.vcf", vcf()), assayed=None)
    view = gate.view(held.vault, project="demo", dataset="cohort")
    places = list(zip(view.sites.pos.tolist(), [alleles.decode() for alleles in view.sites.alleles.items()], strict=True))
    assert places == [(100, "A,C"), (500, "G,C"), (50, "T,C")]


@pytest.mark.parametrize(
    ("text", "code"), [("1\t5\n", "document_rejected"), ("", "document_rejected"), ("1\t5\t300000000\n", "assembly_mismatch")]
)
def test_a_declaration_that_cannot_be_is_refused(held, text, code):
    size = held.vault.trail.log.size()
    with pytest.raises(InputError) as refused:
        held.load(held.write("c.vcf", vcf()), assayed=held.write("kit.bed", text))
    assert refused.value.code == code
    assert [entry["outcome"] for entry in held.entries(size)] == ["failed"]


def test_a_list_that_was_edited_is_refused(held):
    prepare(held, held.write("c.vcf", vcf()), assayed=held.write("kit.bed", "1\t5\t6\n"))
    make_panel(held, LOCI)
    assert seen(held)
    with held.vault.books.unwatched.write() as tx:
        tx.execute(update(AssayedPlacesRow).values(body=zstandard.compress(b"1\t0\t999\n")))
    held.reopen()
    with pytest.raises(IntegrityError) as refused:
        seen(held)
    assert refused.value.code == "assayed_altered"


def test_an_interval_shows_what_released_people_carry(held):
    prepare(held, held.write("c.vcf", vcf()))
    make_panel(held, "1\t99\t400\n2\t49\t50\n")
    assert seen(held) == ([("1", 100, "A,C", ["0/1", "0/0"]), ("2", 50, "T,C", ["0/1", "1/1"])], ())


def test_blocks_of_the_panel_are_what_is_read_and_an_extract_of_them_says_the_same(held, monkeypatch):
    prepare(held, held.write("c.vcf", vcf()))
    make_panel(held, LOCI)
    read: list[int] = []
    true = part_reader.PartReader.read_and_count
    monkeypatch.setattr(
        part_reader.PartReader, "read_and_count", lambda self, *a, **k: (read.append(len(self._chunks)), true(self, *a, **k))[1]
    )
    with_blocks = seen(held)
    folder = held.extract("demo", panel="p")
    panel_builder.forget(held.vault, datasets.by_name(held.vault, "cohort"))
    assert seen(held) == with_blocks
    assert read == [1, 1, 2]  # chunks known to the reader: the build's one, or those of two contigs
    rows = subprocess.run(
        [tool("bcftools"), "query", "-f", "%CHROM\t%POS\t%REF\t%ALT\n", folder / "genotypes.vcf.gz"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert rows == ["1\t100\tA\tC,G", "1\t200\tA\tT", "1\t300\tA\t.", "2\t60\tT\tC"]


def test_the_log_tells_of_every_making(held):
    held.load(held.write("c.vcf", vcf()))
    make_panel(held, LOCI)
    acts = [(entry["act"], entry["outcome"]) for entry in held.entries() if entry["act"].startswith("panel")]
    assert acts == [("panel.create", "done"), ("panel.build", "intent"), ("panel.build", "done")]
    assert held.verified().ok


@pytest.mark.parametrize("kind", ["bcf", "pgen", "vcf.zst"])
def test_other_formats_give_the_same_view(held, kind):
    path = held.write("c.vcf", vcf())
    if kind == "bcf":
        subprocess.run([tool("bcftools"), "view", "-Ob", "-o", held.folder / "c.bcf", path], check=True)
        path = held.folder / "c.bcf"
    elif kind == "pgen":
        extra("pgenlib")
        subprocess.run(
            [tool("plink2"), "--vcf", path, "--make-pgen", "--out", held.folder / "c"], check=True, capture_output=True
        )
        path = held.folder / "c.pgen"
    else:
        import zstandard  # noqa: PLC0415 - here only

        path = held.write("c.vcf.zst", zstandard.compress(path.read_bytes()))
    prepare(held, path)
    make_panel(held, LOCI)
    assert seen(held) == (EXPECTED, ("1:350",))


@pytest.mark.parametrize("regions", [("1:490-510",), ("1:500",), ("1:200-510",), ("1",)])
def test_a_panel_and_regions_are_their_union_each_by_its_own_rules(held, regions):
    """Rows that a locus of the panel names are the panel's; the others are the regions', and show what released people carry."""
    prepare(held, held.write("c.vcf", vcf()))
    make_panel(held, LOCI)
    of_panel, not_assayed = seen(held)
    of_regions, _ = seen(held, panel=None, regions=regions)
    both, still_not_assayed = seen(held, regions=regions)
    named = {(contig, pos) for contig, pos, *_ in of_panel}
    assert both == sorted([*of_panel, *(row for row in of_regions if row[:2] not in named)])
    assert still_not_assayed == not_assayed == ("1:350",)
    assert ("1", 500, "G,C", ["0/1", "0/0"]) in both
    assert ("1", 400) not in {row[:2] for row in both}  # c's alone, and in no panel


def test_a_request_for_both_says_so_wherever_it_is_described(held):
    prepare(held, held.write("c.vcf", vcf()))
    make_panel(held, LOCI)
    out = held.extract("demo", panel="p", regions=("1:490-510",))
    assert "panel p, version 1, 1:490-510" in (out / "README.txt").read_text()
    loci = json.loads((out / "manifest.json").read_text())["manifest"]["loci"]
    assert loci == {"genes": [], "panel": "p", "panel_version": "1", "regions": ["1:490-510"]}
    assert gate.accesses.releases.list_all(held.vault)[0].n_sites == 5
