"""Regions are held against the dataset, for those who may know what it has."""

import pytest

from tests.support import vaults
from vault import gate
from vault.access import requests
from vault.errors import InputError


@pytest.mark.parametrize("region", ["chr99:1-5", "CYP2C9", "23", "{HLA-A*01:01:01:01}", "X"])
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
