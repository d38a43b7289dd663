"""The block code: one subject's calls over one chunk of sites, in about a seventh of a bit each (docs/formats/genotypes.md).

``ChunkEncoder`` takes a chunk's sites in batches and yields one payload per subject plus the coding that the site table keeps;
``decode_chunk`` turns chosen subjects' payloads straight into the site-major matrix. Lossless for every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.errors import UsageError
from vault.genotypes import decode_kernels, encode_kernels
from vault.genotypes.calls import Codes, Escapes
from vault.genotypes.code_numbers import TILE_SITES, Payload
from vault.genotypes.coding import MAX_SITES, Coding
from vault.genotypes.encode_kernels import N_ALPHABETS, N_ESCAPES, N_EVENTS, N_RAW, N_SITES
from vault.genotypes.payloads import (
    SPARE,
    Exceptions,
    block_malformed,
    call_code_unknown,
    check_escapes,
    escape_records,
    head_bytes,
    join_payloads,
    pack_long,
    put_calls,
    toggles,
)
from vault.limits import CHUNK_SITES

MAX_SUBJECTS = 1 << 24  # an event keeps the subject in 24 bits
PLAIN_SUBJECTS = 8  # with fewer subjects than this the coding would describe single people, so it says nothing of them

_FIRST_EVENTS = 1 << 16
_SPLIT_CALLS = 1 << 21  # calls to write below which a second thread costs more than it saves
_SPLIT_BYTES = 1 << 19  # payload bytes likewise
_SPLIT_SUBJECTS = 512


@dataclass(frozen=True)
class EncodedChunk:
    """``payloads``: every subject's payload, one after another; ``lengths`` uint32[n]; ``coding`` goes to the site table."""

    n_sites: int
    payloads: bytes
    lengths: NDArray[np.uint32]
    coding: bytes

    def split(self) -> list[memoryview]:
        """The payload of each subject."""
        view = memoryview(self.payloads)
        ends = np.cumsum(self.lengths, dtype=np.int64).tolist()
        return [view[a:b] for a, b in zip([0, *ends], ends, strict=False)]


class ChunkEncoder:
    """Encodes one chunk of at most ``capacity`` sites for ``n_subjects`` people.

    Holds two bits per call for the current tile and the common sites, and four bytes per call that differs from the commonest.
    ``search`` is how many earlier sites are tried as XOR reference (speed against size; it does not change the format).
    """

    def __init__(self, n_subjects: int, *, capacity: int = CHUNK_SITES, search: int = encode_kernels.SEARCH) -> None:
        if not 1 <= n_subjects < MAX_SUBJECTS or not 1 <= capacity <= MAX_SITES:
            raise UsageError("chunk_shape", "a chunk has 1 to 65,535 sites and 1 to 16,777,215 subjects")
        self._n, self._capacity, self._search = n_subjects, capacity, search
        words = (n_subjects + 31) // 32
        self._state = np.zeros(n_subjects, np.uint8)
        self._bits = np.empty((min(TILE_SITES, capacity), words), np.uint64)
        self._counts = np.zeros(TILE_SITES, np.int64)
        self._alphabet = np.zeros(capacity, np.uint16)
        self._alphabets = np.zeros((capacity, 4), np.uint8)
        self._distance = np.zeros(capacity, np.uint16)
        self._classes = np.zeros((capacity, 3), np.uint8)
        self._default = np.zeros(capacity, np.uint8)
        self._events = np.empty(3 * n_subjects + _FIRST_EVENTS, np.uint32)
        self._row_end = np.zeros(3 * capacity + 1, np.int64)
        self._raw_rows = np.empty((64, words), np.uint64)
        self._counters = np.zeros(7, np.int64)
        self._escapes: list[tuple[int, Escapes]] = []

    @property
    def n_sites(self) -> int:
        """Sites taken so far."""
        return int(self._counters[N_SITES])

    def add(self, codes: Codes, escapes: Escapes) -> None:
        """Take the next sites: ``codes`` uint8[m, n_subjects], and the calls that ``codes`` marks ESCAPE.

        Raises:
            UsageError: ``chunk_shape`` (wrong shape, more sites than the chunk holds), ``call_code_unknown`` (code 254, or codes
                and escapes that do not agree).
        """
        m, n = codes.shape
        if n != self._n or self.n_sites + m > self._capacity or codes.dtype != np.uint8:
            raise UsageError("chunk_shape", "the sites do not fit this chunk")
        flat = np.ascontiguousarray(codes).reshape(-1)
        if len(escapes):
            check_escapes(flat, n, escapes)
            self._escapes.append((self.n_sites, escapes))
        done = 0
        while done < m:
            taken = self._encode(flat[done * n :], m - done)
            if taken < 0:
                raise call_code_unknown()
            done += taken
            if done < m:
                self._grow()
        if int(self._counters[N_ESCAPES]) != sum(len(e) for _, e in self._escapes):
            raise call_code_unknown()

    def finish(self) -> EncodedChunk:
        """Payloads and coding of the sites taken; the encoder is spent afterwards."""
        m, a = self.n_sites, int(self._counters[N_ALPHABETS])
        coding = Coding(self._alphabets[:a], self._alphabet[:m], self._distance[:m], self._classes[:m], self._default[:m])
        order, class_end, plane, default = coding.order, coding.class_end, coding.plane, self._default[coding.site]
        first = np.zeros(self._n + 1, np.int64)
        encode_kernels.count_events(self._events, self._row_end, order, first)
        np.cumsum(first, out=first)
        by_subject = np.empty(max(1, int(first[-1])), np.uint32)
        encode_kernels.sort_events(self._events, self._row_end, order, first[:-1].copy(), by_subject)

        shift, gap_bits = np.zeros(self._n, np.uint8), np.zeros(self._n, np.int64)
        encode_kernels.measure(by_subject, first, class_end, plane, default, shift, gap_bits)
        tails = escape_records(self._escapes, coding)
        tail_bytes = np.zeros(self._n, np.int64)
        tail_bytes[list(tails)] = [len(t) for t in tails.values()]
        n_raw = int(self._counters[N_RAW])
        raw_bytes = (n_raw + 3) // 4
        start = np.zeros(self._n + 1, np.int64)
        np.cumsum(1 + raw_bytes + (gap_bits + 7) // 8 + tail_bytes, out=start[1:])
        out = np.zeros(int(start[-1]) + SPARE, np.uint8)
        # gaps first: the kernel may spill zeros into what the next steps write
        begin = start[:-1].copy()
        encode_kernels.write_gaps(by_subject, first, class_end, plane, default, shift, begin + 1 + raw_bytes, out)
        encode_kernels.write_raw(self._raw_rows, n_raw, begin + 1, out)
        out[begin] = head_bytes(shift, tail_bytes > 0)
        for j, tail in tails.items():
            out[start[j + 1] - len(tail) : start[j + 1]] = np.frombuffer(tail, np.uint8)
        payloads, lengths = pack_long(out[: start[-1]].tobytes(), np.diff(start))
        return EncodedChunk(m, payloads, lengths, coding.to_bytes())

    def _encode(self, flat: NDArray[np.uint8], m: int) -> int:
        taken: int = encode_kernels.encode_sites(
            flat,
            self._n,
            m,
            self._n < PLAIN_SUBJECTS,
            self._search,
            self._state,
            self._bits,
            self._counts,
            self._alphabet,
            self._alphabets,
            self._distance,
            self._classes,
            self._default,
            self._events,
            self._row_end,
            self._raw_rows,
            self._counters,
        )
        return taken

    def _grow(self) -> None:
        """Room for more events or raw rows, whichever ran out."""
        if int(self._counters[N_EVENTS]) + 3 * self._n > len(self._events):
            grown = np.empty(2 * len(self._events), np.uint32)
            grown[: len(self._events)] = self._events
            self._events = grown
        if int(self._counters[N_RAW]) >= len(self._raw_rows):
            rows = np.empty((2 * len(self._raw_rows), self._raw_rows.shape[1]), np.uint64)
            rows[: len(self._raw_rows)] = self._raw_rows
            self._raw_rows = rows


def decode_chunk(
    coding: bytes | Coding,
    payloads: Sequence[Payload],
    rows: NDArray[np.int64] | None = None,
    *,
    pool: Executor | None = None,
    out: Codes | None = None,
) -> tuple[Codes, Escapes]:
    """Calls of the chosen subjects: ``codes`` uint8[len(rows), k] and the calls that do not fit a byte.

    ``payloads``: of k subjects, in the order wanted. ``rows``: ascending site numbers of the chunk, None for all. ``pool``: where
    half of a large chunk's work may run (not the pool that this call itself runs in, unless it has a thread to spare). ``out``: C
    order uint8[len(rows), k] to write into instead of a fresh matrix.

    Raises:
        IntegrityError: ``site_table_malformed``, ``block_malformed``.
        UsageError: ``chunk_rows``: rows not ascending or outside the chunk. ``chunk_shape``: ``out`` of another shape.
    """
    table = coding if isinstance(coding, Coding) else Coding.from_bytes(coding)
    chosen = _check_rows(rows, len(table))
    shape = (len(chosen), len(payloads))
    codes = np.empty(shape, np.uint8) if out is None else out
    if codes.shape != shape or codes.dtype != np.uint8 or not codes.flags.c_contiguous:
        raise UsageError("chunk_shape", "the matrix to decode into does not have the shape of what is asked for")
    if not payloads or not len(chosen):
        return codes, Escapes.empty()
    return _ChunkDecoder(table, chosen, payloads, codes).decode(pool)


class _ChunkDecoder:
    """One call of ``decode_chunk``: what its two halves share."""

    def __init__(self, table: Coding, chosen: NDArray[np.int64], payloads: Sequence[Payload], codes: Codes) -> None:
        self._table, self._chosen, self._codes = table, chosen, codes
        self._data, self._start = join_payloads(payloads, len(table))
        wanted = np.zeros(len(table), np.uint8)
        wanted[chosen] = 1
        decode_kernels.close_references(table.reference, wanted)
        self._needed = np.flatnonzero(wanted)
        self._slot = np.full(len(table) + 1, -1, np.int32)  # the entry behind the last serves index -1, "no reference"
        self._slot[self._needed] = np.arange(len(self._needed), dtype=np.int32)
        self._residual = np.zeros((len(self._needed), (len(payloads) + 31) // 32 * 8), np.uint8)
        self._place_row = self._slot[table.site]
        self._place_default = table.default[table.site]
        self._references = self._slot[table.reference[self._needed]]
        self._row_of = self._slot[chosen].astype(np.int64)
        self._alphabet = table.alphabet[chosen]

    def decode(self, pool: Executor | None) -> tuple[Codes, Escapes]:
        m, k = self._codes.shape
        if pool is not None and k >= _SPLIT_SUBJECTS and len(self._data) > _SPLIT_BYTES:
            half = k // 2 // 256 * 256  # whole cache lines of the residual rows
            other = pool.submit(self._read, half, k)
            found = Exceptions.concat([self._read(0, half), other.result()])
        else:
            found = self._read(0, k)
        edge = self._tile_edge()
        if pool is not None and 0 < edge < m and m * k > _SPLIT_CALLS:
            rest = pool.submit(self._fill, edge, m)
            self._fill(0, edge)
            rest.result()
        else:
            self._fill(0, m)
        changes = toggles(found)
        if len(changes.site):
            decode_kernels.apply_ploidy(self._codes, self._chosen, changes.site, changes.subject)
        row_of_site = np.full(len(self._table), -1, np.int64)
        row_of_site[self._chosen] = np.arange(m)
        return self._codes, put_calls(self._codes, row_of_site, found, self._data)

    def _read(self, first: int, end: int) -> Exceptions:
        """Scatter the ones of some subjects; their exceptions."""
        raw_sites = self._table.raw_sites
        raw_bytes = (len(raw_sites) + 3) // 4
        if int(np.diff(self._start).min()) < 1 + raw_bytes:
            raise block_malformed()
        if len(raw_sites):
            rows = self._slot[raw_sites]
            decode_kernels.read_raw(self._data, self._start, first, end, len(raw_sites), rows, self._residual)
        places = self._places()
        size = 1024
        while True:
            found = Exceptions.room(size)
            count = decode_kernels.read_gaps(
                self._data,
                self._start,
                first,
                end,
                raw_bytes,
                self._table.class_end,
                places,
                self._place_row,
                self._table.plane,
                self._table.site,
                self._place_default,
                self._residual,
                found.site,
                found.subject,
                found.value,
                found.record,
            )
            if count >= 0:
                return found.take(slice(count))
            if count == decode_kernels.MALFORMED:
                raise block_malformed()
            size *= 8

    def _places(self) -> int:
        """How many places of the gap-coded part to read: all where exceptions could matter, else up to the last one wanted."""
        if (self._table.plane == 2).any():
            return len(self._place_row)
        last = np.flatnonzero(self._place_row >= 0)
        return int(last[-1]) + 1 if len(last) else 0

    def _fill(self, first: int, end: int) -> None:
        """Output rows ``first`` to ``end``, which share no tile with the others."""
        low, high = (int(self._chosen[i]) // TILE_SITES * TILE_SITES for i in (first, end - 1))
        begin, stop = np.searchsorted(self._needed, [low, high + TILE_SITES]).tolist()
        decode_kernels.undo_references(self._residual.view(np.uint64), self._references, begin, stop)
        decode_kernels.expand(self._residual, self._row_of, self._alphabet, self._table.alphabets, first, end, self._codes)

    def _tile_edge(self) -> int:
        """An output row near the middle where a tile begins; 0 if there is none."""
        tiles = self._chosen // TILE_SITES
        middle = int(tiles[len(tiles) // 2])
        return int(np.searchsorted(tiles, middle))


def _check_rows(rows: NDArray[np.int64] | None, n_sites: int) -> NDArray[np.int64]:
    if rows is None:
        return np.arange(n_sites)
    chosen = np.ascontiguousarray(rows, np.int64)
    if len(chosen) and (int(chosen[0]) < 0 or int(chosen[-1]) >= n_sites or bool((np.diff(chosen) <= 0).any())):
        raise UsageError("chunk_rows", "the rows asked for are not ascending sites of the chunk")
    return chosen
