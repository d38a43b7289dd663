from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.genotypes.codec.encoded_chunk import EncodedChunk, SiteChunk
from vault.genotypes.sites import Sites, TextColumn


@st.composite
def chunks(draw):
    m = draw(st.integers(1, 5))
    texts = st.lists(st.binary(max_size=6), min_size=m, max_size=m).map(TextColumn.from_items)
    pos = np.array(sorted(draw(st.lists(st.integers(1, 2**40), min_size=m, max_size=m))), np.int64)
    payloads = draw(st.lists(st.binary(max_size=9), min_size=1, max_size=4))
    sites = Sites((draw(st.text(min_size=1, max_size=8)),), np.zeros(m, np.int32), pos, *(draw(texts) for _ in range(4)))
    lengths = np.array([len(p) for p in payloads], np.uint32)
    return SiteChunk(
        sites,
        int(pos[-1]),
        EncodedChunk(m, b"".join(payloads), lengths, draw(st.binary(max_size=20)), draw(st.binary(max_size=20))),
    )


def as_bytes(chunk):
    return bytearray(b"".join(bytes(part) for part in chunk.to_parts()))


@given(chunks())
def test_chunks_come_back(chunk):
    back = SiteChunk.from_bytes(as_bytes(chunk))
    assert (back.contig, back.end, back.sites.pos.tolist()) == (chunk.contig, chunk.end, chunk.sites.pos.tolist())
    for name in ("alleles", "ids", "filters", "info"):
        assert getattr(back.sites, name).items() == getattr(chunk.sites, name).items()
    assert back.encoded.split() == chunk.encoded.split()
    assert (back.encoded.n_sites, back.encoded.coding) == (chunk.encoded.n_sites, chunk.encoded.coding)


@given(chunks(), st.data())
def test_damaged_bytes_are_one_error_or_a_chunk_whose_parts_fit(chunk, data):
    raw = as_bytes(chunk)
    for _ in range(data.draw(st.integers(1, 4))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    try:
        found = SiteChunk.from_bytes(raw)
    except ValueError:
        return
    assert len(found.sites.alleles.items()) == len(found.sites)
    assert sum(map(len, found.encoded.split())) == len(found.encoded.payloads)


@pytest.mark.parametrize(
    "change", [{"sites": 0}, {"sites": -1}, {"sizes": []}, {"sizes": [-8, 8]}, {"end": None}, {"contig": ...}]
)
def test_a_head_that_says_something_else_is_refused(change):
    pos = np.array([7], np.int64)
    texts = [TextColumn.from_items([b"x"]) for _ in range(4)]
    whole = as_bytes(
        SiteChunk(
            Sites(("1",), np.zeros(1, np.int32), pos, *texts), 7, EncodedChunk(1, b"ab", np.array([2], np.uint32), b"c", b"d")
        )
    )
    size = 4 + int.from_bytes(whole[:4], "little")
    head = {**json.loads(whole[4:size]), **{name: value for name, value in change.items() if value is not ...}}
    for name, value in change.items():
        if value is ...:
            del head[name]
    said = json.dumps(head).encode()
    with pytest.raises(ValueError, match="malformed"):
        SiteChunk.from_bytes(bytearray(len(said).to_bytes(4, "little") + said + whole[size:]))
