"""The block code: one subject's calls over one chunk of sites, in about a seventh of a bit each (docs/formats/genotypes.md).

``ChunkEncoder`` takes a chunk's sites in batches and yields one payload per subject plus the coding that the site table keeps.
Lossless for every call. ``decoder`` is the other half.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vault.errors import UsageError
from vault.genotypes.codec.call_codes import MAX_CODED_ALLELE, Escapes
from vault.genotypes.codec.carrier_counts import CarrierCounts
from vault.genotypes.codec.encoded_chunk import EncodedChunk
from vault.genotypes.codec.format_constants import TILE_SITES
from vault.genotypes.codec.kernels import encode, payload_bits
from vault.genotypes.codec.kernels.bit_planes import N_ALPHABETS, N_ESCAPES, N_EVENTS, N_RAW, N_SITES
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.codec.payloads import SPARE, call_code_unknown, check_escapes, escape_records, head_bytes, pack_long
from vault.genotypes.codec.site_coding import MAX_SITES, Coding
from vault.limits import CHUNK_SITES

MAX_SUBJECTS = 1 << 24  # an event keeps the subject in 24 bits
PLAIN_SUBJECTS = 8  # with fewer subjects than this the coding would describe single people, so it says nothing of them

_FIRST_EVENTS = 1 << 16


class ChunkEncoder:
    """Encodes one chunk of at most ``capacity`` sites for ``n_subjects`` people.

    Holds two bits per call for the current tile and the common sites, and four bytes per call that differs from the commonest.
    ``search`` is how many earlier sites are tried as XOR reference (speed against size; it does not change the format).
    """

    def __init__(self, n_subjects: int, *, capacity: int = CHUNK_SITES, search: int = encode.SEARCH) -> None:
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
        self._carriers = np.zeros((capacity, MAX_CODED_ALLELE + 1), np.uint32)
        self._spare = np.empty(n_subjects, np.uint8)
        self._escapes: list[tuple[int, Escapes]] = []

    @property
    def n_sites(self) -> int:
        """Sites taken so far."""
        return int(self._counters[N_SITES])

    def add(self, rows: CallRows, escapes: Escapes) -> None:
        """Take the next sites: rows of n_subjects calls, and the calls that they mark ESCAPE.

        Raises:
            UsageError: ``chunk_shape`` (wrong shape, more sites than the chunk holds), ``call_code_unknown`` (code 254, or codes
                and escapes that do not agree).
        """
        m, n = rows.shape
        if n != self._n or self.n_sites + m > self._capacity or rows.codes.dtype != np.uint8:
            raise UsageError("chunk_shape", "the sites do not fit this chunk")
        if len(escapes):
            check_escapes(rows, escapes)
            self._escapes.append((self.n_sites, escapes))
        flat = np.ascontiguousarray(rows.codes).reshape(-1)
        done = 0
        while done < m:
            done = self._encode(rows, flat, done)
            if done < 0:
                raise call_code_unknown()
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
        payload_bits.count_events(self._events, self._row_end, order, first)
        np.cumsum(first, out=first)
        by_subject = np.empty(max(1, int(first[-1])), np.uint32)
        payload_bits.sort_events(self._events, self._row_end, order, first[:-1].copy(), by_subject)

        shift, gap_bits = np.zeros(self._n, np.uint8), np.zeros(self._n, np.int64)
        payload_bits.measure(by_subject, first, class_end, plane, default, shift, gap_bits)
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
        payload_bits.write_gaps(by_subject, first, class_end, plane, default, shift, begin + 1 + raw_bytes, out)
        payload_bits.write_raw(self._raw_rows, n_raw, begin + 1, out)
        out[begin] = head_bytes(shift, tail_bytes > 0)
        for j, tail in tails.items():
            out[start[j + 1] - len(tail) : start[j + 1]] = np.frombuffer(tail, np.uint8)
        payloads, lengths = pack_long(out[: start[-1]].tobytes(), np.diff(start))
        carriers = CarrierCounts.from_encoder(self._carriers[:m], self._escapes)
        return EncodedChunk(m, payloads, lengths, coding.to_bytes(), carriers.to_bytes())

    def _encode(self, rows: CallRows, flat: NDArray[np.uint8], first: int) -> int:
        following: int = encode.encode_sites(
            rows.form,
            rows.bits,
            flat,
            self._n,
            first,
            self._spare,
            self._spare,
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
            self._carriers,
        )
        return following

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
