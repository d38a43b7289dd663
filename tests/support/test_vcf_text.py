from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings

from tests.support.outside import tool
from tests.support.vcf_text import SmallVcf, small_vcfs, vcf


def test_shorthand_makes_the_lines_it_says():
    file = vcf("A B", "chr1 100 A G 0|1 ./.", "chr2 7 C T,G 1/2 0")
    assert file.text.splitlines()[-3:] == [
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB",
        "chr1\t100\t.\tA\tG\t.\tPASS\t.\tGT\t0|1\t./.",
        "chr2\t7\t.\tC\tT,G\t.\tPASS\t.\tGT\t1/2\t0",
    ]
    assert "##contig=<ID=chr2>" in file.text


def test_renaming_wants_one_name_per_sample():
    with pytest.raises(ValueError, match="one name"):
        vcf("A B").with_samples("C")


@settings(max_examples=10, deadline=None)
@given(small_vcfs())
def test_random_files_are_read_by_bcftools_without_a_warning(file: SmallVcf):
    done = subprocess.run([tool("bcftools"), "view", "-"], input=file.data, capture_output=True, check=True)
    assert done.stderr == b""
    assert done.stdout.count(b"\n") - done.stdout.count(b"\n##") > 0
