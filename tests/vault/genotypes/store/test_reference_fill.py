"""Many people's tracks are looked at together as each one's is alone."""

from __future__ import annotations

import numpy as np
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gt_text import sites_of
from vault.genotypes.codec.call_codes import ABSENT
from vault.genotypes.codec.callable_track import CallableTrack
from vault.genotypes.codec.format_constants import TRACK_BIN_SHIFT
from vault.genotypes.store.reference_fill import FEW, OwnTrack, ReferenceFill, TrackedPerson

EDGE = 1 << TRACK_BIN_SHIFT  # bases around which bins are cut
places = st.integers(EDGE - 60, EDGE + 60)
intervals = st.lists(st.tuples(places, st.integers(0, 30), st.sampled_from([0, 1, 2, 3, 5, 6, 7])), max_size=8)
records = st.lists(
    st.tuples(places, st.sampled_from(["A,C", "AAA,A", "A,*", "A,<DEL>", "A" * 60 + ",A"])), min_size=1, max_size=12
)


def track(drawn, *, in_pairs: bool = False) -> OwnTrack:
    ordered = sorted(drawn)
    made = CallableTrack.lowest([at for at, _, _ in ordered], [at + size for at, size, _ in ordered], [c for _, _, c in ordered])
    encoded = made.encode()
    bins = {"1": {at: pairs_of(CallableTrack.decode({at: data}), at) for at, data in encoded.items()} if in_pairs else encoded}
    return OwnTrack(lambda contig, wanted: {at: data for at, data in bins.get(contig, {}).items() if at in wanted})


def pairs_of(one: CallableTrack, number: int) -> bytes:
    """A bin as it was written before tokens (docs/formats/genotypes.md §10)."""
    base, numbers = number << TRACK_BIN_SHIFT, list[int]()
    for start, end, level in zip(one.start.tolist(), one.end.tolist(), one.level.tolist(), strict=True):
        numbers += [start - base - 1, (end - start + 1) << 3 | level]
        base = end
    text = b"".join(
        bytes(
            [value >> shift & 127 | (128 if value >> shift + 7 else 0) for shift in (0, 7, 14, 21) if not shift or value >> shift]
        )
        for value in numbers
    )
    return b"\x01" + zstandard.ZstdCompressor().compress(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(intervals, min_size=FEW, max_size=7), records, st.integers(1, 3), st.data())
def test_people_together_and_each_alone(people, drawn, at_least, data):
    sites = sites_of([("1", pos, alleles) for pos, alleles in sorted(drawn)])
    shape = (len(sites), len(people) + 1)
    calls = st.sampled_from([ABSENT, ABSENT, 12, 0])
    codes = np.array(data.draw(st.lists(calls, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])), np.uint8).reshape(
        shape
    )
    tracked = [TrackedPerson(at, [track(one, in_pairs=at % 3 == 2)]) for at, one in enumerate([*people, []])]
    alone = codes
    for person in tracked:
        alone = ReferenceFill([person], at_least).fill(sites, alone)
    together = ReferenceFill(tracked, at_least)
    for _ in range(2):
        assert np.array_equal(together.fill(sites, codes), alone)
