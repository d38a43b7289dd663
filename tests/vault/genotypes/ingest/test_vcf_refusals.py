"""Every refusal names the file, the line and the column, and says nothing of what a sample's column holds."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.support.vcf_reading import our_rows, vcf_text
from vault.errors import InputError
from vault.genotypes.ingest.open_source import open_source
from vault.limits import MAX_ALTS, MAX_LINE_BYTES, MAX_POSITION

GOOD = "1 5 . A C . . . GT 0/1 1|1"


def refusal(path):
    with pytest.raises(InputError) as caught:
        our_rows(path)
    assert caught.value.message.startswith(path.name + ":")
    return caught.value


@pytest.mark.parametrize(
    ("line", "code", "where"),
    [
        ("1 7 . A C . . . GT 0/1", "column_count", ""),
        ("1 7 . A C . . . GT:DP 0/1:1", "column_count", ""),
        ("1 7 . A C . . .", "column_count", ""),
        ("1 7", "column_count", ""),
        ("1 7 . A C . . . GT 0/1 0/1 0/1", "column_count", ""),
        ("1 7 . A C . . . GT:DP 0/1:1 0/1:1 0/1:1", "column_count", ""),
        ("1 7 . A C . . . GT 0/1 0/1 ", "column_count", ""),
        ("", "column_count", "the line is empty"),
        ("#comment", "column_count", "starts with #"),
        ("#1 7 . A C . . . GT 0/1 0/1", "column_count", "starts with #"),
        (" 7 . A C . . . GT 0/1 0/1", "empty_column", "CHROM:"),
        ("a,b 7 . A C . . . GT 0/1 0/1", "bad_contig", "CHROM:"),
        ("<1 7 . A C . . . GT 0/1 0/1", "bad_contig", "CHROM:"),
        ("<1> 7 . A C . . . GT 0/1 0/1", "bad_contig", "CHROM:"),
        ("1  . A C . . . GT 0/1 0/1", "empty_column", "POS:"),
        ("1 x . A C . . . GT 0/1 0/1", "bad_position", "POS:"),
        ("1 -1 . A C . . . GT 0/1 0/1", "bad_position", "POS:"),
        ("1 1e3 . A C . . . GT 0/1 0/1", "bad_position", "POS:"),
        (f"1 {MAX_POSITION + 1} . A C . . . GT 0/1 0/1", "bad_position", "POS:"),
        ("1 99999999999999999999 . A C . . . GT 0/1 0/1", "bad_position", "POS:"),
        ("1 4 . A C . . . GT 0/1 0/1", "unsorted", "POS:"),
        ("1 7  A C . . . GT 0/1 0/1", "empty_column", "ID:"),
        ("1 7 .  C . . . GT 0/1 0/1", "empty_column", "REF:"),
        ("1 7 . . C . . . GT 0/1 0/1", "bad_ref", "REF:"),
        ("1 7 . A-C C . . . GT 0/1 0/1", "bad_ref", "REF:"),
        ("1 7 . <DEL> C . . . GT 0/1 0/1", "bad_ref", "REF:"),
        ("1 7 . A  . . . GT 0/1 0/1", "empty_column", "ALT:"),
        ("1 7 . A C, . . . GT 0/1 0/1", "bad_alt", "ALT:"),
        ("1 7 . A C,. . . . GT 0/1 0/1", "bad_alt", "ALT:"),
        ("1 7 . A <DEL . . . GT 0/1 0/1", "bad_alt", "ALT:"),
        ("1 7 . A <> . . . GT 0/1 0/1", "bad_alt", "ALT:"),
        ("1 7 . A C[2:1] . . . GT 0/1 0/1", "bad_alt", "ALT:"),
        ("1 7 . A [2:1[ . . . GT 0/1 0/1", "bad_alt", "ALT:"),
        ("1 7 . A I5 . . . GT 0/1 0/1", "bad_alt", "ALT:"),
        (f"1 7 . A {','.join(['C'] * (MAX_ALTS + 1))} . . . GT 0/1 0/1", "too_many_alts", "ALT:"),
        (f"1 7 . {'A' * ((1 << 20) + 1)} C . . . GT 0/1 0/1", "allele_too_long", "REF:"),
        (f"1 7 . A C,{'A' * ((1 << 20) + 1)} . . . GT 0/1 0/1", "allele_too_long", "ALT:"),
        ("1 7 . A C x . . GT 0/1 0/1", "bad_qual", "QUAL:"),
        ("1 7 . A C .  . GT 0/1 0/1", "empty_column", "FILTER:"),
        ("1 7 . A C . PASS; . GT 0/1 0/1", "bad_filter", "FILTER:"),
        ("1 7 . A C . q10,s50 . GT 0/1 0/1", "bad_filter", "FILTER:"),
        ("1 7 . A C . q<10 . GT 0/1 0/1", "bad_filter", "FILTER:"),
        ("1 7 . A <DEL> . . END=x GT 0/1 0/1", "bad_info", "INFO:"),
        ("1 7 . A <DEL> . . END= GT 0/1 0/1", "bad_info", "INFO:"),
        ("1 7 . A C . .   0/1 0/1", "empty_column", "FORMAT:"),
        ("1 7 . A C . . . GT: 0/1 0/1", "bad_format", "FORMAT:"),
        ("1 7 . A C . . . GT:GT 0/1 0/1", "bad_format", "FORMAT:"),
        ("1 7 . A C . . . GT 0/1 0/2", "bad_genotype", "column 11:"),
        ("1 7 . A . . . . GT 0/1 0/0", "bad_genotype", "column 10:"),
        ("1 7 . A C . . . GT:DP 0/1:1 2/0:1", "bad_genotype", "column 11:"),
        ("1 7 . A C . . . GT 0/1 99999999999999999999", "bad_genotype", "column 11:"),
        ("1 7 . A C . . . GT 0/1x 0/1", "bad_genotype", "column 10:"),
        ("1 7 . A C . . . GT 0\\1 0/1", "bad_genotype", "column 10:"),
        ("1 7 . A C . . . GT 0/ 0/1", "bad_genotype", "column 10:"),
        ("1 7 . A C . . . GT /0/1 0/1", "bad_genotype", "column 10:"),
        ("1 7 . A C . . . GT -1/0 0/1", "bad_genotype", "column 10:"),
        ("1 7 . A C . . . GT  0/1", "bad_genotype", "column 10:"),
        ("1 7 . A C . . . GT:DP :3 0/1", "bad_genotype", "column 10:"),
        ("1 7 . A C . . . DP  3", "empty_column", "column 10:"),
        ("1 7 . A C . . . GT 0/1:3 0/1", "bad_genotype", "column 10:"),
        ("1 7 . A C . . . GT:DP 0/1:3 0/1:3:4", "bad_genotype", "column 11:"),
        ("1 7 . A C . . . GT:DP:GQ 0/1:3 0/1:3:4:::::::::::", "bad_genotype", "column 11:"),
        ("1 7 . A C . . . GT 0/0/0/0/0/0/0/0/0 0/1", "bad_genotype", "column 10:"),
        ("1 7 . A C . . . GT 0/1 0/\x01", "bad_genotype", "column 11:"),
        ("1 7 . A C . . . GT:DP 0/1:\x00 0/1:3", "nul_byte", "column 10:"),
        ("1 7 . A C . . X=\x00 GT 0/1 0/1", "nul_byte", "INFO:"),
        ("1 7 . A C . . X=\rY GT 0/1 0/1", "control_character", "INFO:"),
        ("1 7 . A C . . . GT:DP 0/1:\x1b 0/1:3", "control_character", "column 10:"),
    ],
)
def test_a_malformed_line_is_refused(tmp_path, line, code, where):
    path = tmp_path / "cohort.vcf"
    path.write_bytes(vcf_text([GOOD, line, "1 9 . A C . . . GT 0/1 0/1"]))
    error = refusal(path)
    assert error.code == code
    assert "line 5: " in error.message
    assert where in error.message


def test_a_contig_that_comes_back_is_refused(tmp_path):
    path = tmp_path / "cohort.vcf"
    path.write_bytes(vcf_text([GOOD, GOOD.replace("1 5", "2 5", 1), GOOD.replace("1 5", "1 9", 1)]))
    error = refusal(path)
    assert (error.code, "line 6: CHROM:" in error.message) == ("unsorted", True)


def test_the_cure_for_a_contig_in_brackets_works(tmp_path):
    path = tmp_path / "x.vcf"
    path.write_bytes(vcf_text(["<1> 5 . A C . . . GT 0/1 0/1"]))
    script = re.findall("'(.*)'", refusal(path).hint)
    path.write_bytes(subprocess.run(["sed", "-E", *script, path], capture_output=True, check=True).stdout)
    assert [row[0] for row in our_rows(path)] == ["1"]


def test_invalid_utf8_is_refused(tmp_path):
    path = tmp_path / "cohort.vcf"
    lines = [GOOD, "1 7 \xfe A C . . . DP:X 3:\xff 4", GOOD.replace("1 5", "1 9")]
    path.write_bytes(vcf_text(lines).decode().encode("latin-1"))
    error = refusal(path)
    assert (error.code, "line 5:" in error.message) == ("bad_utf8", True)


def test_invalid_utf8_in_a_sample_column_is_refused(tmp_path):
    path = tmp_path / "cohort.vcf"
    path.write_bytes(
        vcf_text([GOOD, "1 7 . A C . . . GT:X 0/1:\xe9abcdefghij 0/1:.", "1 9 é A C . . . GT 0 1"]).decode().encode("latin-1")
    )
    error = refusal(path)
    assert (error.code, "line 5:" in error.message) == ("bad_utf8", True)


@pytest.mark.parametrize("call", ["/0|1", "|0/1", "|0/1|1", "/1"])
def test_a_leading_phase_mark_with_a_meaning_of_its_own_is_refused(tmp_path, call):
    path = tmp_path / "cohort.vcf"
    path.write_bytes(vcf_text([f"1 5 . A C . . . GT 0/1 {call}"], minor=4))
    assert refusal(path).code == "bad_genotype"


def test_a_line_beyond_the_limit_is_refused(tmp_path):
    path = tmp_path / "cohort.vcf"
    path.write_bytes(vcf_text([GOOD, f"1 7 . A C . . X={'x' * MAX_LINE_BYTES} GT 0/1 0/1"]))
    error = refusal(path)
    assert (error.code, "line 5:" in error.message) == ("line_too_long", True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "not_a_vcf"),
        (b"\n", "not_a_vcf"),
        (b"##", "not_a_vcf"),
        (b"hello\nworld\n", "not_a_vcf"),
        (b"\xef\xbb\xbf" + vcf_text([GOOD]), "not_a_vcf"),
        (vcf_text([GOOD]).replace(b"VCFv4.3", b"VCFv3.3"), "not_a_vcf"),
        (vcf_text([GOOD]).replace(b"##fileformat=VCFv4.3\n", b""), "not_a_vcf"),
        (b"##fileformat=VCFv4.3\n", "bad_header"),
        (b"##fileformat=VCFv4.3\n##x=1", "bad_header"),
        (b"##fileformat=VCFv4.3\n1\t5\t.\tA\tC\t.\t.\t.\n", "bad_header"),
        (vcf_text([GOOD]).replace(b"#CHROM\tPOS", b"#CHROM POS"), "bad_header"),
        (vcf_text([GOOD]).replace(b"\tINFO", b""), "bad_header"),
        (vcf_text([GOOD]).replace(b"\tFORMAT", b""), "bad_header"),
        (vcf_text([GOOD]).replace(b"\tA\tB\n", b"\n"), "bad_header"),
        (vcf_text([GOOD]).replace(b"\tA\tB\n", b"\tA\tB\t\n"), "bad_header"),
        (vcf_text([GOOD]).replace(b"\tA\tB\n", b"\tA\t\tB\n"), "bad_header"),
        (vcf_text([GOOD]).replace(b"\tA\tB\n", b"\tA\tB\x07\n"), "bad_header"),
        (vcf_text([GOOD]).replace(b"\tA\tB\n", b"\tA\tA\n"), "duplicate_sample"),
        (vcf_text([GOOD], meta=["##x=\x00"]), "nul_byte"),
        (vcf_text([GOOD], meta=["##x=é"]).decode().encode("latin-1"), "bad_utf8"),
    ],
)
def test_a_malformed_header_is_refused(tmp_path, text, code):
    path = tmp_path / "cohort.vcf"
    path.write_bytes(text)
    error = refusal(path)
    assert error.code == code
    assert "line " in error.message


def test_no_message_holds_a_sample_name_or_a_call(tmp_path):
    path = tmp_path / "cohort.vcf"
    for body in (["1 5 . A C . . . GT 0/1 0/7"], ["1 5 . A C . . . GT 0/1"], ["1 5 . A C . . . GT 0/1 canary"]):
        path.write_bytes(vcf_text(body, samples="CANARY-1 CANARY-2"))
        assert "canary" not in str(refusal(path)).lower()
        assert "/" not in str(refusal(path))
    path.write_bytes(vcf_text([], samples="CANARY CANARY"))
    assert "canary" not in str(refusal(path)).lower()


@pytest.mark.parametrize("name", ["absent.vcf", "."])
def test_what_is_not_a_file_is_refused(tmp_path, name):
    with pytest.raises(InputError) as caught:
        open_source(tmp_path / name)
    assert caught.value.code == ("file_unreadable" if name == "." else "no_such_file")
