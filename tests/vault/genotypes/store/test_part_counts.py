"""Carrier counts of a part come back from their bytes, chunk by chunk, and other bytes are one error."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.vault.genotypes.chunks import integrity_code
from vault.genotypes.codec.carrier_counts import CarrierCounts
from vault.genotypes.store.part_counts import PartCarriers


def of(people: int) -> CarrierCounts:
    return CarrierCounts.from_calls(4, np.array([2]), np.array([1]), np.array([people]))


@given(st.lists(st.integers(1, 2**32 - 1), max_size=6))
def test_counts_of_every_chunk_come_back(people):
    counts = PartCarriers.from_chunks(map(of, people))
    back = PartCarriers.from_bytes(counts.to_bytes())
    assert back == counts
    assert [back.chunk(at).people.tolist() for at in range(len(back))] == [[one] for one in people]
    if people:
        again = back.replaced({0: of(9)})
        assert [again.chunk(at).people.tolist() for at in range(len(back))] == [[9], *[[one] for one in people[1:]]]
    assert integrity_code(lambda: back.chunk(len(people))) == "counts_damaged"


@given(st.binary(max_size=40), st.lists(st.integers(1, 9), max_size=3), st.data())
def test_other_bytes_are_one_error(random, people, data):
    whole = PartCarriers.from_chunks(map(of, people)).to_bytes()
    for raw in (random, whole[: data.draw(st.integers(0, len(whole) - 1))], whole + random + b"x", b"\2" + whole[1:]):
        assert integrity_code(lambda raw=raw: PartCarriers.from_bytes(raw)) in (None, "counts_damaged")
    assert integrity_code(lambda: PartCarriers.from_bytes(whole[:-1])) == "counts_damaged"
