"""Numba kernels over the texts of a view: ids that may leave, alleles in their shortest spelling. Called by ``vault.views`` only."""
# ruff: noqa: C901, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# ruff: noqa: PLR1714 - "c in (a, b)" compiles to a loop over a tuple
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

from numba import types

from vault.genotypes.compute.jit import RO, RW, helper, kernel

_MOST_DIGITS = 12  # of a number of dbSNP


@kernel(types.int64(RO(types.uint8), RO(types.int64), RW(types.uint8), RW(types.int64)))
def keep_rs(data: Any, ends: Any, out: Any, out_ends: Any) -> Any:
    """Copy of each item, names with semicolons between, the names "rs" and a number; "." where there is none. Returns the bytes written.

    ``out`` takes one byte an item more than ``data``.
    """
    size = 0
    for i in range(len(ends) - 1):
        begin = size
        start = ends[i]
        for p in range(ends[i], ends[i + 1] + 1):
            if p < ends[i + 1] and data[p] != 59:  # ";"
                continue
            number = p - start > 2 and p - start <= 2 + _MOST_DIGITS and data[start] == 114 and data[start + 1] == 115  # "rs"
            for q in range(start + 2, p):
                number = number and 48 <= data[q] <= 57
            if number:
                if size > begin:
                    out[size] = 59
                    size += 1
                for q in range(start, p):
                    out[size] = data[q]
                    size += 1
            start = p + 1
        if size == begin:
            out[size] = 46  # "."
            size += 1
        out_ends[i + 1] = size
    return size


@helper
def upper(c: Any) -> Any:
    """The byte of a base in upper case."""
    return c - 32 if 97 <= c <= 122 else c


@helper
def is_bases(data: Any, start: Any) -> Any:
    """Test whether an allele is a sequence of bases: no symbol, not ``*``."""
    return data[start] != 60 and data[start] != 42  # "<", "*"


@helper
def allele_stop(data: Any, start: Any, stop: Any) -> Any:
    """End of the allele that begins at ``start``."""
    while start < stop and data[start] != 44:  # ","
        start += 1
    return start


@helper
def shared_behind(data: Any, start: Any, stop: Any, most: Any) -> Any:
    """Number of last bytes, at most ``most``, that all sequences of a site have in common."""
    first_stop = allele_stop(data, start, stop)
    p = first_stop + 1
    while p < stop and most > 0:
        end = allele_stop(data, p, stop)
        if is_bases(data, p):
            same = 0
            while same < most and upper(data[end - 1 - same]) == upper(data[first_stop - 1 - same]):
                same += 1
            most = same
        p = end + 1
    return most


@helper
def shared_front(data: Any, start: Any, stop: Any, most: Any) -> Any:
    """Number of first bytes, at most ``most``, that all sequences of a site have in common."""
    p = allele_stop(data, start, stop) + 1
    while p < stop and most > 0:
        end = allele_stop(data, p, stop)
        if is_bases(data, p):
            same = 0
            while same < most and upper(data[p + same]) == upper(data[start + same]):
                same += 1
            most = same
        p = end + 1
    return most


@kernel(
    types.int64(
        RO(types.uint8), RO(types.int64), RO(types.boolean), RW(types.int64), RW(types.boolean), RW(types.uint8), RW(types.int64)
    )
)
def trim_alleles(data: Any, ends: Any, may: Any, pos: Any, changed: Any, out: Any, out_ends: Any) -> Any:
    """Copy alleles, those of the sites that ``may`` be trimmed without the bases that all their sequences share at either end, one always
    kept; case does not count. POS moves with the bases in front. Returns the bytes written.

    Symbols stand on the first base of REF, so beside them nothing goes in front. Breakends name REF's own bases: nothing goes at all.
    """
    size = 0
    for i in range(len(may)):
        start, stop = ends[i], ends[i + 1]
        front, behind = 0, 0
        if may[i]:
            p = allele_stop(data, start, stop)
            shortest = p - start
            symbols, breakends, sequences = False, False, 1
            p += 1
            while p < stop:
                end = allele_stop(data, p, stop)
                if data[p] == 60:  # "<"
                    symbols = True
                elif data[p] != 42:  # "*"
                    sequences += 1
                    shortest = min(shortest, end - p)
                    for q in range(p, end):
                        c = data[q]
                        breakends |= c == 91 or c == 93 or c == 46 or c == 60  # "[", "]", ".", "<"
                p = end + 1
            if not breakends:
                behind = shared_behind(data, start, stop, shortest - 1) if sequences > 1 else shortest - 1
                if sequences > 1 and not symbols:
                    front = shared_front(data, start, stop, shortest - 1 - behind)
        changed[i] = front + behind > 0
        pos[i] += front
        p = start
        while p <= stop:
            end = allele_stop(data, p, stop)
            bases = is_bases(data, p) if end > p else False
            for q in range(p + front if bases else p, end - behind if bases else end):
                out[size] = data[q]
                size += 1
            if end < stop:
                out[size] = 44
                size += 1
            p = end + 1
        out_ends[i + 1] = size
    return size
