from __future__ import annotations

from tests.vault.genotypes.store.test_site_tables import sites_of
from vault.genotypes.sites import ends_before_start, site_ends
from vault.limits import MAX_POSITION


def test_ends_follow_ref_and_end():
    sites = sites_of(
        [10, 20, 30, 40],
        [b"A,T", b"ACGT,A,ACG", b"N,<DEL>", b"GG"],
        info=[b"", b"", b"END=90;SVTYPE=DEL", b"END=x"],
    )
    assert site_ends(sites).tolist() == [10, 23, 90, 41]


def test_an_end_beyond_every_contig_is_the_last_position_there_can_be():
    assert site_ends(sites_of([5], [b"N,<DEL>"], info=[b"END=99999999999999999999999"])).tolist() == [MAX_POSITION]


def test_an_end_before_its_site_is_told_apart():
    sites = sites_of([5, 6, 7], [b"N,<DEL>"] * 3, info=[b"END=4;SVTYPE=DEL", b"END=6", b""])
    assert ends_before_start(sites).tolist() == [True, False, False]
    assert site_ends(sites).tolist() == [5, 6, 7]
