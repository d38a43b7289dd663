"""Spellings of regions: those of bcftools are understood, and a slip is refused with what to write."""

import pytest

from policies.errors import PolicyInputError
from policies.loci import END, Interval, parse_region
from policies.region_syntax import RegionText, read_region_text


def read(text: str) -> RegionText:
    return read_region_text(text, end=END)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("22:1M-2M", 1_000_000, 2_000_000),
        ("22:1e6-2E+6", 1_000_000, 2_000_000),
        ("22:1.5k-2k", 1_500, 2_000),
        ("22:16,000,000-16,100,000", 16_000_000, 16_100_000),
        ("22:0.5m-", 500_000, None),
        ("22:1g", 1_000_000_000, 1_000_000_000),
        ("{22}:5-6", 5, 6),
        ("22", 1, None),
    ],
)
def test_positions_as_bcftools_reads_them(text, first, last):
    assert read(text) == RegionText("22", first, last)


@pytest.mark.parametrize(
    ("text", "contig", "start", "end"),
    [
        ("{HLA-A*01:01:01:01}", "HLA-A*01:01:01:01", 0, END),
        ("{HLA-A*01:01:01:01}:7", "HLA-A*01:01:01:01", 6, 7),
        ("HLA-A*01:01:01:01:7-9", "HLA-A*01:01:01:01", 6, 9),
        ("HLA-A*01:01:01:01:7-", "HLA-A*01:01:01:01", 6, END),
        ("HLA-A*01", "HLA-A*01", 0, END),
    ],
)
def test_a_contig_that_holds_colons(text, contig, start, end):
    assert parse_region(text) == Interval(contig, start, end)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("chr1:1000000..2000000", "CONTIG:FIRST-LAST"),
        ("chr1:1000000-aaaaaaa", "CONTIG:FIRST-LAST"),
        ("chr1:1000000_2000000", "CONTIG:FIRST-LAST"),
        ("chr1:100\u2013200", "CONTIG:FIRST-LAST"),
        ("chr1:100:200", "CONTIG:FIRST-LAST"),
        ("chr1:", "CONTIG:FIRST-LAST"),
        ("chr1:1,00-200", "CONTIG:FIRST-LAST"),
        ("chr1:1-2,chr2:1-2", "CONTIG:FIRST-LAST"),
        ("chr1 100 200", "CONTIG:FIRST-LAST"),
        ("{}", "CONTIG:FIRST-LAST"),
        ("HLA-A*01:01", "write {HLA-A*01:01} for the whole contig"),
        ("chr1:0-5", "counted from 1: write chr1:1-5"),
        ("chr1:9-8", "write chr1:8-9"),
        ("chr1:-100", "write chr1:1-100"),
        ("chr1:1.5", "whole number"),
        ("chr1:1e10", f"at most {END}"),
        ("chr1:5-99999999999", f"at most {END}"),
        ("chr1:1e99", f"at most {END}"),
    ],
)
def test_a_slip_is_refused_with_what_to_write(text, what):
    with pytest.raises(PolicyInputError) as caught:
        parse_region(text, place="region")
    assert (caught.value.code, caught.value.place) == ("bad_region", "region")
    assert what in caught.value.message
    assert "\n" not in caught.value.message
