"""What of a gVCF is refused, with file, line and reason."""

from __future__ import annotations

import pytest

from tests.support.vcf_reading import our_rows, vcf_text
from tests.vault.genotypes.ingest.gvcfs import read, write
from vault.errors import InputError
from vault.genotypes.ingest.assay_rule import AssayRule

GOOD = "GT:DP:GQ:MIN_DP"
FIRST = "1 1 . A <NON_REF> . . END=1 GT:GQ 0/0:0"


def refusal(tmp_path, line, rule=None):
    path = write(tmp_path, [FIRST, line])
    with pytest.raises(InputError) as caught:
        read(path, rule)
    assert caught.value.message.startswith("a.g.vcf: line 5:")
    return caught.value


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (f"1 5 . A <NON_REF> . . END=4 {GOOD} 0/0:3:3:3", "bad_block", "INFO: END is smaller than POS"),
        (f"1 5 . A <NON_REF> . . END=x {GOOD} 0/0:3:3:3", "bad_block", "INFO: END is not a whole number"),
        (f"1 5 . A <NON_REF> . . END=-7 {GOOD} 0/0:3:3:3", "bad_block", "INFO: END is not a whole number"),
        (f"1 5 . A <NON_REF> . . END=7.5 {GOOD} 0/0:3:3:3", "bad_block", "INFO: END is not a whole number"),
        ("1 5 . A <*> . . . GT:GQ:LEN 0/0:3:0", "bad_block", "LEN is not"),
        ("1 5 . A <*> . . . GT:GQ:LEN 0/0:3:x", "bad_block", "LEN is not"),
        ("1 5 . A <*> . . . GT:GQ:LEN 0/0:3:-2", "bad_block", "LEN is not"),
        ("1 5 . A <*> . . END=9 GT:GQ:LEN 0/0:3:4", "bad_block", "END and LEN do not agree"),
        (f"1 5 . A <NON_REF> . . END=9 {GOOD} 0/0:3:x:3", "bad_block", "not a number"),
        (f"1 5 . A <NON_REF> . . END=9 {GOOD} 0/0:3:3:1,2", "bad_block", "not a number"),
        (f"1 5 . A <NON_REF> . . END=2147483648 {GOOD} 0/0:3:3:3", "beyond_contig", "the block reaches beyond"),
        ("1 5 . A <NON_REF> . . END=9 GT:DP 0/0:30", "no_confidence", "without GQ, RGQ or GQX"),
        ("1 5 . A . . . END=9 GT 0/0", "no_confidence", "without GQ, RGQ or GQX"),
        ("1 5 . A <NON_REF> . . END=9 GT:GQ:GQ 0/0:30:30", "bad_format", "FORMAT:"),
        ("1 5 . A <NON_REF> . . END=9 GT:GQ 0/0:30:30", "bad_genotype", "more subfields"),
        ("1 5 . A <NON_REF> . . END=9 GT:GQ 0/2:30", "bad_genotype", "does not have"),
        ("1 5 . A <NON_REF> . . END=9 GT:GQ 0x0:30", "bad_genotype", "malformed"),
        ("1 5 . A . . . END=9 GT:GQ 0/1:30", "bad_genotype", "does not have"),
        ("1 5 . A <NON_REF> . . END=9 GT:GQ 0/0:30 0/0:30", "column_count", "more columns"),
        ("1 5 . A <NON_REF> . . END=9 GT:GQ", "column_count", "fewer columns"),
        ("1 5 . A <NON_REF> . . END=9 GT:GQ ", "empty_column", "column 10: empty"),
        ("1 5 . A C,,<NON_REF> . . . GT 0/1", "bad_alt", "ALT:"),
        ("1 5 . A! <NON_REF> . . . GT 0/1", "bad_ref", "REF:"),
        ("1 0 . A C,<NON_REF> . . . GT 0/1", "unsorted", "POS:"),
        ("1 5 . A C\x01 . . . GT 0/1", "control_character", "ALT:"),
        ("1 5 . A <NON_REF> . . END=9 GT:GQ 0/0:3\x000", "nul_byte", "column 10:"),
    ],
)
def test_a_line_is_refused(tmp_path, line, code, reason):
    error = refusal(tmp_path, line)
    assert error.code == code
    assert reason in error.message
    assert bool(error.hint) == (code in ("bad_block", "beyond_contig", "no_confidence"))  # what only gVCFs have names its cure


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = write(tmp_path, [FIRST, "1 5 ? A C . . . GT:GQ 0/1:30"])
    path.write_bytes(path.read_bytes().replace(b"?", b"\xff"))
    with pytest.raises(InputError, match="line 5") as caught:
        read(path)
    assert caught.value.code == "bad_utf8"


def test_a_file_of_single_bases_without_any_quality_is_refused(tmp_path):
    path = write(tmp_path, ["1 5 . A <*> . . . GT:DP 0/0:30", "1 6 . A <*> . . . GT:DP 0/0:30"])
    with pytest.raises(InputError, match="line 4") as caught:
        read(path)
    assert caught.value.code == "no_confidence"
    assert "--min-gq 0" in caught.value.hint
    assert read(path, AssayRule(min_gq=0)).counts.confident_blocks == 2


def test_a_contig_that_comes_back_is_refused(tmp_path):
    path = write(tmp_path, [FIRST, "2 5 . A C . . . GT 0/1", "1 7 . A C . . . GT 0/1"])
    with pytest.raises(InputError, match="line 6: CHROM: the contig comes back") as caught:
        read(path)
    assert caught.value.code == "unsorted"


@pytest.mark.parametrize(
    "line",
    [
        "1 5 . A <NON_REF> . . END=9 GT:GQ 0/0:9 0/0:9",
        "1 5 . A <*> . . . GT:GQ 0/0:9 0/0:9",
        "1 5 . A . . . END=9 GT:GQ 0/0:9 0/0:9",
    ],
)
def test_blocks_of_several_people_are_refused(tmp_path, line):
    path = tmp_path / "a.vcf"
    path.write_bytes(vcf_text(["1 5 . A C . . . GT 0/1 1|1", line]))
    with pytest.raises(InputError, match="line 5: a reference block in a file of several samples") as caught:
        our_rows(path)
    assert caught.value.code == "multi_sample_blocks"
    assert "GLnexus" in caught.value.hint


@pytest.mark.parametrize("line", ["1 5 . A C,<NON_REF> . . . GT 0/0 0/0", "1 5 . A . . . END=5 GT:RGQ 0/0:9 0/0:9"])
def test_sites_of_several_people_are_no_blocks(tmp_path, line):
    path = tmp_path / "a.vcf"
    path.write_bytes(vcf_text([line]))
    assert len(our_rows(path)) == 1


def test_blocks_that_come_late_are_refused(tmp_path):
    path = write(tmp_path, ["1 5 . A C . . . GT 0/0"] * 10_000 + ["1 6 . A <*> . . END=9 GT:GQ 0/0:9"])
    with pytest.raises(InputError, match="line 10004: a reference block") as caught:
        our_rows(path)
    assert caught.value.code == "blocks_unexpected"
