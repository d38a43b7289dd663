"""Masks on what structural variants speak of."""

from __future__ import annotations

import pytest

from policies.loci import Interval
from tests.vault.genotypes.store.test_site_tables import sites_of
from vault.views.hidden_places import HiddenPlaces
from vault.views.masks import masked_sites

APOE = HiddenPlaces((Interval("19", 44_905_795, 44_909_393),), assembly="GRCh38")
HERE, THERE = 44_300_000, 44_908_684  # before APOE, in it


def is_masked(alleles, info=b"", *, contig="chr19", pos=HERE, hidden=APOE):
    return masked_sites(sites_of([pos], [alleles], contig=contig, info=[info]), hidden).tolist() == [True]


@pytest.mark.parametrize("kind", ["DEL", "DUP", "DUP:TANDEM", "INV", "CNV", "CN0", "DEL:ME:ALU", "XYZ"])
@pytest.mark.parametrize("length", [700_000, -700_000])
def test_a_length_reaches_into_a_hidden_place(kind, length):
    assert is_masked(b"N,<%s>" % kind.encode(), b"SVLEN=%d" % length)


@pytest.mark.parametrize("kind", [b"DEL", b"DUP", b"INV", b"CNV", b"STR20"])
def test_one_that_ends_before_is_shown_and_one_without_an_end_is_not(kind):
    assert not is_masked(b"N,<%s>" % kind, b"SVLEN=-500")
    assert not is_masked(b"N,<%s>" % kind, b"END=44400000")
    assert is_masked(b"N,<%s>" % kind)
    assert not is_masked(b"N,<%s>" % kind, contig="chr18")


def test_lengths_are_one_for_each_alt():
    assert is_masked(b"N,<DEL>,<DUP>", b"SVLEN=500,700000")
    assert is_masked(b"N,<INS>,<DUP>", b"SVLEN=500,700000")
    assert not is_masked(b"N,<INS>,<DUP>", b"SVLEN=700000,500")


@pytest.mark.parametrize("contig", ["19", "chr19", "NC_000019.10", "CM000681.2"])
@pytest.mark.parametrize("form", ["N[%s:%d[", "N]%s:%d]", "]%s:%d]N", "[%s:%d[N"])
def test_a_mate_is_a_place_by_any_name_of_its_contig(contig, form):
    assert is_masked(b"N," + (form % (contig, THERE)).encode(), contig="2")
    assert not is_masked(b"N," + (form % (contig, HERE)).encode(), contig="2")


@pytest.mark.parametrize("mate", ["chr19_KI270882v1_alt", "NC_000019.9", "my_contig", "<ctg1>"])
def test_a_mate_on_a_contig_that_may_hold_the_place_is_hidden(mate):
    assert is_masked(f"N,N[{mate}:5[".encode(), contig="2")
    assert not is_masked(f"N,N[{mate}:5[".encode(), contig="2", hidden=HiddenPlaces(assembly="GRCh38"))


@pytest.mark.parametrize("alleles", [b"N,N.", b"N,.N", b"N,<BND>", b"N,<TRA>", b"N,<XYZ>", b"N,C<ctg1>", b"N,N[19[", b"A,C,A."])
@pytest.mark.parametrize("info", [b"", b"END=1500;SVTYPE=BND"])
def test_what_may_lie_anywhere_is_hidden_while_anything_is(alleles, info):
    assert is_masked(alleles, info, contig="2", pos=1000)
    assert not is_masked(alleles, info, contig="2", pos=1000, hidden=HiddenPlaces(assembly="GRCh38"))


@pytest.mark.parametrize(
    ("info", "masked"),
    [
        (b"CHR2=chr19;POS2=44908684", True),
        (b"CHR2=chr19;POS2=70;END=1001", False),
        (b"CHR2=chr19;END=44908684", True),
        (b"CHR2=chr19;END=1001", True),  # END may be of CHROM: then where on chr19 is not said
        (b"CHR2=chr18;END=44908684", False),
        (b"CHR2=chr19;POS2=44900000;END2=44999999", True),
    ],
)
def test_what_callers_write_for_mates_is_heard(info, masked):
    assert is_masked(b"N,<TRA>", info, contig="2", pos=1000) == masked


def test_position_zero_is_the_first_base():
    start = HiddenPlaces((Interval("1", 0, 100),), assembly="GRCh38")
    assert is_masked(b"N,A", contig="1", pos=0, hidden=start)
    assert is_masked(b"N,<DUP>", b"END=15195", contig="1", pos=0, hidden=start)
    assert is_masked(b"N,.[1:0[", contig="2", pos=0, hidden=start)
    assert not is_masked(b"N,A", contig="1", pos=0, hidden=HiddenPlaces((Interval("1", 1, 100),), assembly="GRCh38"))


def test_an_end_before_the_site_means_what_lies_between():
    assert is_masked(b"N,<DEL>", b"END=44300000;SVTYPE=DEL", pos=45_300_000)
    assert not is_masked(b"N,<DEL>", b"END=45299990;SVTYPE=DEL", pos=45_300_000)
    assert not is_masked(b"N,<INS>", b"END=0;SVTYPE=INS", pos=45_300_000)
