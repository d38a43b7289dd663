"""Structural variants through the whole vault: whatever imports comes out in VCF and BCF as bcftools reads both, and nothing of it is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.golden import run
from tests.support.held import Held
from tests.support.outside import tool

HEADER = "##fileformat=VCFv4.4\n" + "".join(
    f'##{kind}=<ID={name},Number={number},Type={of},Description="x">\n'
    for kind, name, number, of in (
        ("INFO", "END", "1", "Integer"), ("INFO", "SVTYPE", "1", "String"), ("INFO", "SVLEN", "A", "Integer"), ("FORMAT", "GT", "1", "String"),
    )
)  # fmt: skip
ROWS = [  # POS, ALT, INFO, and what INFO comes to
    (1000, "<DEL>", "SVTYPE=DEL;SVLEN=5000", "6000 DEL 5000"),
    (1000, "<DEL>", "SVTYPE=DEL;SVLEN=-9000", "10000 DEL -9000"),
    (1500, "<INS>", "SVTYPE=INS;SVLEN=320", ". INS 320"),
    (1600, "<CN0>,<CN2>", "SVTYPE=CNV;SVLEN=100,300", "1900 CNV 100,300"),
    (20000, "<DEL>", "SVTYPE=DEL;END=.;SVLEN=.", ". DEL ."),
    (20001, "<DEL>", "SVTYPE=DEL;END=19000", ". DEL ."),
    (20002, "N]chr1:135381059]", "SVTYPE=BND;END=321046", "321046 BND ."),
    (20003, "]chr1:135381059]N", "SVTYPE=BND;END=12", ". BND ."),
    (20004, "N.", "SVTYPE=BND", ". BND ."),
    (20005, ".N", "SVTYPE=BND", ". BND ."),
    (20006, "<INS:ME:ALU>", "SVTYPE=INS;END=20005", ". INS ."),
    (20007, "N[chr1:1000[", "SVTYPE=BND", ". BND ."),
]
FIELDS = r"%POS\t%ALT\t%INFO/END %INFO/SVTYPE %INFO/SVLEN\n"


def file_of(rows, samples, *, contig="chr1"):
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
    lines = [
        [contig, str(pos), ".", "N", alt, ".", "PASS", info, "GT", *["0/1" if "," not in alt else "1/2"] * len(samples)]
        for pos, alt, info, *_ in rows
    ]
    return HEADER + "".join("\t".join(line) + "\n" for line in [columns, *lines])


@pytest.fixture
def held(tmp_path: Path):
    tool("bcftools")
    held = Held.make(tmp_path)
    yield held
    held.vault.close()


def told(held: Held, fields: str = FIELDS, **asked) -> list[str]:
    """The records of a VCF extract, which are those of a BCF extract; both read, and by their indexes, without a warning."""
    texts = []
    for kind, name in (("vcf", "genotypes.vcf.gz"), ("bcf", "genotypes.bcf")):
        out = held.extract("demo", "cohort", out=f"{kind}{len(list(held.folder.iterdir()))}", file_format=kind, **asked) / name
        texts.append(run("bcftools", "query", "-f", fields, out))
        by_index = run("bcftools", "query", "-r", "chr1:1-30000", "-f", fields, out)
        assert by_index.splitlines() == texts[-1].splitlines()
    assert texts[0] == texts[1]
    return texts[0].splitlines()


def test_whatever_imports_comes_out_in_both_formats(held):
    held.load(held.write("sv.vcf", file_of(ROWS, ["A", "B"])))
    held.everyone_consents()
    held.project("demo")
    assert told(held) == [f"{pos}\t{alt}\t{shown}" for pos, alt, _, shown in ROWS]
    for region, positions in {
        "chr1:5500-5500": [1000, 1000],
        "chr1:9500-9600": [1000],
        "chr1:1850": [1000, 1000, 1600],
        "chr1:1000-1000": [1000, 1000, 20007],  # its mate
        "chr1:135381059": [20002, 20003],
        "chr1:300000": [20002],
    }.items():
        assert list(map(int, told(held, r"%POS\n", regions=[region]))) == positions


def test_position_zero_comes_out(held):  # htslib's own indexes cannot hold it
    rows = [(0, "<DUP>", "SVTYPE=DUP;END=15195"), (0, ".[chr8:70[", "SVTYPE=BND"), (1000, "<DEL>", "SVLEN=10")]
    held.load(held.write("telomere.vcf", file_of(rows, ["A", "B"])))
    held.everyone_consents()
    held.project("demo")
    vcf = held.extract("demo", "cohort", out="all") / "genotypes.vcf.gz"
    bcf = held.extract("demo", "cohort", out="bcf", file_format="bcf") / "genotypes.bcf"
    told = ["0 <DUP> 15195", "0 .[chr8:70[ .", "1000 <DEL> 1010"]
    for out in (vcf, bcf):
        assert run("bcftools", "query", "-f", r"%POS %ALT %INFO/END\n", out).splitlines() == told
    part = held.extract("demo", "cohort", out="part", regions=["chr1:900-9000"]) / "genotypes.vcf.gz"
    assert run("bcftools", "query", "-f", r"%POS %ALT %INFO/END\n", part).splitlines() == [told[0], told[2]]


def test_deletions_of_two_lengths_at_one_base_stay_two_and_the_same_is_one(held):
    other = [(20000, "<DEL>", "SVTYPE=DEL;END=21000"), (20000, "<INS>", "SVTYPE=INS;SVLEN=50")]
    held.load(held.write("1.vcf", file_of([(20000, "<DEL>", "END=21000;SVLEN=-1000"), (20000, "<INS>", "SVLEN=40")], ["A"])))
    held.load(held.write("2.vcf", file_of([*other, (20000, "<DEL>", "SVTYPE=DEL;END=29000")], ["B"])), append=True)
    held.everyone_consents()
    held.project("demo")
    out = held.extract("demo", "cohort", out="both") / "genotypes.vcf.gz"
    names = held.names("demo")
    order = [names[name] for name in run("bcftools", "query", "-l", out).splitlines()]
    rows = [line.split() for line in run("bcftools", "query", "-f", r"%ALT %INFO/END %INFO/SVLEN[ %GT]\n", out).splitlines()]
    found = [(alt, end, size, dict(zip(order, calls, strict=True))) for alt, end, size, *calls in rows]
    assert sorted(found, key=lambda line: line[:3]) == [
        ("<DEL>", "21000", "-1000", {"A": "0/1", "B": "0/1"}),
        ("<DEL>", "29000", ".", {"A": "./.", "B": "0/1"}),
        ("<INS>", ".", "40", {"A": "0/1", "B": "./."}),
        ("<INS>", ".", "50", {"A": "./.", "B": "0/1"}),
    ]
