from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import GenovaultError
from vault.genotypes.site_identity import family_keys
from vault.genotypes.sites import Sites, TextColumn
from vault.genotypes.store.site_redaction import blank, extent, losing, shown
from vault.genotypes.store.site_tables import SiteTable

ALLELES = [b"A,G", b"C,T,GATTACA", b"G", b"T,C,CC"]


def table(alleles: list[bytes] = ALLELES) -> SiteTable:
    m = len(alleles)
    dots = TextColumn.from_items([b"rs%d" % at for at in range(m)])
    sites = Sites(
        ("22",),
        np.zeros(m, np.int32),
        np.arange(m, dtype=np.int64) * 10 + 100,
        TextColumn.from_items(alleles),
        dots,
        TextColumn.from_items([b"PASS"] * m),
        TextColumn.from_items([b""] * m),
    )
    return SiteTable(sites, b"coding")


def pairs(*items: tuple[int, int]) -> np.ndarray:
    return np.array(items, np.int64).reshape(-1, 2)


def test_an_alt_beside_others_is_emptied_and_the_site_stays():
    made = blank(table(), pairs((1, 2)))
    assert made.sites.alleles.items() == [b"A,G", b"C,T,", b"G", b"T,C,CC"]
    assert made.sites.ids.items() == table().sites.ids.items()
    assert made.sites.n_alleles().tolist() == [2, 3, 1, 3]


def test_a_site_without_an_alt_left_loses_everything_and_its_place():
    made = blank(table(), pairs((0, 1), (3, 1), (3, 2)))
    assert made.sites.alleles.items() == [b"", b"C,T,GATTACA", b"G", b""]
    assert made.sites.ids.items() == [b".", b"rs1", b"rs2", b"."]
    assert made.sites.pos.tolist() == [110, 110, 120, 120]
    assert shown(made.sites).tolist() == [1, 2]
    assert extent(made.sites) == (110, 120, 120)


def test_a_place_that_is_told_of_stays_without_names():
    made = blank(table(), pairs((0, 1), (3, 1), (3, 2)), np.array([3]))
    assert made.sites.alleles.items() == [b"", b"C,T,GATTACA", b"G", b"T,,"]
    assert made.sites.ids.items() == [b".", b"rs1", b"rs2", b"."]
    assert made.sites.filters.items()[3] == b"PASS"
    assert made.sites.pos.tolist() == [110, 110, 120, 130]
    assert shown(made.sites).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("alleles", "info", "left"),
    [
        (b"N,<DEL>", b"SVLEN=-500", b"END=600;SVTYPE=DEL;SVLEN=-500"),
        (b"N,<CN0>", b"END=600;SVTYPE=CNV", b"END=600;SVTYPE=CNV"),
        (b"N,G", b"", b""),
    ],
)
def test_a_structural_place_that_is_told_of_is_still_of_its_family(alleles, info, left):
    whole = table([alleles])
    whole = SiteTable(replace(whole.sites, info=TextColumn.from_items([info])), b"coding")
    made = blank(whole, pairs((0, 1)), np.array([0])).sites
    assert (made.alleles.items(), made.info.items()) == ([alleles.split(b",")[0] + b","], [left])
    assert family_keys(made) == family_keys(whole.sites)


def test_rows_that_lose_their_last_alt_are_told_apart():
    assert losing(table().sites, pairs((0, 1), (1, 1), (3, 1), (3, 2))).tolist() == [0, 3]
    once = blank(table(), pairs((3, 1)))
    assert losing(once.sites, pairs((3, 2))).tolist() == [3]


def test_when_all_goes_not_even_a_position_is_left():
    made = blank(table([b"A,G"]), pairs((0, 1)))
    assert made.sites.pos.tolist() == [1]
    assert extent(made.sites) == (1, 1, 1)


def test_a_later_erasure_takes_the_rest_of_a_site():
    once = blank(table(), pairs((3, 1)))
    assert once.sites.alleles[3] == b"T,,CC"
    assert blank(once, pairs((3, 2))).sites.alleles[3] == b""


@pytest.mark.parametrize("item", [(9, 1), (0, 2), (0, 0), (2, 1)])
def test_what_is_not_there_is_not_blanked(item):
    with pytest.raises(GenovaultError) as caught:
        blank(table(), pairs(item))
    assert caught.value.code == "alt_unknown"


@given(st.lists(st.sampled_from([(0, 1), (1, 1), (1, 2), (3, 1), (3, 2)]), unique=True))
def test_a_blanked_table_is_a_table_and_ordinals_stay(items):
    made = blank(table(), pairs(*sorted(items)))
    again = SiteTable.from_bytes(made.to_bytes() if items else table().to_bytes())
    assert len(again.sites) == len(ALLELES)
    assert again.coding == b"coding"
    for row, allele in items:
        gone = ALLELES[row].split(b",")[allele]
        assert gone not in again.sites.alleles[row].split(b",")[1:]
    untouched = {0, 1, 2, 3} - {row for row, _ in items}
    assert all(again.sites.alleles[row] == ALLELES[row] for row in untouched)
    assert (np.diff(again.sites.pos) >= 0).all()
