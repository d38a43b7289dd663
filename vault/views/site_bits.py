"""Bits of sites by name: what has left, added up over releases, where a site that leaves again tells no more than it did. Pure.

A site's name is a number of 64 bits, the same for one record of a source whoever is released (``released_bits``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray

from vault.errors import IntegrityError


@dataclass(frozen=True, repr=False)
class SiteBits:
    """``keys`` uint64[k]: names in ascending order, each once; ``bits`` uint16[k]: thousandths of a bit of each."""

    keys: NDArray[np.uint64]
    bits: NDArray[np.uint16]

    def __repr__(self) -> str:
        return f"SiteBits({len(self.keys)} sites)"  # what left ends in no log by accident

    @staticmethod
    def union(several: Sequence[SiteBits], *, add: bool = False) -> SiteBits:
        """All sites; of one that is in several the most that any tells. ``add``: the sum, for records of one name in one release."""
        keys, place = np.unique(np.concatenate([np.zeros(0, np.uint64), *(one.keys for one in several)]), return_inverse=True)
        bits = np.zeros(len(keys), np.int64)
        told = np.concatenate([np.zeros(0, np.int64), *(one.bits.astype(np.int64) for one in several)])
        (np.add if add else np.maximum).at(bits, place, told)
        return SiteBits(keys, np.minimum(bits, np.iinfo(np.uint16).max).astype(np.uint16))

    @property
    def total(self) -> int:
        """Thousandths of a bit."""
        return int(self.bits.sum(dtype=np.int64))

    def beyond(self, known: SiteBits) -> tuple[SiteBits, int]:
        """Sites that ``known`` lacks or tells less of, and how much more all of them tell than it does, in thousandths."""
        place = np.minimum(np.searchsorted(known.keys, self.keys), max(0, len(known.keys) - 1))
        told = np.zeros(len(self.keys), np.int64)
        if len(known.keys):
            told = np.where(known.keys[place] == self.keys, known.bits[place].astype(np.int64), 0)
        more = np.maximum(self.bits - told, 0)
        rows = np.flatnonzero(more)
        return SiteBits(self.keys[rows], self.bits[rows]), int(more.sum())

    def packed(self) -> bytes:
        """One zstd frame: u64 differences of the names, u16 bits, little endian."""
        steps = np.diff(self.keys, prepend=np.zeros(1, np.uint64))
        return zstandard.ZstdCompressor(level=3).compress(steps.astype("<u8").tobytes() + self.bits.astype("<u2").tobytes())

    @staticmethod
    def from_packed(data: bytes, n_sites: int) -> SiteBits:
        """Sites that ``packed`` made into bytes, of so many. Raises IntegrityError ``released_sites_damaged``."""
        try:
            plain = zstandard.ZstdDecompressor().decompress(data, max_output_size=max(1, 10 * n_sites), allow_extra_data=False)
        except zstandard.ZstdError:
            plain = b"-"
        if len(plain) != 10 * n_sites:
            raise IntegrityError("released_sites_damaged", "the account of what left is damaged", hint="run genovault doctor")
        steps, bits = np.frombuffer(plain, "<u8", n_sites), np.frombuffer(plain, "<u2", n_sites, 8 * n_sites)
        return SiteBits(np.cumsum(steps, dtype=np.uint64), bits.astype(np.uint16))


NO_SITES = SiteBits(np.zeros(0, np.uint64), np.zeros(0, np.uint16))
