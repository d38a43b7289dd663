"""Apache Parquet, as much of it as genotypes need (https://parquet.apache.org/docs/file-format/), written forward only.

A file is row groups of column chunks, each a page of distinct values where that saves room and a page of data, and at the end what they are, in
Thrift's compact protocol. Pages are of version 1, compressed with zstd. There is a writer of our own because a table of calls has a row for each
call of each person: general writers look at every value of every column, we know beforehand which of them repeat.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import zstandard
from numpy.typing import NDArray

MAGIC = b"PAR1"
_ZSTD = 6  # codec
_LEVEL = 1
_PLAIN, _RLE, _DELTA, _DICTIONARY = 0, 3, 5, 8  # encodings

BOOLEAN, INT32, BYTES = 0, 1, 6  # physical types
TEXT, UINT8, UINT32, INT16 = 0, 11, 13, 16  # what they stand for ("converted types")


@dataclass(frozen=True)
class ParquetColumn:
    """A column: its name, physical type, and what that stands for. ``nullable`` values may be missing; ``listed`` ones are lists, of any length."""

    name: str
    physical: int
    meaning: int | None = None
    nullable: bool = False
    listed: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """Path of its values in the schema."""
        return (self.name, "list", "element") if self.listed else (self.name,)

    def elements(self) -> list[bytes]:
        """Its elements of the schema."""
        kind = [] if self.meaning is None else [(6, _int32(self.meaning))]
        if not self.listed:
            return [_struct((1, _int32(self.physical)), (3, _int32(int(self.nullable))), (4, _binary(self.name)), *kind)]
        return [
            _struct((3, _int32(0)), (4, _binary(self.name)), (5, _int32(1)), (6, _int32(3))),  # a required group that is a LIST
            _struct((3, _int32(2)), (4, _binary("list")), (5, _int32(1))),
            _struct((1, _int32(self.physical)), (3, _int32(0)), (4, _binary("element")), *kind),
        ]


@dataclass(frozen=True)
class ColumnChunk:
    """The values of one column in one row group, as bytes of the file: page headers and pages.

    ``values``: how many, with missing ones; ``distinct_bytes``: of the page of distinct values, 0 where there is none; ``raw``: bytes before
    compression, headers included; ``least``, ``most``: of an INT32 column where they are known.
    """

    data: bytes
    values: int
    encoding: int
    distinct_bytes: int
    raw: int
    least: int | None = None
    most: int | None = None


def plain_chunk(data: bytes, n: int, *, least: int | None = None, most: int | None = None) -> ColumnChunk:
    """ColumnChunk of n values as they are, none missing."""
    return _chunk([(_data_page, data, n, _PLAIN)], n, _PLAIN, least=least, most=most)


def delta_chunk(data: bytes, n: int) -> ColumnChunk:
    """ColumnChunk of n INT32 values from ``delta_packed``."""
    return _chunk([(_data_page, data, n, _DELTA)], n, _DELTA)


def distinct_chunk(
    distinct: bytes,
    n_distinct: int,
    width: int,
    indices: bytes,
    n: int,
    *,
    levels: bytes = b"",
    least: int | None = None,
    most: int | None = None,
) -> ColumnChunk:
    """ColumnChunk of n values told by number among ``n_distinct``: ``indices`` are runs (``repeated``, ``packed``) of ``width`` bits.

    ``levels``: of a nullable or listed column, what of it is there (``levels``).
    """
    pages = [(_distinct_page, distinct, n_distinct, _PLAIN), (_data_page, levels + bytes([width]) + indices, n, _DICTIONARY)]
    return _chunk(pages, n, _DICTIONARY, least=least, most=most)


def levelled_chunk(levels: bytes, data: bytes, n: int) -> ColumnChunk:
    """ColumnChunk of n values as they are, of which ``levels`` tells what is there."""
    return _chunk([(_data_page, levels + data, n, _PLAIN)], n, _PLAIN)


def levels(runs: bytes) -> bytes:
    """Repetition or definition levels from runs of one bit."""
    return struct.pack("<I", len(runs)) + runs


def repeated(value: int, times: int, width: int) -> bytes:
    """A run of one value of ``width`` bits."""
    return varint(times << 1) + value.to_bytes((width + 7) // 8, "little")


def packed(data: bytes, n: int) -> bytes:
    """A run of n values, 8 of which fill ``width`` whole bytes of ``data``; the last 8 are filled up."""
    return varint(((n + 7) // 8) << 1 | 1) + data


def bits(flags: NDArray[np.bool_]) -> bytes:
    """A run of one-bit values."""
    return packed(np.packbits(flags, bitorder="little").tobytes(), len(flags))


def delta_packed(values: NDArray[np.int64]) -> bytes:
    """DELTA_BINARY_PACKED of one value or more, none negative: blocks of 128 differences in 4 miniblocks."""
    differences = np.diff(values)
    blocks = [differences[first : first + 128] for first in range(0, len(differences), 128)]
    head = varint(128) + varint(4) + varint(len(values)) + _zigzag(int(values[0]))
    return head + b"".join(map(_delta_block, blocks))


def _delta_block(block: NDArray[np.int64]) -> bytes:
    least, most = int(block.min()), int(block.max())
    if least == most:  # nearly all blocks of numbers that count up
        return _zigzag(least) + bytes(4)
    above = np.zeros(128, np.uint64)
    above[: len(block)] = (block - least).astype(np.uint64)
    parts = above.reshape(4, 32)
    widths = [int(part.max()).bit_length() for part in parts]
    packed_parts = (_bit_packed(part, width) for part, width in zip(parts, widths, strict=True) if width)
    return b"".join([_zigzag(least), bytes(widths), *packed_parts])


def byte_arrays(items: Sequence[bytes]) -> bytes:
    """Texts as PLAIN values: the length of each before it."""
    return b"".join(part for item in items for part in (struct.pack("<I", len(item)), item))


def varint(value: int) -> bytes:
    """An unsigned number, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass
class ParquetFile:
    """A file in the making. ``columns`` may be added to until ``close``; every row group has a chunk of each."""

    file: BinaryIO
    columns: list[ParquetColumn]
    _at: int = 0
    _rows: int = 0
    _groups: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._put(MAGIC)
        self._chunks: list[bytes] = []
        self._sizes = (0, 0)

    def put(self, column: ParquetColumn, chunk: ColumnChunk) -> None:
        """Write the next column's chunk of the row group."""
        begin, data_at = self._at, self._at + chunk.distinct_bytes
        self._put(chunk.data)
        told: list[tuple[int, _Value]] = [(11, _int64(begin))] if chunk.distinct_bytes else []
        if chunk.least is not None and chunk.most is not None:
            least, most = (_binary(struct.pack("<I", value)) for value in (chunk.least, chunk.most))
            told.append((12, (_STRUCT, _struct((5, most), (6, least)))))
        meta = _struct(
            (1, _int32(column.physical)),
            (2, _list(_I32, [_zigzag(code) for code in sorted({chunk.encoding, _RLE, _PLAIN})])),
            (3, _list(_BINARY, [_binary(part)[1] for part in column.path])),
            (4, _int32(_ZSTD)),
            (5, _int64(chunk.values)),
            (6, _int64(chunk.raw)),
            (7, _int64(len(chunk.data))),
            (9, _int64(data_at)),
            *told,
        )
        self._chunks.append(_struct((2, _int64(begin)), (3, (_STRUCT, meta))))
        self._sizes = (self._sizes[0] + chunk.raw, self._sizes[1] + len(chunk.data))

    def end_group(self, rows: int) -> None:
        """The row group has all of its chunks."""
        raw, stored = self._sizes
        self._groups.append(_struct((1, _list(_STRUCT, self._chunks)), (2, _int64(raw)), (3, _int64(rows)), (6, _int64(stored))))
        self._rows += rows
        self._chunks, self._sizes = [], (0, 0)

    def close(self) -> None:
        """Write what the file holds: then it is whole."""
        schema = [_struct((4, _binary("schema")), (5, _int32(len(self.columns))))]
        schema += [element for column in self.columns for element in column.elements()]
        order = _struct((1, (_STRUCT, _struct())))
        footer = _struct(
            (1, _int32(1)),
            (2, _list(_STRUCT, schema)),
            (3, _int64(self._rows)),
            (4, _list(_STRUCT, self._groups)),
            (6, _binary("genovault")),
            (7, _list(_STRUCT, [order] * len(self.columns))),
        )
        self._put(footer + struct.pack("<I", len(footer)) + MAGIC)

    def _put(self, data: bytes) -> None:
        self.file.write(data)
        self._at += len(data)


# Thrift's compact protocol: a value is (type, bytes).
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12
_Value = tuple[int, bytes]


def _struct(*fields: tuple[int, _Value]) -> bytes:
    """Fields by number, in order, and the end."""
    parts, last = [], 0
    for number, (kind, data) in fields:
        parts.append(bytes([(number - last) << 4 | kind]) + data)
        last = number
    return b"".join(parts) + b"\0"


def _list(kind: int, items: Sequence[bytes]) -> _Value:
    head = bytes([len(items) << 4 | kind]) if len(items) < 15 else bytes([0xF0 | kind]) + varint(len(items))
    return _LIST, head + b"".join(items)


def _int32(value: int) -> _Value:
    return _I32, _zigzag(value)


def _int64(value: int) -> _Value:
    return _I64, _zigzag(value)


def _binary(value: str | bytes) -> _Value:
    data = value.encode() if isinstance(value, str) else value
    return _BINARY, varint(len(data)) + data


def _zigzag(value: int) -> bytes:
    return varint(_signed(value))


def _signed(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _bit_packed(values: NDArray[np.uint64], width: int) -> bytes:
    """Values of ``width`` bits, the lowest bit first."""
    rows = (values[:, None] >> np.arange(width, dtype=np.uint64)) & np.uint64(1)
    return np.packbits(rows.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def _data_page(raw: int, stored: int, n: int, encoding: int) -> bytes:
    head = _struct((1, _int32(n)), (2, _int32(encoding)), (3, _int32(_RLE)), (4, _int32(_RLE)))
    return _struct((1, _int32(0)), (2, _int32(raw)), (3, _int32(stored)), (5, (_STRUCT, head)))


def _distinct_page(raw: int, stored: int, n: int, encoding: int) -> bytes:
    head = _struct((1, _int32(n)), (2, _int32(encoding)))
    return _struct((1, _int32(2)), (2, _int32(raw)), (3, _int32(stored)), (7, (_STRUCT, head)))


def _chunk(
    pages: Iterable[tuple[Callable[[int, int, int, int], bytes], bytes, int, int]],
    n: int,
    encoding: int,
    *,
    least: int | None = None,
    most: int | None = None,
) -> ColumnChunk:
    parts, raw, distinct = [], 0, 0
    for head_of, data, count, code in pages:
        stored = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
        head = head_of(len(data), len(stored), count, code)
        parts.append(head + stored)
        raw += len(head) + len(data)
        if head_of is _distinct_page:
            distinct = len(parts[-1])
    return ColumnChunk(b"".join(parts), n, encoding, distinct, raw, least, most)
