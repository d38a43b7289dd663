"""gVCFs of other projects: each read as the plain reader reads it, read as an ordinary VCF, or refused for the right reason."""

from __future__ import annotations

import gzip
from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from tests.support.outside import shared
from tests.support.per_base import Interval
from tests.support.plain_gvcf import read_plainly
from tests.vault.genotypes.ingest.gvcfs import intervals, read, records
from vault.errors import InputError
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.open_source import open_source

SUFFIXES = (".vcf", ".gvcf", ".vcf.gz", ".gvcf.gz", ".bcf", ".out")
REFUSED = {
    "GLnexus": {"bad_alt": 5, "bad_block": 1, "bad_header": 6},  # "bogus" names, END before POS, columns without tabs
    "GenomicsDB": {"multi_sample_blocks": 2},
    "TileDB-VCF": {"no_confidence": 3},  # blocks without GQ
    "bcftools": {"multi_sample_blocks": 9, "not_a_vcf": 4},  # what its merge writes, of several people
    "nucleus": {"bad_header": 2, "not_a_vcf": 1},
}
READ = {"GLnexus": 5, "GenomicsDB": 4, "TileDB-VCF": 7, "bcftools": 2, "gvcfgenotyper": 15, "hail": 9, "nucleus": 0}
RULES = [AssayRule(), AssayRule(min_gq=0, min_dp=0, min_dp_haploid=0, filtered="keep")]


@pytest.mark.parametrize("project", sorted(READ))
def test_gvcfs_of_others_are_read_plainly_or_refused(project):
    outcomes: Counter[str] = Counter()
    for path in sorted(p for p in shared(f"data/6-wave2/gvcf/{project}").rglob("*") if p.name.endswith(SUFFIXES)):
        outcomes[outcome(path)] += 1
    gvcfs, _ = outcomes.pop("gvcf", 0), outcomes.pop("vcf", 0)
    assert dict(outcomes) == REFUSED.get(project, {})
    assert gvcfs >= READ[project]


def outcome(path: Path) -> str:
    try:
        with open_source(path) as source:
            if not source.gvcf:
                for _ in source.batches():
                    pass
                return "vcf"
        for rule in RULES:
            as_the_plain_reader(path, rule)
    except InputError as error:
        return error.code
    return "gvcf"


def as_the_plain_reader(path: Path, rule: AssayRule) -> None:
    calls = read(path, rule)
    for contig, lines in body(path).items():
        plain = read_plainly(lines, rule)
        assert intervals(calls.tracks.get(contig)) == levels(plain.intervals), path
        assert records(calls.calls.get(contig)) == plain.records, path


def body(path: Path) -> dict[str, list[str]]:
    """The lines of each contig."""
    if path.name.endswith(".bcf"):
        import pysam  # noqa: PLC0415 - an extra

        with pysam.VariantFile(str(path)) as file:
            lines = [str(record).rstrip("\n") for record in file]
    else:
        data = path.read_bytes()
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        lines = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
    return {contig: list(group) for contig, group in groupby(lines, lambda line: line.split("\t")[0])}


def levels(found: list[Interval]) -> list[Interval]:
    """The longest runs of one level, of intervals that may be long: edge by edge, not base by base."""
    edges = sorted({edge for start, end, _ in found for edge in (start, end + 1)})
    runs: list[Interval] = []
    for start, behind in pairwise(edges):
        over = [level for first, last, level in found if first <= start <= last]
        level = 0 if not over or len({level // 4 for level in over}) > 1 or 0 in over else min(over)
        if level and runs and runs[-1][1] == start - 1 and runs[-1][2] == level:
            runs[-1] = (runs[-1][0], behind - 1, level)
        elif level:
            runs.append((start, behind - 1, level))
    return runs


def test_pharmcats_gvcf_is_read_plainly():
    path = shared("data/2-pgx/pharmcat_preprocessor/preprocessor/tests/test.g.vcf.bgz")
    for rule in RULES:
        as_the_plain_reader(path, rule)
    calls = read(path)
    assert len(calls.tracks["chr1"]) > 100
    assert calls.counts.kept == 89
