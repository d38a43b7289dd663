"""Sites: variant records without genotypes, held by column.

Text columns are one byte buffer and offsets (the layout of Arrow), because a dataset has millions of sites and a Python
object for each would cost more than the genotypes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TextColumn:
    """m byte strings: item i is ``data[offsets[i]:offsets[i+1]]``. ``data`` uint8[], ``offsets`` int64[m+1]."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @staticmethod
    def from_items(items: Iterable[bytes]) -> TextColumn:
        """The column of these strings, in order."""
        parts = list(items)
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(p) for p in parts], out=offsets[1:])
        return TextColumn(np.frombuffer(b"".join(parts), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def items(self) -> list[bytes]:
        """Every string, in order."""
        raw, ends = self.data.tobytes(), self.offsets.tolist()
        return [raw[a:b] for a, b in pairwise(ends)]

    def take(self, index: NDArray[np.intp] | Sequence[int]) -> TextColumn:
        """The chosen items, in the order given."""
        chosen = np.asarray(index, np.int64)
        lengths = (self.offsets[1:] - self.offsets[:-1])[chosen]
        offsets = np.zeros(len(chosen) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        source = np.repeat(self.offsets[:-1][chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return TextColumn(self.data[source], offsets)

    def replace(self, rows: NDArray[np.intp], items: Sequence[bytes]) -> TextColumn:
        """The column with other items in ``rows``."""
        if not len(rows):
            return self
        index = np.arange(len(self))
        index[rows] = len(self) + np.arange(len(rows))
        return TextColumn.concat([self, TextColumn.from_items(items)]).take(index)

    def run(self, first: int, end: int) -> TextColumn:
        """Items ``first`` to ``end``, on the same memory."""
        offsets = self.offsets[first : end + 1]
        return TextColumn(self.data[offsets[0] : offsets[-1]], offsets - offsets[0])

    @staticmethod
    def concat(columns: Sequence[TextColumn]) -> TextColumn:
        """The columns, one after another."""
        offsets = np.zeros(sum(map(len, columns)) + 1, np.int64)
        at = 0
        for column in columns:  # straight into place: the offsets of a dataset are larger than its texts
            shift = int(offsets[at]) - int(column.offsets[0])
            np.add(column.offsets[1:], shift, out=offsets[at + 1 : at + 1 + len(column)])
            at += len(column)
        data = [c.data[c.offsets[0] : c.offsets[-1]] for c in columns]
        return TextColumn(np.concatenate([np.zeros(0, np.uint8), *data]), offsets)


@dataclass(frozen=True)
class Sites:
    """m sites in file order.

    ``contigs``: contig names as the file spells them; ``contig`` int32[m] indexes them. ``pos`` int64[m], 1-based.
    ``alleles``: b"REF,ALT1,ALT2" (REF alone where ALT is "."). ``ids``, ``filters``: the VCF columns as written (b"." if none).
    ``info``: b"" or "END=…;SVTYPE=…;SVLEN=…;CHR2=…;POS2=…;END2=…" of symbolic alleles and breakends, those that the source has, in that order.
    """

    contigs: tuple[str, ...]
    contig: NDArray[np.int32]
    pos: NDArray[np.int64]
    alleles: TextColumn
    ids: TextColumn
    filters: TextColumn
    info: TextColumn

    def __len__(self) -> int:
        return len(self.pos)

    def take(self, index: NDArray[np.intp] | Sequence[int]) -> Sites:
        """The chosen sites, in the order given; a run of neighbours shares the memory of the whole."""
        chosen = np.asarray(index, np.int64)
        first, last = (int(chosen[0]), int(chosen[-1])) if len(chosen) else (0, -1)
        if len(chosen) == last - first + 1 and first >= 0 and bool((np.diff(chosen) == 1).all()):
            run = slice(first, last + 1)
            texts = (self.alleles, self.ids, self.filters, self.info)
            return Sites(self.contigs, self.contig[run], self.pos[run], *(column.run(first, last + 1) for column in texts))
        return Sites(
            self.contigs,
            self.contig[chosen],
            self.pos[chosen],
            self.alleles.take(chosen),
            self.ids.take(chosen),
            self.filters.take(chosen),
            self.info.take(chosen),
        )

    @staticmethod
    def concat(parts: Sequence[Sites]) -> Sites:
        """Sites of several runs, one after another; contig dictionaries are united in order of appearance."""
        if len(parts) == 1:
            return parts[0]
        names: dict[str, int] = {}
        contig = []
        for part in parts:
            mapping = np.array([names.setdefault(c, len(names)) for c in part.contigs], np.int32)
            contig.append(mapping[part.contig] if len(part) else np.zeros(0, np.int32))
        return Sites(
            tuple(names),
            np.concatenate([np.zeros(0, np.int32), *contig]),
            np.concatenate([np.zeros(0, np.int64), *(p.pos for p in parts)]),
            TextColumn.concat([p.alleles for p in parts]),
            TextColumn.concat([p.ids for p in parts]),
            TextColumn.concat([p.filters for p in parts]),
            TextColumn.concat([p.info for p in parts]),
        )

    def ref_lengths(self) -> NDArray[np.int64]:
        """int64[m]: bases of each REF: what stands before the first comma of the alleles."""
        offsets = self.alleles.offsets
        commas = np.flatnonzero(self.alleles.data == ord(","))
        first = np.searchsorted(commas, offsets[:-1], "left")
        ends = offsets[1:].copy()
        has = first < len(commas)
        ends[has] = np.minimum(ends[has], commas[first[has]])
        return (ends - offsets[:-1]).astype(np.int64)

    def n_alleles(self) -> NDArray[np.int64]:
        """int64[m]: REF and ALTs of each site."""
        commas = np.zeros(len(self.alleles.data) + 1, np.int64)
        np.cumsum(self.alleles.data == ord(","), out=commas[1:])
        counted: NDArray[np.int64] = commas[self.alleles.offsets[1:]] - commas[self.alleles.offsets[:-1]] + 1
        return counted


def site_ends(sites: Sites) -> NDArray[np.int64]:
    """int64[m]: last position that each site speaks of on its contig, 1-based: of REF, INFO/END and, with SVLEN, symbolic ALTs."""
    return site_extents(sites).ends


@dataclass(frozen=True)
class Extents:
    """Reach of m sites. ``ends`` int64[m]: the last position, 1-based. bool[m]: ``backward``, END lies before the site, which readers
    refuse; ``endless``, a symbolic ALT and nothing that says how far it reaches; ``joined``, a symbolic ALT (``<BND>``, ``<TRA>``,
    ``<CTX>``) joins it to another place; ``unplaced``, an ALT may speak of any place (a single breakend, an unknown symbol);
    ``spanning``, an ALT is a symbol that speaks of bases behind POS or elsewhere.
    """

    ends: NDArray[np.int64]
    backward: NDArray[np.bool_]
    endless: NDArray[np.bool_]
    joined: NDArray[np.bool_]
    unplaced: NDArray[np.bool_]
    spanning: NDArray[np.bool_]


def site_extents(sites: Sites) -> Extents:
    """The extents of sites, read from alleles and INFO."""
    from vault.genotypes import site_kernels as kernels  # noqa: PLC0415 - kernels load when sites are opened, not with every command

    ends, flags = np.empty(len(sites), np.int64), np.zeros(len(sites), np.uint8)
    kernels.ends_of(
        np.ascontiguousarray(sites.pos),
        np.ascontiguousarray(sites.alleles.data),
        np.ascontiguousarray(sites.alleles.offsets),
        np.ascontiguousarray(sites.info.data),
        np.ascontiguousarray(sites.info.offsets),
        ends,
        flags,
    )
    bits = (kernels.BACKWARD, kernels.ENDLESS, kernels.JOINED, kernels.UNPLACED, kernels.SPANNING)
    return Extents(ends, *((flags & bit).astype(np.bool_) for bit in bits))


def short_sequences(sites: Sites, most: int) -> NDArray[np.bool_]:
    """bool[m]: REF and every ALT are sequences of at most so many bases; an ALT may be ``*``, or blanked."""
    from vault.genotypes import site_kernels as kernels  # noqa: PLC0415 - kernels load when sites are opened, not with every command

    found = np.zeros(len(sites), np.bool_)
    kernels.short_sequences(np.ascontiguousarray(sites.alleles.data), np.ascontiguousarray(sites.alleles.offsets), most, found)
    return found
