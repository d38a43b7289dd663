from __future__ import annotations

import json
from importlib import resources

import pytest

from tests.support.vcf_reading import our_rows, vcf_text
from vault.errors import InputError
from vault.genotypes.contigs import find_assembly, normal_contig
from vault.genotypes.ingest.open_source import open_source
from vault.limits import MAX_POSITION

GRCH38 = find_assembly("GRCh38")


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("22", "22"),
        ("chr22", "22"),
        ("Chr22", "22"),
        ("CHR1", "1"),
        ("chrX", "X"),
        ("x", "X"),
        ("chrM", "MT"),
        ("M", "MT"),
        ("MT", "MT"),
        ("chrMT", "MT"),
        ("chr", "chr"),
        ("chr1_KI270706v1_random", "1_KI270706v1_random"),
        ("GL000192.1", "GL000192.1"),
        ("HLA-A*01:01", "HLA-A*01:01"),
        ("NC_000019.10", "19"),
        ("NC_000019.9", "19"),
        ("nc_000019", "19"),
        ("CM000681.2", "19"),
        ("CM000681.1", "19"),
        ("NC_060943.1", "19"),
        ("CP068259.2", "19"),
        ("NC_000023.11", "X"),
        ("NC_012920.1", "MT"),
        ("J01415.2", "MT"),
        ("gi|568815579|ref|NC_000019.10|", "19"),
        ("ref|NC_000019.10|", "19"),
        ("NC_007605.1", "NC_007605.1"),
        ("NT_187361.1", "NT_187361.1"),
    ],
)
def test_normal_form(name, normal):
    assert normal_contig(name) == normal
    assert normal_contig(normal) == normal


@pytest.mark.parametrize("name", ["GRCh38", "hg38", "grch38", "b38"])
def test_an_assembly_has_several_names(name):
    assert find_assembly(name) == GRCH38


@pytest.mark.parametrize(
    ("contig", "limit"),
    [
        ("22", 50_818_469),
        ("chr22", 50_818_469),
        ("chrM", 16_570),
        ("MT", 16_570),
        ("x", 156_040_896),
        ("GL000225.1", MAX_POSITION),
        ("chrUn_KI270742v1", MAX_POSITION),
        ("chr1_KI270706v1_random", MAX_POSITION),
        ("hs37d5", MAX_POSITION),
        ("HLA-A*01:01:01:01", MAX_POSITION),
        ("chrEBV", MAX_POSITION),
        ("23", None),
        ("chr26", None),
        ("0", None),
        ("XY", None),
        ("PAR1", None),
        ("chrPAR2", None),
        ("W", None),
        ("2L", None),
        ("III", None),
    ],
)
def test_chromosomes_have_an_end_scaffolds_none_and_other_names_of_chromosomes_are_unknown(contig, limit):
    assert GRCH38.limit(contig) == limit


@pytest.mark.parametrize(
    ("contig", "chromosome", "aligned"),
    [
        ("chr19", "19", True),
        ("NC_000019.10", "19", True),
        ("NC_000019", "19", True),
        ("CM000681.2", "19", True),
        ("NC_000019.9", "19", False),  # of GRCh37
        ("NC_000019.8", "19", False),  # of NCBI36
        ("NC_060943.1", "19", False),  # of T2T-CHM13v2.0
        ("chr19_KI270938v1_alt", "19", False),
        ("chr19_KV575246v1_fix", "19", False),
        ("chr6_apd_hap1", "6", False),
        ("chrY_KI270740v1_random", "Y", False),
        ("HSCHR19LRC_COX1_CTG3_1", "19", False),
        ("CHR_HSCHR6_MHC_COX_CTG1", "6", False),
        ("HSCHR1_CTG1_UNLOCALIZED", "1", False),
        ("HLA-A*01:01:01:01", "6", False),
        ("chrUn_KI270742v1", "", False),
        ("GL000225.1", "", False),
        ("hs37d5", "", False),
        ("chrEBV", "", False),
        ("strange", "", False),
    ],
)
def test_where_a_contig_lies(contig, chromosome, aligned):
    place = GRCH38.place(contig)
    assert (place.chromosome, place.aligned) == (chromosome, aligned)


def test_every_chromosome_of_every_assembly_is_known_by_its_accessions():
    names = {*(str(n) for n in range(1, 23)), "X", "Y", "MT"}
    for assembly in ("GRCh37", "GRCh38", "T2T-CHM13v2.0"):
        here = find_assembly(assembly)
        listed = [name for contigs in contigs_pack()["accessions"][assembly].values() for name in contigs]
        assert {here.place(name).chromosome for name in listed} == names
        assert all(here.place(name).aligned and here.other_of(name) is None for name in listed)
        others = [name for name in listed if assembly != "GRCh38" and name not in ("NC_012920.1", "J01415.2")]
        assert all(GRCH38.other_of(name) == assembly for name in others)


def contigs_pack():
    (pack,) = [p for p in (resources.files("policies") / "packs").iterdir() if p.name.startswith("contigs-")]
    return json.loads(pack.read_text(encoding="utf-8"))


def test_of_an_unknown_assembly_nothing_is_checked():
    other = find_assembly("my own")
    assert (other.name, other.limit("23"), other.limit("22"), other.belongs_to("1", 249_250_621)) == (
        "my own",
        MAX_POSITION,
        MAX_POSITION,
        None,
    )


@pytest.mark.parametrize(
    ("contig", "length", "whose"),
    [
        ("chr1", 249_250_621, "GRCh37"),
        ("1", 248_387_328, "T2T-CHM13v2.0"),
        ("1", 248_956_422, None),
        ("1", 12_345, None),
        ("MT", 16_571, None),
        ("GL1", 5, None),
    ],
)
def test_a_declared_length_may_be_another_assemblys(contig, length, whose):
    assert GRCH38.belongs_to(contig, length) == whose


def refusal(path, assembly="GRCh38"):
    with pytest.raises(InputError) as caught, open_source(path, assembly=assembly) as source:
        list(source.batches())
    return caught.value


@pytest.mark.parametrize(
    ("line", "code", "where"),
    [
        ("chr22 50818470 . A C . . . GT 0/1", "beyond_contig", "POS"),
        ("22 50818467 . ACGT A . . . GT 0/1", "beyond_contig", "REF"),
        ("MT 20000 . A C . . . GT 0/1", "beyond_contig", "POS"),
        ("23 5 . A C . . . GT 0/1", "contig_unknown", "CHROM"),
        ("NC_000019.9 5 . A C . . . GT 0/1", "assembly_mismatch", "CHROM"),
        ("NC_000019.10 58617618 . A C . . . GT 0/1", "beyond_contig", "POS"),
    ],
)
def test_sites_that_the_assembly_cannot_have_are_refused_by_line(tmp_path, line, code, where):
    path = tmp_path / "a.vcf"
    path.write_bytes(vcf_text(["1 5 . A C . . . GT 0/1", line], samples="s"))
    found = refusal(path)
    assert found.code == code
    number = path.read_bytes().count(b"\n")
    assert found.message.startswith(f"a.vcf: line {number}: {where}:")
    assert len(our_rows(path)) == 2  # without an assembly the file is fine


@pytest.mark.parametrize(
    ("contig", "told"),
    [("PAR1", "--merge-par"), ("chrXY", "--merge-par"), ("23", "--output-chr"), ("chr26", "--output-chr"), ("0", "")],
)
def test_contigs_that_only_plink_knows_are_refused_with_what_to_do(tmp_path, contig, told):
    path = tmp_path / "a.vcf"
    path.write_bytes(vcf_text([f"{contig} 5 . A C . . . GT 0/1"], samples="s"))
    found = refusal(path)
    assert (found.code, bool(found.hint)) == ("contig_unknown", bool(told))
    assert told in found.hint


def test_the_last_bases_of_a_chromosome_and_a_telomeric_breakend_are_read(tmp_path):
    path = tmp_path / "a.vcf"
    lines = ["22 50818465 . ACGT A . . . GT 0/1", "22 50818469 . N N[13:123457[ . . . GT 0/1"]
    path.write_bytes(vcf_text(lines, samples="s"))
    with open_source(path, assembly="hg38") as source:
        assert sum(len(batch.sites) for batch in source.batches()) == 2


def test_a_header_of_another_assembly_is_refused(tmp_path):
    path = tmp_path / "a.vcf"
    text = vcf_text(["1 5 . A C . . . GT 0/1"], samples="s")
    first, rest = text.split(b"\n", 1)
    path.write_bytes(b"\n".join([first, b"##contig=<ID=chr1,length=249250621>", rest]))
    found = refusal(path)
    assert (found.code, found.message, found.hint) == (
        "assembly_mismatch",
        "a.vcf: line 2: ##contig: the length is that of GRCh37, not of GRCh38",
        "say --assembly GRCh37",
    )
    with open_source(path, assembly="GRCh37") as source:
        assert sum(len(batch.sites) for batch in source.batches()) == 1
