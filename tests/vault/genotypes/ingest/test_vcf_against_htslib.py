"""htslib as the judge: a file is read exactly as htslib reads it, or refused with a reason."""

from __future__ import annotations

import contextlib
import re
import sys
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.outside import shared, tool
from tests.support.vcf_reading import bcftools_rows, htslib_rows, our_rows, vcf_text
from vault.errors import InputError

SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz", ".bgz", ".bcf")

# htslib refuses these for a DS that is not a number; subfields that the vault does not keep are not judged.
LAXER = re.compile(r"failed_body_sample_00[78]\.vcf")


@pytest.mark.parametrize(
    ("folder", "same", "genotypes"),
    [
        pytest.param("data/1-real", 30, 20_000_000, marks=pytest.mark.long),
        pytest.param("data/2-pgx", 50, 20_000_000, marks=pytest.mark.long),
        ("data/3-hard/bcftools", 170, 1000),
        ("data/3-hard/htslib", 10, 40),
        ("data/3-hard/bio2zarr", 29, 1000),
        ("data/3-hard/scikit-allel", 10, 100),
        ("data/3-hard/vcf-js", 5, 100),
        ("data/3-hard/cyvcf2", 4, 1000),
        ("data/3-hard/hts-specs", 500, 500),
    ],
)
def test_files_of_others_are_read_as_htslib_reads_them_or_refused(folder, same, genotypes, capsys):
    root, bcftools = shared(folder), tool("bcftools")
    counts: Counter[str] = Counter()
    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES)):
        theirs = bcftools_rows(path, bcftools)
        try:
            ours = our_rows(path)
        except InputError as error:
            counts[f"refused {error.code}{'' if theirs is None else ' (htslib reads it)'}"] += 1
            continue
        if theirs is None:
            assert LAXER.search(path.name), path
            counts["accepted, refused by htslib for a subfield not kept"] += 1
            continue
        assert ours == theirs, path
        counts["accepted, the same"] += 1
        counts["genotypes compared"] += sum(len(row[-1]) for row in ours)
    with capsys.disabled():
        sys.stdout.write(f"\n{folder}\n" + "".join(f"  {count:>10,}  {what}\n" for what, count in sorted(counts.items())))
    assert counts["accepted, the same"] >= same
    assert counts["genotypes compared"] >= genotypes


def test_hts_specs_files_that_must_pass_are_refused_only_for_order_alleles_or_assembly_contigs():
    """The specification's own examples come unsorted, name an ALT that a line does not list, or contigs of an ##assembly file."""
    reasons: Counter[str] = Counter()
    for path in sorted(shared("data/3-hard/hts-specs").rglob("passed/*.vcf")):
        try:
            our_rows(path)
        except InputError as error:
            reasons[f"{path.name} {error.code}"] += 1
    assert dict(reasons) == {
        "complexfile_passed_000.vcf bad_contig": 3,
        "passed_body_alt.vcf bad_genotype": 3,
        "passed_body_chrom.vcf bad_contig": 3,
        "passed_body_id.vcf bad_contig": 3,
        "passed_body_pos.vcf bad_contig": 3,
        "zero_length_LAA.vcf unsorted": 1,
    }


META = [
    "##contig=<ID=1>",
    "##contig=<ID=chr2>",
    '##FILTER=<ID=q10,Description="f">',
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="d">',
    '##FORMAT=<ID=PS,Number=1,Type=Integer,Description="p">',
    '##FORMAT=<ID=AD,Number=.,Type=Integer,Description="a">',
    '##INFO=<ID=END,Number=1,Type=Integer,Description="e">',
    '##INFO=<ID=SVTYPE,Number=1,Type=String,Description="s">',
    '##ALT=<ID=DEL,Description="d">',
]


@st.composite
def bodies(draw):
    """Valid body lines over two contigs, three samples, and any FORMAT."""
    lines = []
    for contig in draw(st.sampled_from([["1"], ["chr2"], ["1", "chr2"], ["new", "1"]])):
        position = 0
        for _ in range(draw(st.integers(1, 6))):
            position += draw(st.sampled_from([0, 1, 5, 100_000]))
            alts = draw(
                st.one_of(st.just([]), st.lists(st.sampled_from(["C", "ag", "*", "<DEL>", "A]1:5]"]), min_size=1, max_size=12))
            )
            allele = st.one_of(st.just("."), st.integers(0, len(alts)).map(str))
            mark = st.sampled_from("/|")
            pair = st.builds("{}{}{}".format, allele, mark, allele)
            call = st.one_of(pair, pair, pair, allele, st.builds("{}{}{}{}{}".format, allele, mark, allele, mark, allele))
            form = draw(st.sampled_from(["GT", "GT", "GT:DP", "GT:PS:DP", "DP:GT", "DP", ".", "GT:AD:DP", "PS:GT:DP"]))
            value = {
                "GT": call,
                "DP": st.sampled_from(["3", ".", "71"]),
                "PS": st.sampled_from([".", "5", "100000"]),
                "AD": st.sampled_from(["1,2", ".", "3,4,5,6,7,8,9"]),
                ".": st.just("."),
            }
            columns = []
            for _ in range(3):
                fields = [draw(value[key]) for key in form.split(":")]
                columns.append(":".join(fields[: draw(st.integers(1, len(fields)))]))
            name, filters = draw(st.sampled_from([".", "rs1", "a;b"])), draw(st.sampled_from([".", "PASS", "q10"]))
            infos = [".", "END=200000", "SVTYPE=DEL;END=200000"] if alts else [".", "SVTYPE=DEL"]  # else it is a reference block
            info = draw(st.sampled_from(infos))
            lines.append(
                " ".join([contig, str(position), name, "aCg", ",".join(alts) or ".", "9.5", filters, info, form, *columns])
            )
    return lines


quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


MINORS = st.integers(1, 5)  # of VCFv4.x: from 4.4 on a call may say the phase of its first allele


@given(lines=bodies(), minor=MINORS, ending=st.sampled_from([b"\n", b"\r\n"]))
@example(lines=["1 5 . A C . . . DP:GT 3:0|1 3:./. 3"], minor=4, ending=b"\n")
@quick
def test_valid_files_are_read_as_htslib_reads_them(tmp_path, lines, minor, ending):
    path = tmp_path / "any.vcf"
    path.write_bytes(vcf_text(lines, samples="A B C", minor=minor, meta=META).replace(b"\n", ending))
    expected = htslib_rows(path)
    assert expected is not None
    assert our_rows(path) == expected


@given(lines=bodies(), minor=MINORS, data=st.data())
@quick
def test_damaged_files_are_read_as_htslib_reads_them_or_refused(tmp_path, lines, minor, data):
    path = tmp_path / "any.vcf"
    text = bytearray(vcf_text(lines, samples="A B C", minor=minor, meta=META))
    body = text.index(b"#CHROM")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(body, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 2))] = data.draw(st.sampled_from(
            [b"", b"\t", b"\n", b"\r", b"\0", b":", b"/", b"|", b".", b"0", b"1", b"9", b"-", b"GT", b"\xff", b" ", b",", b"1/1", b"\t0|1"]
        ))  # fmt: skip
    path.write_bytes(bytes(text))
    try:
        ours = our_rows(path)
    except InputError:
        return
    expected = htslib_rows(path)
    # Undeclared names and values of subfields that are not kept can make htslib refuse; it must not read something else.
    assert expected is None or ours == expected


@given(text=st.binary(max_size=400))
@example(text=b"##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n\r")
@quick
def test_any_bytes_are_refused_or_read(tmp_path, text):
    path = tmp_path / "any.vcf"
    head = vcf_text([], samples="A")
    for content in (text, head + text, head + b"1\t5\t.\tA\tC\t.\t.\t.\tGT\t" + text):
        path.write_bytes(content)
        with contextlib.suppress(InputError):
            our_rows(path)
