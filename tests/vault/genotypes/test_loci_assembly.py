"""A list of loci is held against the dataset's assembly before its positions are believed."""

import pytest

from vault.errors import InputError
from vault.genotypes.loci import parse_loci
from vault.genotypes.loci_assembly import require_on, require_same_assembly

HEADER = "##fileformat=VCFv4.2\n{}\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t100\t.\tA\tC\n"


def check(*lines: str, assembly: str = "GRCh38", stated: str | None = None) -> None:
    require_same_assembly(HEADER.format("\n".join(lines)).encode(), name="p.vcf", assembly=assembly, stated=stated)


@pytest.mark.parametrize(
    "lines",
    [
        ["##contig=<ID=chr1,length=248956422>"],
        ["##contig=<ID=chr1,assembly=GRCh38.p14>"],
        ['##contig=<ID=1,length=248956422,assembly="hg38">'],
        ["##contig=<ID=chr1,assembly=our-own>"],
        ["##contig=<ID=chr1,length=100>"],
    ],
)
def test_the_same_assembly_by_another_name(lines):
    check(*lines)
    check(*lines, stated="hg38.p13")


@pytest.mark.parametrize("line", ["##contig=<ID=chr1,length=249250621>", "##contig=<ID=chr1,assembly=hg19>"])
def test_a_header_of_another_assembly(line):
    with pytest.raises(InputError, match=r"p\.vcf is of GRCh37, the dataset of GRCh38") as refused:
        check(line)
    assert refused.value.code == "assembly_mismatch"


@pytest.mark.parametrize(("stated", "code"), [("GRCh37.p13", "assembly_mismatch"), ("hg20", "assembly_unknown")])
def test_what_is_stated_is_held_against_it(stated, code):
    with pytest.raises(InputError) as refused:
        check(stated=stated)
    assert refused.value.code == code


@pytest.mark.parametrize("line", ["22\t50818468\t50818470\n", "23\t5\t6\n", "NC_000022.10\t5\t6\n"])
def test_loci_that_the_assembly_has_not(line):
    with pytest.raises(InputError) as refused:
        require_on("GRCh38", parse_loci(line.encode(), name="x"), name="the loci")
    assert refused.value.code == "assembly_mismatch"


def test_loci_that_it_has():
    require_on("GRCh38", parse_loci(b"22\t5\t50818468\nchrUn_X\t5\t6\nNC_000022.11\t5\t6\n", name="x"), name="the loci")
