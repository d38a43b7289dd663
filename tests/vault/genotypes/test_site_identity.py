from __future__ import annotations

import pytest

from tests.vault.genotypes.store.test_site_tables import sites_of
from vault.genotypes.site_identity import variant_keys


def keys(alleles, *info):
    return variant_keys(sites_of([1000] * len(info), [alleles] * len(info), info=list(info)))


@pytest.mark.parametrize(
    ("alleles", "one", "other"),
    [
        (b"N,<DEL>", b"END=1500", b"END=1600"),
        (b"N,<DEL>", b"SVLEN=500", b"SVLEN=600"),
        (b"N,<DEL>", b"END=1500;SVLEN=500", b"END=1500;SVLEN=400"),
        (b"N,<INS>", b"SVLEN=500", b"SVLEN=600"),
        (b"N,<INS>", b"END=1000;SVLEN=500", b"END=1000;SVLEN=600"),
        (b"N,<CN0>,<CN2>", b"SVLEN=500,500", b"SVLEN=500,400"),
        (b"N,<DUP>", b"END=1500;SVTYPE=DUP", b"END=1500;SVTYPE=CNV"),
        (b"N,<TRA>", b"END=70;CHR2=19", b"END=70;CHR2=20"),
        (b"N,<TRA>", b"CHR2=19;POS2=70", b"CHR2=19;POS2=71"),
        (b"N,<DEL>", b"END=1500", b""),
    ],
)
def test_what_differs_in_kind_or_place_is_another_variant(alleles, one, other):
    first, second = keys(alleles, one, other)
    assert first != second


@pytest.mark.parametrize(
    ("alleles", "one", "other"),
    [
        (b"N,<DEL>", b"END=1500;SVLEN=500", b"SVLEN=-500"),
        (b"N,<DEL>", b"END=1500;SVTYPE=DEL;SVLEN=-500", b"END=1500"),
        (b"N,<DEL:ME>", b"END=1500;SVTYPE=DEL", b"END=1500"),
        (b"N,<INS>", b"SVTYPE=INS;SVLEN=500", b"SVLEN=500"),
        (b"N,N[19:7[", b"SVTYPE=BND", b""),
        (b"N,<DEL>", b"END=1500;CHR2=chr1", b"END=1500;CHR2=1"),
    ],
)
def test_what_follows_from_the_rest_makes_no_difference(alleles, one, other):
    first, second = keys(alleles, one, other)
    assert first == second


def test_other_sites_are_their_alleles():
    assert keys(b"A,C,T", b"") == [b"A,C,T"]
