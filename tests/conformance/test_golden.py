"""Golden genotypes: a real file goes in, everyone consents, and every genotype comes out as bcftools reads it in the source."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import golden
from tests.support.golden import compare, middle, round_trip, run
from tests.support.outside import shared, tool

MEDIUM = "data/1-real/beacon2_1000G_2504/test_1000G.vcf.gz"

LARGE = [  # file, assembly, samples, and the genotypes that at least must have been compared
    ("data/1-real/1000G_p3_chr22_2504/1kg-phaseIII-v5a.20130502.genotypes.chr22-16-16.5mb.vcf.gz", "GRCh37", 2504, 15_000_000),
    ("data/1-real/1000G_chr20_shapeit4/unphased.bcf", "GRCh37", 203, 3_600_000),
    ("data/1-real/hapmap_r22_CEU/hapmap_r22.chr20.CEU.hg19.recode.bcf", "GRCh37", 60, 2_000_000),
    ("data/1-real/chrX_ploidy_26/chrX-unphased/small.chrX.unphased.vcf.gz", "GRCh37", 26, 800_000),
    ("data/2-pgx/1kgp_GRCh38_3202/GRCh38/CYP4F2.vcf.gz", "GRCh38", 3202, 4_000_000),
    ("data/2-pgx/1kgp_GRCh38_3202/GRCh38/ABCG2.vcf.gz", "GRCh38", 3202, 5_000_000),
]


def judge(folder: Path, source: Path, capsys: pytest.CaptureFixture[str], *, assembly: str, samples: int, genotypes: int) -> None:
    tool("bcftools")
    held, judged, seconds = round_trip(folder, source, assembly=assembly, regions=[middle(source)], panel=True)
    with capsys.disabled():
        took = "  ".join(f"{what} {number:.1f} s" for what, number in seconds.items())
        lines = [f"  {what:<28} {result}\n" for what, result in judged.items()]
        sys.stdout.write(f"\n{source.name}\n{''.join(lines)}  {took}\n")
    for what, result in judged.items():
        assert result.different == {}, what
        assert result.subjects == samples
        assert result.sites > 0
    assert judged["all"].genotypes >= genotypes
    assert held.verified().ok
    held.vault.close()


def test_every_genotype_of_a_1000_genomes_file_comes_out_as_it_went_in(tmp_path, capsys):
    judge(tmp_path, shared(MEDIUM), capsys, assembly="GRCh37", samples=2504, genotypes=2_600_000)


@pytest.mark.long
@pytest.mark.parametrize("case", LARGE, ids=lambda case: Path(case[0]).name)
def test_every_genotype_of_the_largest_files_comes_out_as_it_went_in(tmp_path, capsys, case):
    file, assembly, samples, genotypes = case
    judge(tmp_path, shared(file), capsys, assembly=assembly, samples=samples, genotypes=genotypes)


def test_the_comparison_notices_a_wrong_call_a_lost_site_and_swapped_people(tmp_path):
    tool("bcftools")
    header = '##fileformat=VCFv4.3\n##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n##contig=<ID=1>\n'
    header += '##INFO=<ID=AC,Number=A,Type=Integer,Description="c">\n##INFO=<ID=AN,Number=1,Type=Integer,Description="n">\n'
    header += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\n"
    rows = ["1\t5\t.\tA\tC\t.\t.\tAC=1;AN=4\tGT\t0|1\t0|0\n", "1\t9\t.\tA\tG\t.\t.\tAC=2;AN=4\tGT\t1|0\t0|1\n"]
    source = tmp_path / "source.vcf"
    source.write_text(header + "".join(rows))
    same = {"A": "A", "B": "B"}

    def different(body: str, names: dict[str, str] = same) -> dict[str, int]:
        (tmp_path / "ours.vcf").write_text(header + body)
        return compare(tmp_path / "ours.vcf", source, names).different

    assert different("".join(rows)) == {}
    assert different("".join(rows).replace("1|0", "0|1")) == {"genotype": 1}
    assert different("".join(rows).replace("AC=2", "AC=1")) == {"AC": 1}
    assert different(rows[0])["site"] == 1
    assert different("".join(rows), {"A": "B", "B": "A"}) == {"genotype": 4}


def test_the_comparison_runs_as_a_program(tmp_path, capsys):
    tool("bcftools")
    source = tmp_path / "tiny.vcf"
    columns = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT A B".replace(" ", "\t")
    record = "1 100 . A C . PASS . GT 0/1 1/1".replace(" ", "\t")
    meta = '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n##contig=<ID=1>'
    source.write_text(f"##fileformat=VCFv4.3\n{meta}\n{columns}\n{record}\n")
    assert golden.main(["GRCh38", str(source)]) == 0
    assert "genotypes compared 2  differences 0" in capsys.readouterr().out
    assert run("bcftools", "query", "-l", source) == "A\nB\n"
