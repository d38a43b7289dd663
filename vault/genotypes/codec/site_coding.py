"""The site side of the block code: what a chunk's site table says of each site so that payloads can be read.

Serialised as described in docs/formats/genotypes.md §2 and kept, sealed, in the site table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import zstandard
from numpy.typing import NDArray

from vault.errors import IntegrityError
from vault.genotypes.codec.format_constants import EMPTY, GOLOMB, MAX_K, RAW, TILE_SITES

VERSION = 1
MAX_SITES = 65_535  # sites of a chunk: a reference and a table index fit 16 bits

_HEAD = np.dtype([("version", "u1"), ("reserved", "u1"), ("sites", "<u4"), ("alphabets", "<u4"), ("packed", "<u4")])


@dataclass(frozen=True)
class Coding:
    """Columns over the m sites of a chunk.

    ``alphabets`` uint8[a, 4]: the call codes of fields 0..3. ``alphabet`` uint16[m] indexes them. ``distance`` uint16[m]: how
    many sites back the XOR reference is, 0 = none. ``classes`` uint8[m, 3]: class of plane b1, plane b2 and the exceptions.
    ``default`` uint8[m]: the exception value that costs one bit.
    """

    alphabets: NDArray[np.uint8]
    alphabet: NDArray[np.uint16]
    distance: NDArray[np.uint16]
    classes: NDArray[np.uint8]
    default: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.alphabet)

    @cached_property
    def reference(self) -> NDArray[np.int64]:
        """int64[m]: the site XOR-ed with, or -1."""
        back = self.distance.astype(np.int64)
        return np.where(back > 0, np.arange(len(self)) - back, -1)

    @cached_property
    def raw_sites(self) -> NDArray[np.int64]:
        """int64[r]: sites whose two planes are stored raw, ascending."""
        return np.flatnonzero(self.classes[:, 0] == RAW)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """int64[places]: rows (3 * site + plane) in the order of the gap-coded part: by class, then by row."""
        flat = self.classes.reshape(-1)
        rows = np.flatnonzero(flat >= GOLOMB)
        return rows[np.argsort(flat[rows], kind="stable")]

    @cached_property
    def class_end(self) -> NDArray[np.int64]:
        """int64[MAX_K + 1]: where in ``order`` the rows of Golomb parameter k end."""
        return np.searchsorted(self.classes.reshape(-1)[self.order], GOLOMB + np.arange(MAX_K + 1), side="right").astype(np.int64)

    @cached_property
    def plane(self) -> NDArray[np.uint8]:
        """uint8[places]: plane of each place of ``order``: 0 b1, 1 b2, 2 exceptions."""
        return (self.order % 3).astype(np.uint8)

    @cached_property
    def site(self) -> NDArray[np.int32]:
        """int32[places]: site of each place of ``order``."""
        return (self.order // 3).astype(np.int32)

    def to_bytes(self) -> bytes:
        """The serialised form."""
        first, second, third = self.classes.T
        columns = (
            np.ascontiguousarray(self.alphabets),
            _split16(self.alphabet),
            _split16(self.distance),
            np.ascontiguousarray(first),
            first ^ second,
            np.ascontiguousarray(third),
            self.default,
        )
        packed = zstandard.ZstdCompressor(level=7).compress(b"".join(c.tobytes() for c in columns))
        head = np.array([(VERSION, 0, len(self), len(self.alphabets), len(packed))], _HEAD)
        return head.tobytes() + packed

    @staticmethod
    def from_bytes(data: bytes) -> Coding:
        """The reverse of ``to_bytes``.

        Raises:
            IntegrityError: ``site_table_malformed``: another version, a length that does not fit, a value out of range.
        """
        if len(data) < _HEAD.itemsize:
            raise malformed()
        head = np.frombuffer(data[: _HEAD.itemsize], _HEAD)[0]
        m, a = int(head["sites"]), int(head["alphabets"])
        if head["version"] != VERSION or head["reserved"] or m > MAX_SITES or a > m or (m and not a):
            raise malformed()
        if len(data) != _HEAD.itemsize + int(head["packed"]):
            raise malformed()
        raw = np.frombuffer(unpack(data[_HEAD.itemsize :], 4 * a + 8 * m), np.uint8)
        alphabets, rest = raw[: 4 * a].reshape(a, 4), raw[4 * a :].reshape(8, m)
        alphabet, distance = _join16(rest[:2]), _join16(rest[2:4])
        classes = np.stack([rest[4], rest[4] ^ rest[5], rest[6]], axis=1)
        place = np.arange(m)
        raw_planes = classes == RAW
        sound = (
            (not m or int(alphabet.max()) < a)
            and bool((distance <= place % TILE_SITES).all())
            and int(classes.max(initial=EMPTY)) <= GOLOMB + MAX_K
            and not raw_planes[:, 2].any()
            and bool((raw_planes[:, 0] == raw_planes[:, 1]).all())
        )
        if not sound:
            raise malformed()
        return Coding(alphabets, alphabet, distance, classes, rest[7])


def malformed() -> IntegrityError:
    """The one error of everything that a site table's bytes can get wrong."""
    return IntegrityError("site_table_malformed", "a site table does not have the form of its version")


def unpack(packed: bytes, size: int) -> bytes:
    """Exactly ``size`` bytes out of one zstd frame.

    Raises:
        IntegrityError: ``site_table_malformed``.
    """
    try:
        if zstandard.frame_content_size(packed) != size:
            raise malformed()
        data = zstandard.ZstdDecompressor().decompress(packed, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError:
        raise malformed() from None
    if len(data) != size:
        raise malformed()
    return data


def _split16(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """uint8[2m]: the low bytes of uint16[m], then the high bytes, which compresses better than pairs."""
    return np.concatenate([values & 0xFF, values >> 8]).astype(np.uint8)


def _join16(planes: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """uint16[m] of their low and high bytes, uint8[2, m]."""
    joined: NDArray[np.uint16] = planes[0].astype(np.uint16) | (planes[1].astype(np.uint16) << 8)
    return joined
