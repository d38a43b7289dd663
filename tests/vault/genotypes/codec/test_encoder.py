from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vault.genotypes.chunks import (
    MIXES,
    code_matrices,
    decode,
    integrity_code,
    linked_codes,
    mixed_codes,
    packed_rows,
    random_escapes,
    same_escapes,
    take_escapes,
)
from vault.errors import IntegrityError, UsageError
from vault.genotypes.codec.call_codes import ESCAPE, Codes, Escapes
from vault.genotypes.codec.encoded_chunk import EncodedChunk
from vault.genotypes.codec.encoder import PLAIN_SUBJECTS, ChunkEncoder
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.codec.site_coding import Coding
from vault.genotypes.ingest.chunking import slice_escapes


def encode(codes: Codes, escapes: Escapes, *, batch: int = 1 << 30) -> EncodedChunk:
    """The chunk, which is the same whether rows that can be packed are or not."""
    chunk, other = (_encode(rows, escapes, batch) for rows in (CallRows.from_codes(codes), packed_rows(codes)))
    assert (chunk.payloads, chunk.coding) == (other.payloads, other.coding)
    return chunk


def _encode(rows: CallRows, escapes: Escapes, batch: int) -> EncodedChunk:
    m, n = rows.shape
    encoder = ChunkEncoder(n, capacity=max(1, m))
    for first in range(0, m, batch):
        end = min(first + batch, m)
        encoder.add(rows.run(first, end), slice_escapes(escapes, first, end))
    return encoder.finish()


def assert_round_trip(codes: Codes, escapes: Escapes, *, batch: int = 1 << 30) -> EncodedChunk:
    chunk = encode(codes, escapes, batch=batch)
    back, escaped = decode(chunk.coding, chunk.split())
    assert np.array_equal(back, codes)
    assert same_escapes(escaped, escapes)
    return chunk


@settings(max_examples=150, deadline=None)
@given(code_matrices(), st.data())
def test_any_calls_come_back_whole_and_by_selection(matrix, data):
    codes, escapes = matrix
    chunk = assert_round_trip(codes, escapes, batch=data.draw(st.integers(1, 50)))
    m, n = codes.shape
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, m - 1)))), np.int64)
    columns = np.array(data.draw(st.permutations(range(n))), np.int64)[: data.draw(st.integers(0, n))]
    payloads = chunk.split()
    back, escaped = decode(chunk.coding, [payloads[c] for c in columns], rows)
    assert np.array_equal(back, codes[np.ix_(rows, columns)])
    assert same_escapes(escaped, take_escapes(codes, escapes, rows, columns))


@pytest.mark.parametrize("kind", MIXES)
@pytest.mark.parametrize(
    ("m", "n"), [(1, 1), (2047, 9), (2048, 8), (2049, 33), (4100, 8), pytest.param(4100, 64, marks=pytest.mark.long), (300, 130)]
)
def test_every_mix_at_every_edge(kind, m, n):
    rng = np.random.default_rng([m, n, MIXES.index(kind)])
    codes = mixed_codes(kind, rng, m, n)
    assert_round_trip(codes, random_escapes(codes, rng, max_allele=32000), batch=1000)


def test_batches_do_not_change_the_bytes():
    rng = np.random.default_rng(5)
    codes = mixed_codes("missing", rng, 2500, 40)
    whole = encode(codes, Escapes.empty())
    for batch in (1, 777):
        cut = encode(codes, Escapes.empty(), batch=batch)
        assert (cut.payloads, cut.coding) == (whole.payloads, whole.coding)


def test_two_threads_give_what_one_gives():
    rng = np.random.default_rng(6)
    codes = mixed_codes("changing ploidy", rng, 4500, 1100)
    codes[rng.random(codes.shape) < 0.01] = ESCAPE
    escapes = random_escapes(codes, rng)
    chunk = encode(codes, escapes)
    with ThreadPoolExecutor(2) as pool:
        back, escaped = decode(chunk.coding, chunk.split(), pool=pool)
    assert np.array_equal(back, codes)
    assert same_escapes(escaped, escapes)


def test_decoding_inside_a_busy_pool_waits_for_nobody():
    codes = linked_codes(np.random.default_rng(16), 3000, 1300)
    chunk = encode(codes, Escapes.empty())
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(decode, chunk.coding, chunk.split(), pool=pool) for _ in range(6)]
        assert all(np.array_equal(job.result(timeout=60)[0], codes) for job in jobs)


def test_read_only_inputs_and_a_matrix_to_write_into():
    rng = np.random.default_rng(7)
    codes = linked_codes(rng, 100, 20)
    codes.flags.writeable = False
    chunk = encode(codes, Escapes.empty())
    rows = np.arange(10, 20)
    rows.flags.writeable = False
    out = np.zeros((30, 20), np.uint8)
    decode(chunk.coding, [bytes(p) for p in chunk.split()], rows, out=out[10:20])
    assert np.array_equal(out[10:20], codes[10:20])
    assert not out[:10].any()
    assert not out[20:].any()


def test_linked_common_sites_and_rare_ones_take_little_room():
    rng = np.random.default_rng(8)
    codes = linked_codes(rng, 4096, 500)
    chunk = assert_round_trip(codes, Escapes.empty())
    assert len(chunk.payloads) * 8 / codes.size < 0.3
    assert len(chunk.coding) < 3 * len(codes)


def test_haploid_chromosomes_do_not_blow_up():
    rng = np.random.default_rng(9)
    diploid = encode(linked_codes(rng, 4096, 100), Escapes.empty())
    mixed = encode(mixed_codes("some haploid", np.random.default_rng(9), 4096, 100), Escapes.empty())
    assert len(mixed.payloads) < 1.2 * len(diploid.payloads)


def test_people_without_calls_do_not_blow_up():
    rng = np.random.default_rng(10)
    codes = linked_codes(rng, 4096, 200)
    codes[:, 7] = 0
    chunk = assert_round_trip(codes, Escapes.empty())
    assert chunk.lengths[7] < 1000


def test_with_few_subjects_the_coding_says_nothing_of_their_genotypes():
    rng = np.random.default_rng(11)
    first = encode(linked_codes(rng, 500, PLAIN_SUBJECTS - 1), Escapes.empty())
    second = encode(linked_codes(rng, 500, PLAIN_SUBJECTS - 1), Escapes.empty())
    assert first.payloads != second.payloads
    assert first.coding == second.coding


def test_unknown_codes_are_refused():
    codes = np.full((3, 20), 133, np.uint8)
    codes[1, 4] = 254
    with pytest.raises(UsageError) as refused:
        encode(codes, Escapes.empty())
    assert refused.value.code == "call_code_unknown"


def test_codes_and_escapes_must_agree():
    codes = np.full((3, 20), 133, np.uint8)
    codes[1, 4] = ESCAPE
    with pytest.raises(UsageError) as refused:
        encode(codes, Escapes.empty())
    assert refused.value.code == "call_code_unknown"


def test_a_chunk_takes_no_more_sites_than_it_has_room_for():
    encoder = ChunkEncoder(3, capacity=4)
    encoder.add(CallRows.from_codes(np.full((4, 3), 133, np.uint8)), Escapes.empty())
    with pytest.raises(UsageError) as refused:
        encoder.add(CallRows.from_codes(np.full((1, 3), 133, np.uint8)), Escapes.empty())
    assert refused.value.code == "chunk_shape"
    with pytest.raises(UsageError):
        encoder.add(CallRows.from_codes(np.full((1, 4), 133, np.uint8)), Escapes.empty())


@pytest.mark.parametrize("rows", [[3, 2], [1, 1], [-1, 2], [0, 5]])
def test_rows_must_be_ascending_sites_of_the_chunk(rows):
    chunk = encode(np.full((5, 2), 133, np.uint8), Escapes.empty())
    with pytest.raises(UsageError) as refused:
        decode(chunk.coding, chunk.split(), np.array(rows))
    assert refused.value.code == "chunk_rows"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_altered_payloads_are_errors_or_calls_never_a_crash(data):
    """Blocks are authenticated; this is about memory safety should a writer be wrong."""
    rng = np.random.default_rng(data.draw(st.integers(0, 5)))
    codes = mixed_codes("escapes", rng, 200, 12)
    chunk = encode(codes, random_escapes(codes, rng))
    payloads = [bytearray(p) for p in chunk.split()]
    victim = payloads[data.draw(st.integers(0, 11))]
    for _ in range(data.draw(st.integers(1, 4))):
        victim[data.draw(st.integers(0, len(victim) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del victim[data.draw(st.integers(0, len(victim) - 1)) :]
    assert integrity_code(lambda: decode(chunk.coding, payloads)) in {None, "block_malformed"}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_codings_are_refused_or_consistent(data):
    rng = np.random.default_rng(3)
    codes = mixed_codes("missing", rng, 60, 20)
    chunk = encode(codes, Escapes.empty())
    raw = bytearray(chunk.coding)
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert integrity_code(lambda: decode(bytes(raw), chunk.split())) in {None, "site_table_malformed", "block_malformed"}


def test_coding_columns_survive_serialising():
    rng = np.random.default_rng(4)
    chunk = encode(mixed_codes("multi-allelic", rng, 3000, 30), Escapes.empty())
    coding = Coding.from_bytes(chunk.coding)
    assert coding.to_bytes() == chunk.coding
    assert len(coding) == 3000
    assert (coding.reference < np.arange(3000)).all()


@pytest.mark.parametrize("cut", [0, 1, 5, 13, 20])
def test_a_cut_coding_is_refused(cut):
    chunk = encode(np.full((5, 20), 133, np.uint8), Escapes.empty())
    with pytest.raises(IntegrityError) as refused:
        Coding.from_bytes(chunk.coding[:cut])
    assert refused.value.code == "site_table_malformed"
    with pytest.raises(IntegrityError):
        Coding.from_bytes(chunk.coding + b"\0")
