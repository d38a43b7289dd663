from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vault.genotypes.store.test_site_tables import sites_of
from vault.genotypes.sites import TextColumn, short_sequences, site_ends, site_extents
from vault.limits import MAX_POSITION


def extents_of(alleles, info=b""):
    return site_extents(sites_of([1000], [alleles], info=[info]))


def test_ends_follow_ref_and_end():
    sites = sites_of(
        [10, 20, 30, 40],
        [b"A,T", b"ACGT,A,ACG", b"N,<DEL>", b"GG"],
        info=[b"", b"", b"END=90;SVTYPE=DEL", b"END=x"],
    )
    assert site_ends(sites).tolist() == [10, 23, 90, 41]


@pytest.mark.parametrize(
    ("alleles", "info", "end"),
    [
        (b"N,<DEL>", b"SVTYPE=DEL;SVLEN=-500", 1500),
        (b"N,<DUP>", b"SVLEN=500", 1500),
        (b"N,<INV>", b"SVLEN=500", 1500),
        (b"N,<CNV>", b"SVLEN=500", 1500),
        (b"N,<DUP:TANDEM>", b"SVLEN=500", 1500),
        (b"N,<CN0>,<CN2>", b"SVLEN=500,700", 1700),
        (b"N,<CN0>,<CN2>", b"SVLEN=700", 1700),
        (b"N,<INS>,<DEL>", b"SVLEN=9000,700", 1700),
        (b"N,<INS>,<DEL>", b"SVLEN=.,-700", 1700),
        (b"N,<DEL>,A", b"SVLEN=700,.", 1700),
        (b"N,<INS>", b"SVLEN=500", 1000),
        (b"N,<DEL>", b"END=1100;SVLEN=500", 1500),
        (b"N,<DEL>", b"END=1500;SVLEN=-100", 1500),
        (b"N,<DEL>", b"SVLEN=9999999999", MAX_POSITION),
        (b"NNNN,<DEL>", b"SVLEN=1", 1003),
        (b"N,<XYZ>", b"SVLEN=500", 1500),
    ],
)
def test_lengths_reach_as_far_as_they_say(alleles, info, end):
    assert extents_of(alleles, info).ends.tolist() == [end]


def test_an_end_beyond_every_contig_is_the_last_position_there_can_be():
    assert site_ends(sites_of([5], [b"N,<DEL>"], info=[b"END=99999999999999999999999"])).tolist() == [MAX_POSITION]


def test_an_end_before_its_site_is_told_apart():
    sites = sites_of([5, 6, 7], [b"N,<DEL>"] * 3, info=[b"END=4;SVTYPE=DEL", b"END=6", b""])
    assert site_extents(sites).backward.tolist() == [True, False, False]
    assert site_ends(sites).tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("alleles", "flags"),
    [
        (b"N,<DEL>", {"endless", "spanning"}),
        (b"N,<CNV:TR>", {"endless", "spanning"}),
        (b"N,<STR12>", {"endless", "spanning"}),
        (b"N,<INS>", set()),
        (b"N,<INS:ME:ALU>", set()),
        (b"N,<*>", set()),
        (b"N,<NON_REF>", set()),
        (b"N,A,*", set()),
        (b"N,.[2:7[", set()),
        (b"N,]2:7].", set()),
        (b"N,N[2:7[", set()),  # its mate says where it goes
        (b"N,<BND>", {"joined", "spanning"}),
        (b"N,A,<TRA>", {"joined", "spanning"}),
        (b"N,<XYZ>", {"endless", "unplaced", "spanning"}),
        (b"N,<CNX>", {"endless", "unplaced", "spanning"}),
        (b"N,N.", {"endless", "unplaced", "spanning"}),
        (b"N,.N", {"endless", "unplaced", "spanning"}),
        (b"N,C<ctg1>", {"endless", "unplaced", "spanning"}),
        (b"N", set()),
        (b"N,", set()),  # an ALT that was blanked
    ],
)
def test_what_does_not_say_where_it_reaches_is_told_apart(alleles, flags):
    found = extents_of(alleles)
    assert {name for name in ("backward", "endless", "joined", "unplaced", "spanning") if getattr(found, name)[0]} == flags


def test_items_of_a_column_are_replaced():
    column = TextColumn.from_items([b"a", b"", b"ccc", b"d"])
    assert column.replace([1, 2], [b"long one", b""]).items() == [b"a", b"long one", b"", b"d"]
    assert column.replace([], []) is column


ALLELES = st.sampled_from(
    [b"A", b"", b"*", b"a", b"z", b"<DEL>", b"A" * 5, b"A" * 6, b"**", b"A*", b"*A", b".", b"N[1:2[", b"@", b"{"]
)


@given(st.lists(st.lists(ALLELES, min_size=1, max_size=4).map(b",".join), min_size=1, max_size=8))
def test_sequences_are_letters_of_few_bases_or_a_star(records):
    sites = sites_of(list(range(1, len(records) + 1)), records)
    form = re.compile(rb"[A-Za-z]{1,5}(,([A-Za-z]{1,5}|\*|))*")
    assert short_sequences(sites, 5).tolist() == [form.fullmatch(record) is not None for record in records]
