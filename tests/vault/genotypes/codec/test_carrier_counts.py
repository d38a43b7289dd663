"""Carrier counts: the same from the encoder, from what is decoded and from a plain loop; and they come back from their bytes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vault.genotypes.chunks import code_matrices, integrity_code, packed_rows
from vault.errors import IntegrityError
from vault.genotypes.codec.call_codes import ESCAPE
from vault.genotypes.codec.carrier_counts import CarrierCounts
from vault.genotypes.codec.decoder import DecodePlan, count_chunk
from vault.genotypes.codec.encoder import ChunkEncoder
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.codec.payloads import Payloads
from vault.genotypes.codec.site_coding import Coding


def plain(codes, escapes) -> dict[tuple[int, int], int]:
    """Carriers of each (site, ALT), call by call."""
    found: Counter[tuple[int, int]] = Counter()
    for (site, _), code in np.ndenumerate(codes):
        pair = divmod(int(code) % 121, 11) if code < 242 else (int(code) - 242, 0) if code < ESCAPE else (0, 0)
        found.update({(site, one - 1) for one in pair if one > 1})
    for at, site in enumerate(escapes.site.tolist()):
        alleles = escapes.alleles[escapes.offset[at] : escapes.offset[at + 1]].tolist()
        found.update({(site, allele) for allele in alleles if allele > 0})
    return dict(found)


def as_dict(counts: CarrierCounts) -> dict[tuple[int, int], int]:
    return {(site, alt): people for (site, alt), people in zip(counts.alts().tolist(), counts.people.tolist(), strict=True)}


def encoded(codes, escapes, rows=CallRows.from_codes):
    encoder = ChunkEncoder(codes.shape[1], capacity=len(codes))
    encoder.add(rows(codes), escapes)
    return encoder.finish()


@settings(max_examples=150, deadline=None)
@given(code_matrices())
def test_encoder_decoder_and_a_plain_loop_count_the_same(matrix):
    codes, escapes = matrix
    expected = plain(codes, escapes)
    for rows in (CallRows.from_codes, packed_rows):
        chunk = encoded(codes, escapes, rows)
        assert as_dict(CarrierCounts.from_bytes(chunk.carriers)) == expected
    plan = DecodePlan.from_coding(Coding.from_bytes(chunk.coding))
    fields = count_chunk(plan, Payloads.join(chunk.split(), len(codes)))
    assert as_dict(CarrierCounts.from_fields(plan, fields)) == expected


counts_of = st.integers(1, 30).flatmap(
    lambda m: st.dictionaries(st.tuples(st.integers(0, m - 1), st.integers(1, 300)), st.integers(1, 2**32 - 1), max_size=40).map(
        lambda found: made(m, found)
    )
)


def made(m, found):
    table = np.array([(*key, people) for key, people in found.items()], np.int64).reshape(-1, 3)
    return CarrierCounts.from_calls(m, *table.T)


@given(counts_of)
def test_counts_come_back(counts):
    back = CarrierCounts.from_bytes(counts.to_bytes())
    assert (back.n_sites, as_dict(back)) == (counts.n_sites, as_dict(counts))
    assert back.to_bytes() == counts.to_bytes()


@given(counts_of, st.data())
def test_who_joins_and_leaves_again_leaves_nothing(counts, data):
    leaving = made(counts.n_sites, {key: data.draw(st.integers(1, 9)) for key in [*as_dict(counts)][:5]})
    both = counts.plus(leaving)
    assert as_dict(both) == dict(Counter(as_dict(counts)) + Counter(as_dict(leaving)))
    assert as_dict(both.minus(leaving.alts(), leaving.people)) == as_dict(counts)
    assert both.of(leaving.alts()).tolist() == [as_dict(both)[tuple(key)] for key in leaving.alts().tolist()]


def test_fewer_than_leave_is_damage_and_never_a_zero():
    counts = made(3, {(1, 2): 4})
    for key, people in (((1, 2), 5), ((1, 1), 1), ((2, 2), 1)):
        leaving = made(3, {key: people})
        with pytest.raises(IntegrityError, match="carrier counts") as caught:
            counts.minus(leaving.alts(), leaving.people)
        assert caught.value.code == "counts_damaged"
    assert counts.of(np.array([[0, 1], [1, 1], [1, 2]])).tolist() == [0, 0, 4]
    assert made(3, {}).of(np.array([[0, 1]])).tolist() == [0]


@given(counts_of, st.data())
def test_other_bytes_are_one_error_or_counts(counts, data):
    raw = bytearray(counts.to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    assert integrity_code(lambda: CarrierCounts.from_bytes(bytes(raw))) in (None, "counts_damaged")


def test_a_site_that_ends_in_nobody_is_no_counts():
    whole = made(2, {(0, 1): 1, (1, 2): 7}).to_bytes()
    assert integrity_code(lambda: CarrierCounts.from_bytes(whole + b"x")) == "counts_damaged"
    counts = CarrierCounts(2, np.array([1]), np.array([0]))  # a count of 0, which no writer keeps
    assert integrity_code(lambda: CarrierCounts.from_bytes(counts.to_bytes())) == "counts_damaged"
