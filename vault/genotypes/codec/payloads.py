"""The frame of a payload: its head byte, the zstd form of unusually long ones, and the records of calls that fit no byte.

docs/formats/genotypes.md §3. What lies between head and records is the kernels' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray

from vault.errors import IntegrityError, UsageError
from vault.genotypes.codec.call_codes import ESCAPE, Escapes
from vault.genotypes.codec.format_constants import HAS_ESCAPES, TOGGLE, Payload
from vault.genotypes.codec.packed_calls import CODED, CallRows
from vault.genotypes.codec.site_coding import Coding
from vault.limits import MAX_PLOIDY

SPARE = 16  # bytes behind a buffer that kernels may read and ignore
PACKED = 0x01  # head bit: the rest is one zstd frame of the payload
SHIFT_MASK = 0x06  # head bits: Golomb parameter shift + 1
MAX_PAYLOAD_SITE_BYTES = 32  # nothing but a hostile payload unpacks to more than this a site
_TRY_PACKING = 4  # payloads this many times longer than the median are offered to zstd
_TRY_PACKING_BYTES = 256


@dataclass(frozen=True)
class Exceptions:
    """Calls kept outside the planes: int32 ``site`` and ``subject``, uint8 ``value``, int64 ``record`` (byte offset of an escape)."""

    site: NDArray[np.int32]
    subject: NDArray[np.int32]
    value: NDArray[np.uint8]
    record: NDArray[np.int64]

    @staticmethod
    def room(size: int) -> Exceptions:
        """Uninitialised columns for a kernel to fill."""
        return Exceptions(np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.uint8), np.empty(size, np.int64))

    def take(self, index: NDArray[np.intp] | slice) -> Exceptions:
        """The chosen ones, in the order given."""
        return Exceptions(self.site[index], self.subject[index], self.value[index], self.record[index])

    def grown(self, used: int) -> Exceptions:
        """Columns eight times as long, the first ``used`` entries kept."""
        longer = Exceptions.room(8 * len(self.site))
        for old, new in ((self.site, longer.site), (self.subject, longer.subject), (self.value, longer.value)):
            new[:used] = old[:used]
        longer.record[:used] = self.record[:used]
        return longer

    @staticmethod
    def concat(parts: Sequence[Exceptions]) -> Exceptions:
        """All of them, one after another."""
        return Exceptions(
            np.concatenate([p.site for p in parts]),
            np.concatenate([p.subject for p in parts]),
            np.concatenate([p.value for p in parts]),
            np.concatenate([p.record for p in parts]),
        )


@dataclass(frozen=True)
class Payloads:
    """Chosen subjects' payloads in one buffer (``data``, spare bytes behind it): subject j's from ``begin[j]`` to ``end[j]``."""

    data: NDArray[np.uint8]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]

    @staticmethod
    def join(
        pieces: Sequence[Payload],
        n_sites: int,
        *,
        lengths: NDArray[np.int64] | None = None,
        columns: NDArray[np.int64] | None = None,
    ) -> Payloads:
        """Payloads put together, zstd forms unpacked. ``columns``: which subject each is of; in order unless given.

        Raises:
            IntegrityError: ``block_malformed``.
        """
        sizes = np.fromiter(map(len, pieces), np.int64, len(pieces)) if lengths is None else lengths
        if not sizes.all():
            raise block_malformed()
        end = sizes.cumsum()
        begin = end - sizes
        data = np.frombuffer(b"".join([*pieces, bytes(SPARE)]), np.uint8)
        (packed,) = (data[begin] & PACKED).nonzero()
        if len(packed):
            unpacked = [_unpack(pieces[j], n_sites) for j in packed.tolist()]
            data = np.frombuffer(b"".join([*pieces, *unpacked, bytes(SPARE)]), np.uint8)
            grown = np.fromiter(map(len, unpacked), np.int64, len(unpacked))
            end[packed] = int(sizes.sum()) + np.cumsum(grown)
            begin[packed] = end[packed] - grown
        if columns is None:
            return Payloads(data, begin, end)
        placed = np.empty((2, len(pieces)), np.int64)
        placed[:, columns] = begin, end
        return Payloads(data, placed[0], placed[1])

    def __len__(self) -> int:
        return len(self.begin)


def pack_long(payloads: bytes, lengths: NDArray[np.int64]) -> tuple[bytes, NDArray[np.uint32]]:
    """Payloads and their lengths (uint32[n]) after offering unusually long payloads (many missing calls, say) to zstd."""
    longest = max(_TRY_PACKING * float(np.median(lengths)), _TRY_PACKING_BYTES)
    # where few people are held, nothing is usual
    long = np.flatnonzero((lengths > longest) | ((lengths > _TRY_PACKING_BYTES) & (len(lengths) < _TRY_PACKING_BYTES)))
    if not len(long):
        return payloads, lengths.astype(np.uint32)
    end = np.cumsum(lengths)
    compressor = zstandard.ZstdCompressor(level=9, write_checksum=False)
    parts: list[bytes] = []
    lengths = lengths.copy()
    at = 0
    for j in long.tolist():
        begin, stop = int(end[j] - lengths[j]), int(end[j])
        packed = bytes([payloads[begin] | PACKED]) + compressor.compress(payloads[begin + 1 : stop])
        if len(packed) < (stop - begin) * 15 // 16:
            parts += [payloads[at:begin], packed]
            at = stop
            lengths[j] = len(packed)
    return b"".join([*parts, payloads[at:]]), lengths.astype(np.uint32)


def check_escapes(rows: CallRows, escapes: Escapes) -> None:
    """Escapes are in order, of sane ploidy, and where the rows say so. (That none is missing is for the caller to count.)

    Raises:
        UsageError: ``call_code_unknown``.
    """
    m, n = rows.shape
    site, sample, ploidy = escapes.site, escapes.sample, np.diff(escapes.offset)
    inside = bool((np.diff(site * n + sample) > 0).all() and site.min() >= 0 and site.max() < m)
    inside = inside and bool(sample.min() >= 0 and sample.max() < n and ploidy.min() >= 1 and ploidy.max() <= MAX_PLOIDY)
    agree = inside and bool((rows.form[site] == CODED).all() and (rows.codes[site, sample] == ESCAPE).all())
    if not agree or escapes.alleles.min() < -1:
        raise call_code_unknown()


def escape_records(batches: Sequence[tuple[int, Escapes]], coding: Coding) -> dict[int, bytes]:
    """Subject -> its escape records in the order in which the gap-coded part meets them. Batches: (first site, escapes)."""
    found: dict[int, list[tuple[int, bytes]]] = {}
    if not batches:
        return {}
    place_of_row = np.zeros(3 * len(coding), np.int64)
    place_of_row[coding.order] = np.arange(len(coding.order))
    for first, escapes in batches:
        phased = escapes.phased != 0
        for i in range(len(escapes)):  # calls with an allele above 9 or a ploidy above 2: a handful
            part = slice(int(escapes.offset[i]), int(escapes.offset[i + 1]))
            flags = sum(1 << b for b, flag in enumerate(phased[part].tolist()) if flag)
            alleles = (escapes.alleles[part].astype(np.int32) + 1).astype("<u2").tobytes()
            record = bytes([len(alleles) // 2, flags]) + alleles
            place = int(place_of_row[3 * (first + int(escapes.site[i])) + 2])
            found.setdefault(int(escapes.sample[i]), []).append((place, record))
    return {j: b"".join(record for _, record in sorted(records)) for j, records in found.items()}


def escapes_of(row_of_site: NDArray[np.int32], found: Exceptions, data: NDArray[np.uint8]) -> Escapes:
    """The calls among the exceptions that fit no byte. ``row_of_site[s]``: row, or -1 for what is not wanted."""
    if not len(found.site):
        return Escapes.empty()
    chosen = np.flatnonzero((found.value == ESCAPE) & (row_of_site[found.site] >= 0))
    if not len(chosen):
        return Escapes.empty()
    rows, subjects = row_of_site[found.site[chosen]].astype(np.int64), found.subject[chosen].astype(np.int64)
    order = np.lexsort((subjects, rows))
    record = found.record[chosen][order]
    ploidy = data[record].astype(np.int64)
    offset = np.zeros(len(order) + 1, np.int64)
    np.cumsum(ploidy, out=offset[1:])
    within = np.arange(offset[-1]) - np.repeat(offset[:-1], ploidy)
    base = np.repeat(record, ploidy)
    low, high = data[base + 2 + 2 * within].astype(np.int32), data[base + 3 + 2 * within].astype(np.int32)
    alleles = (low + 256 * high - 1).astype(np.int16)
    phased = ((data[base + 1] >> within.astype(np.uint8)) & 1).astype(np.uint8)
    return Escapes(rows[order], subjects[order], offset, alleles, phased)


def toggles(found: Exceptions) -> Exceptions:
    """The places where a subject's default ploidy changes, by site."""
    chosen = found.take(np.flatnonzero(found.value == TOGGLE))
    return chosen.take(np.argsort(chosen.site, kind="stable"))


def call_code_unknown() -> UsageError:
    """The one error of a matrix that holds what is not a call."""
    return UsageError("call_code_unknown", "a call code outside 0..253 and 255, or codes and escapes that do not agree")


def block_malformed() -> IntegrityError:
    """The error of a payload that does not have the form of its version. It is authenticated, so this is a writer's defect."""
    return IntegrityError("block_malformed", "a genotype block does not have the form of its version")


def head_bytes(shift: NDArray[np.uint8], has_escapes: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """First byte of each payload, uint8[n]."""
    return ((shift << 1) | np.where(has_escapes, HAS_ESCAPES, 0)).astype(np.uint8)


def _unpack(payload: Payload, n_sites: int) -> bytes:
    """A payload out of its zstd form."""
    raw = bytes(payload)
    limit = MAX_PAYLOAD_SITE_BYTES * n_sites + SPARE
    try:
        size = zstandard.frame_content_size(raw[1:])
        if not 0 < size <= limit:
            raise block_malformed()
        body = zstandard.ZstdDecompressor().decompress(raw[1:], max_output_size=limit, allow_extra_data=False)
    except zstandard.ZstdError:
        raise block_malformed() from None
    return bytes([raw[0] & ~PACKED]) + body
