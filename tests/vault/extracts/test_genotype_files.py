"""How a release's genotypes were written, by the names in its manifest."""

from __future__ import annotations

import json

import pytest

from vault.extracts.genotype_files import FileChoice, choice_of


def manifest(*names):
    return json.dumps({"manifest": {"files": [{"name": name} for name in (*names, "README.txt")]}})


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["genotypes.vcf.gz", "genotypes.vcf.gz.csi", "genotypes.vcf.gz.tbi"], FileChoice()),
        (["genotypes.22.vcf.gz.c4gh", "genotypes.22.vcf.gz.csi.c4gh"], FileChoice(by_contig=True)),
        (["genotypes.bcf.c4gh", "genotypes.bcf.csi.c4gh"], FileChoice("bcf")),
        (["genotypes.pgen", "genotypes.psam", "genotypes.pvar"], FileChoice("pgen")),
        (["genotypes.contig-1.pgen", "genotypes.contig-1.psam", "genotypes.contig-1.pvar"], FileChoice("pgen", by_contig=True)),
        (["calls.parquet.c4gh", "samples.parquet.c4gh", "sites.parquet.c4gh"], FileChoice("parquet")),
        (["calls.22.parquet", "samples.parquet", "sites.22.parquet"], FileChoice("parquet", by_contig=True)),
        (["calls.parquet", "sites.parquet"], FileChoice("parquet", layout="wide")),
    ],
)
def test_a_release_says_how_it_was_written(names, chosen):
    assert choice_of(manifest(*names)) == chosen


def test_a_manifest_without_genotypes_says_nothing():
    with pytest.raises(ValueError, match="genotypes"):
        choice_of(manifest())
