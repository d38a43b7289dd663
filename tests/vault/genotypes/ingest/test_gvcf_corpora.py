"""gVCFs of other projects: each read as the plain reader reads it, read as an ordinary VCF, or refused for the right reason."""

from __future__ import annotations

import gzip
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from tests.support.outside import extra, shared
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
    changes = sorted(change for start, end, level in found for change in ((start, level, 1), (end + 1, level, -1)))
    over, runs, since = Counter[int](), list[Interval](), 0
    for edge, group in groupby(changes, lambda change: change[0]):
        present = [level for level, count in over.items() if count]
        level = 0 if not present or len({level // 4 for level in present}) > 1 else min(present)
        if level and runs and runs[-1][1] == since - 1 and runs[-1][2] == level:
            runs[-1] = (runs[-1][0], edge - 1, level)
        elif level:
            runs.append((since, edge - 1, level))
        for _, changed, by in group:
            over[changed] += by
        since = edge
    return runs


def test_pharmcats_gvcf_is_read_plainly():
    path = shared("data/2-pgx/pharmcat_preprocessor/preprocessor/tests/test.g.vcf.bgz")
    for rule in RULES:
        as_the_plain_reader(path, rule)
    calls = read(path)
    assert len(calls.tracks["chr1"]) > 100
    assert calls.counts.kept == 89


def test_the_inputs_of_glnexus_test_cases_are_read_plainly_or_refused(tmp_path):
    """Their YAML holds a header and, for each file, the sample's name and the lines."""
    outcomes: Counter[str] = Counter()
    for case in sorted(shared("data/6-wave2/gvcf/GLnexus/gvcf_test_cases").glob("*.yml")):
        given = yaml.safe_load(case.read_text(encoding="utf-8"))["input"]
        for name, text in ((name, text) for files in given["body"] for name, text in files.items()):
            samples, _, lines = text.partition("\n")
            path = tmp_path / f"{case.stem}.{name}"
            path.write_text(f"{given['header'].rstrip()}\t{samples.strip()}\n{lines}")
            outcomes[outcome(path)] += 1
    assert outcomes.pop("gvcf") >= 90
    assert outcomes == {"vcf": 5, "bad_genotype": 1, "column_count": 1}  # xAtlas' 1/1 where ALT is "."; tabs at the ends of lines


def test_a_bcf_of_gatk_is_read_as_its_text():
    path = shared("data/3-hard/bio2zarr/vcf/CEUTrio.20.21.gatk3.4.g.bcf")
    extra("pysam")
    for rule in RULES:
        as_the_plain_reader(path, rule)
