"""Description of sites in a view: alleles that stay, texts by allow-lists, and what INFO has to say of structural ALTs. Pure.

REF is as long as the longest deletion at its site needs. Where that deletion's ALT does not leave, the bases that only it needed go
too, at both ends, or REF would tell that somebody carries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.contigs import find_assembly
from vault.genotypes.sites import Sites, TextColumn, site_extents
from vault.limits import MAX_POSITION
from vault.views import kernels, released_text, text_kernels

_SPECIAL = np.frombuffer(b"<[].", np.uint8)  # of symbolic ALTs and breakends


@dataclass(frozen=True)
class Described:
    """Sites as a view shows them, in the order given; ``trimmed`` bool[k]: bases of REF went with an ALT."""

    sites: Sites
    trimmed: NDArray[np.bool_]


def describe(
    chosen: Sites,
    kept: NDArray[np.bool_],
    spelled: NDArray[np.bool_],
    *,
    keep_ids: bool,
    assembly: str,
    keep_filters: bool = True,
) -> Described:
    """Describe k sites.

    Args:
        chosen: the sites as the dataset has them.
        kept: bool[alleles of all k sites], REF first: the alleles that stay.
        spelled: bool[k]: a panel spells the site's REF, which therefore stays as it is.
        keep_ids: give out numbers of dbSNP, where no ALT went that they may be of.
        keep_filters: give out FILTER, by its allow-list.
        assembly: the data's, to know contigs of mates by.
    """
    k = len(chosen)
    nothing = TextColumn(np.zeros(0, np.uint8), np.zeros(k + 1, np.int64))
    dots = TextColumn(np.full(k, ord("."), np.uint8), np.arange(k + 1))
    pos, alleles, info, ids = chosen.pos, chosen.alleles, nothing, released_text.ids(chosen.ids) if keep_ids else dots
    filters = released_text.filters(chosen.filters) if keep_filters else dots
    trimmed = np.zeros(k, np.bool_)
    if not kept.all():
        first = _firsts(chosen)
        dropped = np.add.reduceat(~kept, first[:-1], dtype=np.int64) > 0
        alleles = _without(alleles, kept, first)
        pos, alleles, trimmed = _trimmed(pos, alleles, dropped & ~spelled)
        unsure = np.flatnonzero(dropped & (trimmed | _holds(ids, np.frombuffer(b";", np.uint8))))
        ids = ids.replace(unsure, [b"."] * len(unsure))
    special = np.flatnonzero(_holds(alleles, _SPECIAL))
    if len(special):
        alleles, info = _structural(chosen, alleles, kept, special, assembly=assembly)
    used, first_row, contig = np.unique(chosen.contig, return_index=True, return_inverse=True)
    appearance = np.argsort(first_row)
    contigs = tuple(chosen.contigs[i] for i in used[appearance])
    numbers = np.argsort(appearance).astype(np.int32)[contig]
    return Described(Sites(contigs, numbers, pos, alleles, ids, filters, info), trimmed)


def _structural(
    chosen: Sites, alleles: TextColumn, kept: NDArray[np.bool_], rows: NDArray[np.intp], *, assembly: str
) -> tuple[TextColumn, TextColumn]:
    """(alleles, INFO) of all sites, those of ``rows`` by the allow-lists."""
    some, known = chosen.take(rows), find_assembly(assembly)
    backward, first = site_extents(some).backward, _firsts(chosen)
    texts, told = [], []
    for at, (row, text) in enumerate(zip(rows.tolist(), alleles.take(rows).items(), strict=True)):
        own, stays = chosen.contigs[int(chosen.contig[row])], kept[first[row] + 1 : first[row + 1]]

        def knows(name: str, own: str = own) -> bool:
            return name == own or released_text.is_public_contig(name, known)

        ref, *alts = text.split(b",")
        fields = some.info[at].split(b";")
        kind = released_text.svtype(fields)
        shown = [released_text.alt(alt, kind, knows) for alt in alts]
        texts.append(b",".join([ref, *shown]))
        told.append(_info(int(some.pos[at]), shown, fields, stays=stays, backward=bool(backward[at]), kind=kind))
    nothing = TextColumn(np.zeros(0, np.uint8), np.zeros(len(chosen) + 1, np.int64))
    return alleles.replace(rows, texts), nothing.replace(rows, told)


def _info(
    pos: int, alts: Sequence[bytes], fields: Sequence[bytes], *, stays: NDArray[np.bool_], backward: bool, kind: str
) -> bytes:
    """END, SVTYPE and SVLEN of a site: of its ALTs that stay, and END also where the source gives lengths alone."""
    lengths = next((field[6:].split(b",") for field in fields if field.startswith(b"SVLEN=")), [])
    lengths = [_length(lengths[min(at, len(lengths) - 1)]) for at in np.flatnonzero(stays).tolist()] if lengths else []
    given = next((field for field in fields if field.startswith(b"END=")), b"")
    end = _reach(pos, alts, lengths)
    told: list[bytes] = []
    if given and not backward and (stays.all() or not end):
        told.append(given)
    elif end:
        told.append(b"END=%d" % end)
    if kind and (stays.all() or kind in {_kind_of(alt) for alt in alts}):
        told.append(b"SVTYPE=" + kind.encode())
    if any(length != b"." for length in lengths):
        told.append(b"SVLEN=" + b",".join(lengths))
    return b";".join(told)


def _length(text: bytes) -> bytes:
    """A length that BCF can hold, "." for a larger one."""
    return text if text != b"." and abs(int(text)) <= MAX_POSITION - 8 else b"."


def _kind_of(alt: bytes) -> str:
    """The SVTYPE that an ALT is of."""
    return alt[1:-1].decode().partition(":")[0] if alt.startswith(b"<") else "BND"


def _reach(pos: int, alts: Sequence[bytes], lengths: Sequence[bytes]) -> int:
    """The last position that symbolic ALTs with SVLEN ``lengths`` reach, 0 if none says; insertions reach none."""
    reach = 0
    for alt, length in zip(alts, lengths, strict=False):
        digits = length.lstrip(b"-")
        if alt.startswith(b"<") and not alt.startswith((b"<INS", b"<*", b"<NON_REF", b"<BND")) and digits.isdigit():
            reach = max(reach, min(pos + int(digits), MAX_POSITION))
    return reach


def _trimmed(
    pos: NDArray[np.int64], alleles: TextColumn, may: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], TextColumn, NDArray[np.bool_]]:
    """(int64[k], alleles, bool[k]): POS and alleles, of sites that ``may`` be trimmed in their shortest spelling, and which changed."""
    changed, moved = np.zeros(len(pos), np.bool_), pos.copy()
    if not may.any():
        return pos, alleles, changed
    data, offsets = np.empty(len(alleles.data), np.uint8), np.zeros(len(pos) + 1, np.int64)
    texts = (np.ascontiguousarray(alleles.data, np.uint8), np.ascontiguousarray(alleles.offsets, np.int64))
    size = text_kernels.trim_alleles(*texts, may, moved, changed, data, offsets)
    return moved, TextColumn(data[:size], offsets), changed


def _without(alleles: TextColumn, kept: NDArray[np.bool_], first: NDArray[np.int64]) -> TextColumn:
    """The alleles that are kept; ``first`` int64[k+1]: where each site's alleles begin in ``kept``."""
    data, ends = np.empty(len(alleles.data), np.uint8), np.zeros(len(first), np.int64)
    rows = np.arange(len(first) - 1)
    texts = (np.ascontiguousarray(alleles.data, np.uint8), np.ascontiguousarray(alleles.offsets, np.int64))
    size = kernels.drop_alleles(*texts, rows, kept, first, data, ends)
    return TextColumn(data[:size], ends)


def _firsts(sites: Sites) -> NDArray[np.int64]:
    """int64[k+1]: where each site's alleles begin among the alleles of all."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sites.n_alleles())])


def _holds(column: TextColumn, marks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool[k]: the text holds one of the bytes."""
    before = np.zeros(len(column.data) + 1, np.int64)
    np.cumsum(np.isin(column.data, marks), out=before[1:])
    return before[column.offsets[1:]] > before[column.offsets[:-1]]
