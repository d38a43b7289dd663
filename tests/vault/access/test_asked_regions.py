"""Regions are held against the dataset, for those who may know what it has."""

import pytest

from tests.support import vaults
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import requests
from vault.errors import InputError


@pytest.mark.parametrize("region", ["chr99:1-5", "CYP2Z9", "23", "{HLA-A*01:01:01:01}", "X"])
def test_a_contig_that_the_dataset_lacks_is_refused_to_a_steward(s, region):
    size = s.trail.log.size()
    for ask in (
        lambda: requests.submit(
            s, "demo", "cohort", kind=vaults.RequestKind.RECORDS, spec=requests.Spec(regions=("22:1-5", region))
        ),
        lambda: gate.view(s, project="demo", dataset="cohort", regions=[region]),
    ):
        with pytest.raises(InputError) as refused:
            ask()
        assert refused.value.code == "contig_not_held"
        assert "it has 22" in refused.value.message
    assert s.trail.log.size() == size + 2


def test_another_spelling_of_a_contig_that_it_has(s):
    for region in ("chr22:1-1200", "NC_000022.11:1-1200", "22:1-1.2k"):
        assert len(gate.view(s, project="demo", dataset="cohort", regions=[region]).sites)


COMT = {"GRCh37": "22:19917359-19962473", "GRCh38": "22:19929836-19974950"}  # pypgx gene-table.csv
EDGES = "22 19917358 A G 0/1 0/0|22 19917359 A G 0/1 0/0|22 19962473 A G 0/1 0/0|22 19962474 A G 0/1 0/0|22 19974950 A G 0/1 1/1"


@pytest.mark.parametrize("assembly", COMT)
@pytest.mark.parametrize("asked", [{"genes": ("COMT",)}, {"regions": ("comt",)}, {"genes": (" Comt ",), "regions": ("22:1-5",)}])
def test_a_gene_is_its_positions_on_the_dataset_s_assembly(held, assembly, asked):
    held.load(held.write("c.vcf", vcf("NEW_1 NEW_2", *EDGES.split("|")).data), name="genes", assembly=assembly)
    held.everyone_consents()
    held.project("gene", "genes")
    spec = requests.submit(held.vault, "gene", "genes", kind=vaults.RequestKind.RECORDS, spec=requests.Spec(**asked)).spec
    assert COMT[assembly] in spec.regions
    assert spec.genes == asked.get("genes", ())
    shown = gate.view(held.vault, project="gene", dataset="genes", regions=list(spec.regions)).sites.pos.tolist()
    first, last = map(int, COMT[assembly].partition(":")[2].split("-"))
    assert shown == [pos for pos in (19917358, 19917359, 19962473, 19962474, 19974950) if first <= pos <= last]
    if "genes" not in asked:
        assert gate.view(held.vault, project="gene", dataset="genes", regions=["COMT"]).sites.pos.tolist() == shown


def test_a_gene_without_known_positions_is_refused_with_those_that_are_like_it(s):
    with pytest.raises(InputError) as refused:
        requests.submit(s, "demo", "cohort", kind=vaults.RequestKind.RECORDS, spec=requests.Spec(genes=("COMTT",)))
    assert refused.value.code == "gene_unknown"
    assert "did you mean COMT" in refused.value.hint


def test_a_contig_that_is_called_as_a_gene_is_the_contig(held):
    held.load(held.write("c.vcf", vcf("NEW_1 NEW_2", "COMT 5 A G 0/1 0/0").data), name="odd", assembly="GRCh38")
    held.everyone_consents()
    held.project("odd", "odd")
    assert gate.view(held.vault, project="odd", dataset="odd", regions=["COMT"]).sites.pos.tolist() == [5]
