from __future__ import annotations

import pytest

from tests.vault.genotypes.store.test_site_tables import sites_of
from vault.genotypes.site_identity import family_keys, spelled


def keys(*records: tuple[bytes, bytes]):
    return family_keys(sites_of([1000] * len(records), [alleles for alleles, _ in records], info=[info for _, info in records]))


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
    first, second = keys((alleles, one), (alleles, other))
    assert first != second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"N,<DEL>", b"N,<DUP>"),
        (b"N,<INS:ME:ALU>", b"N,<INS:ME:LINE1>"),
        (b"N,N[19:7[", b"N,N[20:7["),
        (b"N,N[19:7[", b"N,]19:7]N"),
        (b"N,N.", b"N,.N"),
        (b"N,N.", b"N,G"),
        (b"N,<DEL>", b"N,G"),
    ],
)
def test_structural_variants_of_another_type_or_mate_are_other_variants(one, other):
    first, second = keys((one, b""), (other, b""))
    assert first != second


@pytest.mark.parametrize(
    ("alleles", "one", "other"),
    [
        (b"N,<DEL>", b"END=1500;SVLEN=500", b"SVLEN=-500"),
        (b"N,<DEL>", b"END=1500;SVTYPE=DEL;SVLEN=-500", b"END=1500"),
        (b"N,<DEL:ME>", b"END=1500;SVTYPE=DEL", b"END=1500"),
        (b"N,<INS>", b"SVTYPE=INS;SVLEN=500", b"SVLEN=500"),
        (b"N,N[19:7[", b"SVTYPE=BND", b""),
        (b"N,N.", b"SVTYPE=BND", b""),
        (b"N,<DEL>", b"END=1500;CHR2=chr1", b"END=1500;CHR2=1"),
        (b"N,<CN0>,<CN2>", b"END=1500;SVLEN=500,500", b"END=1500"),
    ],
)
def test_what_follows_from_the_rest_makes_no_difference(alleles, one, other):
    first, second = keys((alleles, one), (alleles, other))
    assert first == second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((b"A,C,T", b""), (b"A,T", b"")),
        ((b"A,C,T", b""), (b"A,,T", b"")),
        ((b"A,C", b""), (b"A", b"")),
        ((b"A,C", b""), (b"a,c", b"")),
        ((b"A,C", b""), (b"A,<*>", b"")),
        ((b"N,<CN0>,<CN2>", b"END=1500;SVTYPE=CNV"), (b"N,,<CN2>", b"END=1500;SVTYPE=CNV")),
        ((b"N,<CN0>,<CN2>", b"END=1500"), (b"N,<CN0>,", b"END=1500")),
        ((b"N,<CN0>", b"END=1500;SVTYPE=CNV"), (b"N,", b"END=1500;SVTYPE=CNV")),
        ((b"n,n[chr19:7[", b""), (b"N,N[chr19:7[", b"")),
    ],
)
def test_which_alts_a_record_lists_makes_no_difference(one, other):
    first, second = keys(one, other)
    assert first == second


def test_other_sites_are_their_ref():
    assert keys((b"A,C,T", b""), (b"acg,a", b"")) == [b"A", b"ACG"]


@pytest.mark.parametrize(
    ("allele", "other"),
    [
        (b"acgtn", b"ACGTN"),
        (b"<INS:me>", b"<INS:me>"),
        (b"n[chr19:7[", b"N[chr19:7["),
        (b"]chrUn_x:7]t", b"]chrUn_x:7]T"),
        (b".t", b".T"),
    ],
)
def test_bases_are_spelled_in_upper_case_and_names_as_they_are(allele, other):
    assert spelled(allele) == other
