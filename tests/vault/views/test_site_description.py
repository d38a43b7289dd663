"""What a view says of its sites: spelling after an ALT went, against an obvious trimmer, and INFO of structural ALTs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.carried import shortest
from tests.vault.genotypes.store.test_site_tables import sites_of
from vault.genotypes.sites import TextColumn
from vault.views.site_description import describe


def described(pos, alleles, kept, *, info=None, spelled=None, keep_ids=False, ids=None):
    sites = sites_of(pos, alleles, info=info)
    if ids:
        sites = type(sites)(
            sites.contigs, sites.contig, sites.pos, sites.alleles, TextColumn.from_items(ids), sites.filters, sites.info
        )
    flags = np.array([flag for site in kept for flag in site], np.bool_)
    return describe(sites, flags, np.array(spelled or [False] * len(pos)), keep_ids=keep_ids, assembly="GRCh38")


def spelled(alleles, kept, *, info=b""):
    found = described([100], [alleles], [kept], info=[info]).sites
    return int(found.pos[0]), found.alleles[0], found.info[0]


@pytest.mark.parametrize(
    ("alleles", "kept", "shown"),
    [
        (b"ACGT,A,ACTT", [1, 0, 1], (102, b"G,T")),
        (b"ACGT,A,TCGT", [1, 0, 1], (100, b"A,T")),
        (b"ACGT,A", [1, 0], (100, b"A")),
        (b"ACGT,A,ACG", [1, 0, 1], (102, b"GT,G")),
        (b"ACGT,A,ACGTT", [1, 0, 1], (102, b"G,GT")),
        (b"ACGT,A,ACG", [1, 1, 1], (100, b"ACGT,A,ACG")),  # nothing went: the dataset's own spelling
        (b"acgt,A,ACTT", [1, 0, 1], (102, b"g,T")),
        (b"ACGT,A,ACTT,*", [1, 0, 1, 1], (102, b"G,T,*")),
        (b"ACGT,A,*", [1, 0, 1], (100, b"A,*")),
        (b"ACGT,A,ACTT,<DUP>", [1, 0, 1, 1], (100, b"ACG,ACT,<DUP>")),
        (b"ACGT,A,<DUP>", [1, 0, 1], (100, b"A,<DUP>")),
        (b"ACGT,A,ACGT[2:7[", [1, 0, 1], (100, b"ACGT,ACGT[2:7[")),
        (b"ACGT,A,ACGT.", [1, 0, 1], (100, b"ACGT,ACGT.")),
        (b"AAAA,A,AAA", [1, 0, 1], (100, b"AA,A")),
        (b"ACAC,A,ACACAC", [1, 0, 1], (100, b"A,ACA")),
    ],
)
def test_what_only_a_lost_alt_needed_goes_at_both_ends(alleles, kept, shown):
    assert spelled(alleles, kept)[:2] == shown


def test_a_ref_that_a_panel_spells_stays():
    found = described([100, 100], [b"ACGT,A,ACTT"] * 2, [[1, 0, 1]] * 2, spelled=[True, False])
    assert (found.sites.alleles.items(), found.sites.pos.tolist()) == ([b"ACGT,ACTT", b"G,T"], [100, 102])
    assert found.trimmed.tolist() == [False, True]


bases = st.text("ACac", min_size=1, max_size=5)
alts = st.one_of(bases, st.sampled_from(["*", "<DEL>", "A[2:7[", "]2:7]C", "C."]))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(bases, st.lists(st.tuples(alts, st.booleans()), max_size=4)), max_size=5))
def test_spelling_agrees_with_an_obvious_trimmer(drawn):
    texts = [",".join([ref, *(alt for alt, _ in some)]).encode() for ref, some in drawn]
    kept = [[True, *(flag for _, flag in some)] for _, some in drawn]
    found = described([100 + row for row in range(len(drawn))], texts, kept)
    for row, (ref, some) in enumerate(drawn):
        left = [alt for alt, flag in some if flag]
        expected = (100 + row, ref, left) if len(left) == len(some) else shortest(100 + row, ref, left)
        pos, ref_left, alts_left = expected
        assert (int(found.sites.pos[row]), found.sites.alleles[row].decode()) == (pos, ",".join([ref_left, *alts_left]))
        assert bool(found.trimmed[row]) == ((ref_left, alts_left) != (ref, left))


@pytest.mark.parametrize(
    ("alleles", "kept", "info", "shown"),
    [
        (b"N,<DEL>", [1, 1], b"END=900;SVTYPE=DEL;SVLEN=-800", b"END=900;SVTYPE=DEL;SVLEN=-800"),
        (b"N,<DEL>", [1, 1], b"SVLEN=800", b"END=900;SVLEN=800"),
        (b"N,<INS>", [1, 1], b"SVTYPE=INS;SVLEN=800", b"SVTYPE=INS;SVLEN=800"),
        (b"N,<DEL>", [1, 1], b"END=50;SVTYPE=DEL", b"SVTYPE=DEL"),
        (b"N,<DEL>", [1, 1], b"END=50;SVLEN=8", b"END=108;SVLEN=8"),
        (b"N,<DEL>,<DUP>", [1, 0, 1], b"END=900;SVTYPE=DEL;SVLEN=800,70", b"END=170;SVLEN=70"),
        (b"N,<DEL>,<DUP>", [1, 1, 0], b"END=900;SVTYPE=DEL;SVLEN=800,70", b"END=900;SVTYPE=DEL;SVLEN=800"),
        (b"N,<DEL>,A", [1, 0, 1], b"END=900;SVTYPE=DEL;SVLEN=800,.", b""),
        (b"N,<DEL>", [1, 1], b"END=900;SVTYPE=JohnDoe;CHR2=JohnDoe;POS2=5;END2=6", b"END=900"),
        (b"N,<DEL>", [1, 1], b"SVLEN=9999999999", b""),
        (b"N,<DEL>", [1, 1], b"END=900;SVLEN=.", b"END=900"),
        (b"N,N[2:7[", [1, 1], b"SVTYPE=BND", b"SVTYPE=BND"),
        (b"N,N.", [1, 1], b"SVTYPE=BND", b"SVTYPE=BND"),
        (b"N,.N", [1, 1], b"SVTYPE=TRA", b"SVTYPE=BND"),
        (b"N,C", [1, 1], b"SVTYPE=SNV;END=900", b""),
    ],
)
def test_info_is_of_the_alts_that_stay(alleles, kept, info, shown):
    assert spelled(alleles, kept, info=info)[2] == shown


def test_an_id_goes_where_it_may_be_of_an_alt_that_went():
    found = described(
        [1, 2, 3, 4],
        [b"A,C", b"A,C,T", b"A,C,T", b"ACC,A,ACT"],
        [[1, 1], [1, 0, 1], [1, 0, 1], [1, 0, 1]],
        keep_ids=True,
        ids=[b"rs1;rs2", b"rs3", b"rs4;rs5", b"rs6"],
    )
    assert found.sites.ids.items() == [b"rs1;rs2", b"rs3", b".", b"."]


def test_many_sites_keep_their_places():
    found = described([1, 2, 3], [b"A,<X>", b"C,G", b"T,T[my_contig:7["], [[1, 1]] * 3, info=[b"END=9", b"", b""])
    assert found.sites.alleles.items() == [b"A,<*>", b"C,G", b"T,T."]
    assert found.sites.info.items() == [b"END=9", b"", b""]
