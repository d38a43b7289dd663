"""Names of assemblies: patch releases and accessions are the assembly that they patch."""

import pytest

from policies.assemblies import known_assembly, normalise_assembly
from policies.errors import PolicyInputError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hg38", "GRCh38"),
        (" GRCH38 ", "GRCh38"),
        ("hg19", "GRCh37"),
        ("mm10", "mm10"),
        ("GRCh38.p14", "GRCh38"),
        ("GRCh38p7", "GRCh38"),
        ("grch38_p2", "GRCh38"),
        ("hg38.p13", "GRCh38"),
        ("GRCh37.p13", "GRCh37"),
        ("hg19.p13", "GRCh37"),
        ("hs38DH", "GRCh38"),
        ("hs37d5", "GRCh37"),
        ("human_g1k_v37", "GRCh37"),
        ("GCA_000001405.1", "GRCh37"),
        ("GCA_000001405.14_GRCh37.p13", "GRCh37"),
        ("GCA_000001405.15", "GRCh38"),
        ("GCF_000001405.25", "GRCh37"),
        ("GCF_000001405.40_GRCh38.p14", "GRCh38"),
        ("GCF_000001405.12", "GCF_000001405.12"),
        ("GCA_009914755.4", "T2T-CHM13v2.0"),
        ("GCF_009914755.1", "T2T-CHM13v2.0"),
        ("GCA_009914755.3", "GCA_009914755.3"),
        ("CHM13v1.1", "CHM13v1.1"),
        ("hg20", "hg20"),
        ("GRCh38.p", "GRCh38.p"),
        ("GRCh38.p14x", "GRCh38.p14x"),
    ],
)
def test_assembly_spellings(name, expected):
    assert normalise_assembly(name) == expected


def test_a_name_that_must_be_known():
    assert known_assembly(" hg38.p13 ") == "GRCh38"
    with pytest.raises(PolicyInputError) as caught:
        known_assembly("hg20", place="here")
    assert (caught.value.code, caught.value.place) == ("assembly_unknown", "here")
    assert "did you mean hg" in caught.value.message
