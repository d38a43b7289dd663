from __future__ import annotations

import pytest

from tests.vault.genotypes.store.test_site_tables import sites_of
from vault.genotypes.mates import mates_of
from vault.limits import MAX_POSITION


def mates(alleles, info=b""):
    found = mates_of(sites_of([1000], [alleles], info=[info]))
    assert set(found.rows.tolist()) <= {0}
    return list(zip(found.contigs, found.first.tolist(), found.last.tolist(), found.sure.tolist(), strict=True))


@pytest.mark.parametrize("alt", [b"N[19:70[", b"N]19:70]", b"]19:70]N", b"[19:70[N", b"NACGT[19:70[", b"[19:70[."])
def test_every_form_of_a_breakend_names_its_mate(alt):
    assert mates(b"N," + alt) == [("19", 70, 70, True)]


def test_contigs_may_hold_colons_and_each_alt_has_its_mate():
    found = mates(b"N,N[HLA-A*01:01:5[,A,]chr2:0]N,N[<ctg1>:9[")
    assert found == [("HLA-A*01:01", 5, 5, True), ("chr2", 0, 0, True), ("<ctg1>", 9, 9, True)]


def test_a_mate_that_cannot_be_read_is_anywhere():
    assert mates(b"N,N[19[") == [("", 1, 1, False)]
    assert mates(b"N,N[19:99999999999999[") == [("19", MAX_POSITION, MAX_POSITION, True)]


@pytest.mark.parametrize(
    ("info", "places"),
    [
        (b"END=1500;CHR2=19;POS2=70", [("19", 70, 70, True)]),
        (b"CHR2=19;POS2=70;END2=90", [("19", 70, 90, True)]),
        (b"POS2=70;END2=90", [("chr1", 70, 90, True)]),
        (b"END=1070;CHR2=19", [("19", 1070, 1070, False)]),  # some callers mean CHR2, the specification means CHROM
        (b"CHR2=19", [("19", 1, 1, False)]),
        (b"CHR2=19;POS2=x", [("19", -1, -1, False)]),
        (b"END=1500;CHR2=1", []),
        (b"END=70;SVTYPE=DEL", [("chr1", 70, 1000, True)]),
        (b"END=1500;SVLEN=500", []),
    ],
)
def test_what_callers_write_beside_a_symbol(info, places):
    assert mates(b"N,<DEL>", info) == places


def test_an_insertion_before_its_own_end_reaches_nowhere():
    assert mates(b"N,<INS>", b"END=999") == []
