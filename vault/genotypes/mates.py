"""The other places that sites are joined to: mates of breakends, and what callers write beside symbols (VCF 4.5 §5.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.contigs import normal_contig
from vault.genotypes.sites import Sites, TextColumn, site_extents
from vault.limits import MAX_POSITION


@dataclass(frozen=True)
class Mates:
    """k places that sites speak of beside their own: ``rows`` int64[k] of the sites, ``contigs``, and ``first`` and ``last`` int64[k],
    1-based. ``sure`` bool[k]: the place is known; False: it is somewhere on that contig ("": on any).
    """

    rows: NDArray[np.int64]
    contigs: tuple[str, ...]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    sure: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)


_Place = tuple[str, int, int, bool]


def mates_of(sites: Sites) -> Mates:
    """The mates of breakends in all four forms; CHR2 with POS2, END2 or END; and an END before the site's own position."""
    found: list[tuple[int, str, int, int, bool]] = []
    for row in _rows_with(sites.alleles, b"[]"):
        alts = sites.alleles[row].split(b",")[1:]
        found += [(row, *_bracketed(alt)) for alt in alts if b"[" in alt or b"]" in alt]
    if len(sites.info.data):
        spans = site_extents(sites)
        for row in np.flatnonzero((np.diff(sites.info.offsets) > 0) | spans.joined).tolist():
            own, pos = sites.contigs[int(sites.contig[row])], int(sites.pos[row])
            fields = dict(field.split(b"=", 1) for field in sites.info[row].split(b";") if b"=" in field)
            found += [(row, *place) for place in _told(fields, own, pos)]
            if spans.backward[row] and spans.spanning[row]:
                found.append((row, own, int(fields[b"END"]), pos, True))
    rows, contigs, first, last, sure = zip(*found, strict=True) if found else ((), (), (), (), ())
    return Mates(np.array(rows, np.int64), contigs, np.array(first, np.int64), np.array(last, np.int64), np.array(sure, np.bool_))


_MATE = re.compile(rb"[^\[\]]*[\[\]](.+):([0-9]+)[\[\]][^\[\]]*")


def _bracketed(alt: bytes) -> _Place:
    mate = _MATE.fullmatch(alt)
    if not mate:
        return "", 1, 1, False
    place = min(int(mate[2]), MAX_POSITION)
    return mate[1].decode(), place, place, True


def _told(fields: dict[bytes, bytes], own: str, pos: int) -> Iterator[_Place]:
    """The place that CHR2, POS2, END2 and END tell of. Without POS2 or END2, END is of either contig, as the caller liked."""
    if not fields.keys() & {b"CHR2", b"POS2", b"END2"}:
        return
    contig = fields.get(b"CHR2", own.encode()).decode()
    given = [_number(fields[key]) for key in (b"POS2", b"END2") if key in fields]
    if given:
        yield contig, min(given), max(given), min(given) >= 0
        return
    end = _number(fields.get(b"END", b""))
    if normal_contig(contig) != normal_contig(own):
        yield contig, max(end, 1), max(end, 1), False
    elif 0 <= end < pos:
        yield contig, end, end, True


def _number(text: bytes) -> int:
    return min(int(text), MAX_POSITION) if text.isdigit() else -1


def _rows_with(column: TextColumn, marks: bytes) -> list[int]:
    """Rows, ascending, whose text holds one of the bytes."""
    found = np.flatnonzero(np.isin(column.data, np.frombuffer(marks, np.uint8)))
    rows: list[int] = np.unique(np.searchsorted(column.offsets, found, side="right") - 1).tolist()
    return rows
