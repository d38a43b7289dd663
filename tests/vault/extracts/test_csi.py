"""The index does not depend on how the records were handed to it. That htslib reads it right is shown with the writers."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vault.errors import IntegrityError
from vault.extracts.csi import Index

REACHES = (1, 1, 1, 5, 16_384, 40_000, 1 << 20, 1 << 30)


@st.composite
def records(draw):
    """(contig numbers, first and last positions, virtual offsets), each contig's together and sorted."""
    contig, first = [], []
    for number in draw(st.permutations(range(3))):
        some = sorted(draw(st.lists(st.integers(1, 1 << 18) | st.integers(1, 1 << 29), max_size=12)))
        contig += [number] * len(some)
        first += some
    last = [at + draw(st.sampled_from(REACHES)) - 1 for at in first]
    offsets = np.cumsum([draw(st.integers(1, 1 << 20)) for _ in range(len(first) + 1)])
    return np.array(contig, np.int32), np.array(first, np.int64), np.array(last, np.int64), offsets.astype(np.uint64)


def index_of(found, cuts):
    contig, first, last, offsets = found
    index = Index(3, ("1", "2", "X"))
    edges = [0, *sorted(cut % (len(contig) + 1) for cut in cuts), len(contig)]
    for a, b in pairwise(edges):
        index.add(contig[a:b], first[a:b], last[a:b], offsets[a : b + 1])
    out = io.BytesIO()
    index.write(out)
    return out.getvalue()


@settings(max_examples=200, deadline=None)
@given(records(), st.lists(st.integers(0, 40), max_size=6))
def test_batches_make_no_difference(found, cuts):
    assert index_of(found, cuts) == index_of(found, [])


@pytest.mark.parametrize("order", [[("1", 5), ("1", 4)], [("1", 5), ("2", 5), ("1", 6)]])
@pytest.mark.parametrize("together", [True, False])
def test_records_out_of_order_are_refused(order, together):
    with pytest.raises(IntegrityError) as caught:
        add_all(Index(2), [order] if together else [[record] for record in order])
    assert caught.value.code == "sites_unsorted"


def add_all(index, steps):
    for step in steps:
        positions = np.array([pos for _, pos in step], np.int64)
        contigs = np.array([int(name) - 1 for name, _ in step], np.int32)
        index.add(contigs, positions, positions, np.arange(len(step) + 1, dtype=np.uint64))


def test_position_zero_is_indexed_as_the_first_base():
    zero, one = (
        index_of((np.array([0, 0], np.int32), np.array([at, 9]), np.array([at, 9]), np.arange(3, dtype=np.uint64)), [])
        for at in (0, 1)
    )
    assert zero == one
