"""The example's criteria pack: the same facts as the engine's, asked in place."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from policies.criteria.packs import lint, parse_pack
from tests.support import criteria, matched
from tests.support.held import Held
from tests.support.sources import ROOT
from tests.support.vcf_text import vcf
from vault import gate
from vault.files.yaml_documents import read_yaml
from vault.genotypes.catalog import datasets, panels
from vault.genotypes.loci import parse_loci

ENGINE = ROOT / "examples" / "matching_engine"
sys.path.insert(0, str(ENGINE))
import engine  # noqa: E402 - the example is a folder of programs
import packs  # noqa: E402 - as above


@pytest.mark.parametrize("assembly", ["GRCh37", "GRCh38"])
def test_the_pack_is_made_of_the_facts(assembly):
    path = ENGINE / f"pack.{assembly}.yaml"
    assert path.read_text() == packs.as_yaml(packs.criteria_pack(assembly))
    assert lint(read_yaml(path)) == ()
    assert len(parse_pack(read_yaml(path)).criteria) == 13


def test_who_has_a_finding_in_place_has_it_in_a_view(tmp_path):
    """People of random genotypes: of every criterion the engine's own calls, where phase does not leave them open."""
    held, draw = Held.make(tmp_path), np.random.default_rng(4)
    loci = [line.split("\t")[:5] for line in (ENGINE / "panel.GRCh38.vcf").read_text().splitlines() if not line.startswith("#")]
    spelled = ["0/0", "0/0", "0/1", "1/1", "./."]
    rows = [f"{contig} {pos} {ref} {alt} {' '.join(draw.choice(spelled, 40))}" for contig, pos, _, ref, alt in loci]
    held.load(held.write("c.vcf", vcf(" ".join(f"P{at}" for at in range(40)), *rows).data), assayed="all")
    matched.accept(held)
    panels.create(
        held.vault,
        "pgx",
        parse_loci((ENGINE / "panel.GRCh38.vcf").read_bytes(), name="panel"),
        dataset_id=datasets.by_name(held.vault, "cohort").dataset_id,
    )
    criteria.approved(held.vault, read_yaml(ENGINE / "pack.GRCh38.yaml"))
    matched.declare(held, "matching", kinds=["records", "matching"])
    found = matched.ask(held, "pgx-findings@1", panel="pgx")
    view = gate.view(held.vault, project="matching", dataset="cohort", panel="pgx")
    calls = {(match.call.gene.lower(), match.pseudonym): match.call for match in engine.run(view)}
    for one in found.criteria:
        gene, _, phenotype = one.id.partition("-")
        if gene == "dpyd":
            continue  # asked by variants
        listed = {str(name) for name in one.matched}
        for name in view.pseudonyms:
            call = calls[gene, str(name)]
            if call.status == "called":
                hit = phenotype == call.phenotype.lower().replace(" ", "-") or (
                    phenotype == "finding" and not call.phenotype.startswith("Normal")
                )
                assert (str(name) in listed) == hit, (one.id, call)
    said = engine.findings(found)
    assert "cyp2c19-finding" in said
    held.vault.close()
