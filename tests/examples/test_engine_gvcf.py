"""The example engine calls a person from a gVCF alone: every locus of its panel has a row, whether anybody carries it or not."""

from __future__ import annotations

from pathlib import Path

import engine
import pytest

from tests.support.gvcf_text import block, gvcf
from tests.support.held import Held
from tests.support.outside import shared
from vault import gate
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import parse_loci

PANEL = Path(__file__).parents[2] / "examples" / "matching_engine" / "panel.GRCh38.vcf"
PHARMCAT = "data/2-pgx/pharmcat_preprocessor/preprocessor/tests/test.g.vcf.bgz"


@pytest.fixture
def held(tmp_path):
    made = Held.make(tmp_path)
    yield made
    made.vault.close()


def matches(held: Held, *files: Path) -> dict[tuple[str, str], engine.Match]:
    held.load(*files, name="lab")
    held.everyone_consents()
    loci = parse_loci(PANEL.read_bytes(), name="panel")
    panel_builder.create(held.vault, datasets.by_name(held.vault, "lab"), "pgx", loci)
    held.project("demo", "lab")
    view = gate.view(held.vault, project="demo", dataset="lab", panel="pgx")
    names = held.names("demo")
    return {(names[match.pseudonym], match.call.gene): match for match in engine.run(view)}


def test_a_person_is_called_from_a_gvcf_alone(held):
    whole = [block(18_130_000, 18_130_686, contig="chr6"), block(18_130_688, 18_150_000, contig="chr6")]
    one = gvcf("one", whole[0], "chr6 18130687 T C,<NON_REF> 0/1 50", whole[1])
    two = gvcf("two", block(18_130_000, 18_150_000, contig="chr6"))
    three = gvcf("three", block(18_130_000, 18_140_000, contig="chr6"))
    found = matches(held, *(held.write(f"{at}.g.vcf", data) for at, data in enumerate((one, two, three))))
    assert found["one", "TPMT"].call.diplotype == "*1/*3C"
    assert found["two", "TPMT"].call.diplotype == "*1/*1"
    assert found["three", "TPMT"].call.status == "indeterminate"  # a locus was not assayed
    assert found["two", "CYP2C19"].call.status == "indeterminate"


def test_pharmcat_s_own_gvcf_says_nothing_of_genes_that_it_does_not_cover(held):
    found = matches(held, shared(PHARMCAT))
    assert {match.call.status for match in found.values()} == {"indeterminate"}
