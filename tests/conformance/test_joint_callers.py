"""What GLnexus, GenomicsDB and gvcfgenotyper make of their own test files, beside what a vault says of them (docs/joint-callers.md)."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.joint_callers import (
    LAX,
    STRICT,
    Found,
    compared,
    differences,
    least,
)
from tests.support.outside import extra, shared

PAGE = Path(__file__).resolve().parents[2] / "docs" / "joint-callers.md"
GVCFS = "data/6-wave2/gvcf"


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()


def of_glnexus(folder: Path, rule: object) -> Iterator[Found]:
    """Each YAML holds a header, the files and the joint VCF."""
    for case in sorted(shared(f"{GVCFS}/GLnexus/gvcf_test_cases").glob("*.yml")):
        given = yaml.safe_load(case.read_text(encoding="utf-8"))
        if "truth_output_vcf" not in given:
            continue
        files = []
        for name, text in ((name, text) for one in given["input"]["body"] for name, text in one.items()):
            samples, _, lines = text.partition("\n")
            files.append((name.replace("/", "_"), f"{given['input']['header'].rstrip()}\t{samples.strip()}\n{lines}"))
        truth = next(text for one in given["truth_output_vcf"] for text in one.values())
        yield compared(folder / case.stem, files, truth, rule)


def of_genomicsdb(folder: Path, rule: object) -> Iterator[Found]:
    """GATK's gVCFs, and what GenomicsDB combines them to; one of its outputs writes the sample's name with a further 0."""
    root = shared(f"{GVCFS}/GenomicsDB")
    for name, inputs in (
        ("t0_1_2_vcf_at_0", ("t0", "t1", "t2")),
        ("min_PL_spanning_deletion_vcf", ("min_PL_spanning_deletion",)),
    ):
        files = [(f"{one}.vcf", text_of(root / f"inputs/vcfs/{one}.vcf.gz")) for one in inputs]
        truth = text_of(root / "golden_outputs" / name).replace("HG001958", "HG01958")
        yield compared(folder / name, files, truth, rule)


def of_gvcfgenotyper(folder: Path, rule: object) -> Iterator[Found]:
    """Strelka's gVCFs with a reference sequence: the variants of one person, listed, and one person's conflicting indels, joined."""
    extra("pysam")
    root = shared(f"{GVCFS}/gvcfgenotyper")
    tiny = root / "NA12877.tiny.vcf.gz"
    found = compared(folder / "tiny", [("tiny.vcf", text_of(tiny))], "", rule, fasta=root / "tiny.ref.fa")
    listed = (line.split(":") for line in text_of(root / "NA12877.tiny.vcf.gz.expected").split())
    places = [("NA12877", least(contig, int(pos), ref, alt)) for contig, pos, ref, alt in listed]
    yield Found({key: found.ours.get(key) or 1 for key in places}, found.ours, found.refused)
    conflict = root / "regression" / "GG-26.vcf.gz"
    truth = text_of(root / "regression" / "GG-26.vcf.gz.expected")
    yield compared(folder / "conflict", [("gg26.vcf", text_of(conflict))], truth, rule, fasta=root / "regression" / "GG-26.fa")


SOURCES = {"GLnexus": of_glnexus, "GenomicsDB": of_genomicsdb, "gvcfgenotyper": of_gvcfgenotyper}


def told() -> dict[tuple[str, str], tuple[int, int]]:
    """(joint caller, kind of difference) → counts under the default rule, and with everything taken, as the page has them."""
    rows = re.findall(r"^\| (\w+) \| ([^|]+) \| ([\d,]+) \| ([\d,]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    return {(caller, kind): (int(a.replace(",", "")), int(b.replace(",", ""))) for caller, kind, a, b in rows}


@pytest.mark.long
@pytest.mark.parametrize("caller", SOURCES)
def test_the_page_tells_every_difference(tmp_path, caller):
    counted: list[Counter[str]] = []
    for name, rule in (("strict", STRICT), ("lax", LAX)):
        (tmp_path / name).mkdir()
        kinds: Counter[str] = Counter()
        for found in SOURCES[caller](tmp_path / name, rule):
            kinds += differences(found)
        counted.append(kinds)
    strict, lax = counted
    assert {(caller, kind): (strict[kind], lax[kind]) for kind in {*strict, *lax}} == {
        key: counts for key, counts in told().items() if key[0] == caller
    }
