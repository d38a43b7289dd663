"""Kernels over the columns of sites. ``vault.genotypes.sites`` is the only caller."""

# ruff: noqa: C901, PLR0911, PLR0912, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# ruff: noqa: PLR1714 - "c in (a, b)" compiles to a loop over a tuple
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any, Final

from numba import types

from vault.genotypes.compute.jit import RO, RW, helper, kernel
from vault.limits import MAX_POSITION

BACKWARD: Final = 1
ENDLESS: Final = 2
JOINED: Final = 4
UNPLACED: Final = 8
SPANNING: Final = 16

PLAIN, LONG, JOINS, UNKNOWN = range(4)  # kinds of ALTs by the places they speak of


@helper
def number_at(data: Any, start: Any, stop: Any) -> Any:
    """The whole number, without its sign, that the text at ``start`` begins with, at most MAX_POSITION; -1 if it begins with none."""
    if start < stop and data[start] == 45:  # "-"
        start += 1
    value = -1
    while start < stop and 48 <= data[start] <= 57:
        value = min(max(value, 0) * 10 + data[start] - 48, MAX_POSITION)
        start += 1
    return value


@helper
def field_at(data: Any, start: Any, stop: Any, first: Any, second: Any, third: Any, size: Any) -> Any:
    """Start of the value of an INFO field whose key, ``size`` bytes with its "=", has these bytes first, second and third; -1 if absent."""
    p = start
    while p + size <= stop:
        if data[p] == first and data[p + 1] == second and data[p + 2] == third and data[p + size - 1] == 61:
            return p + size
        while p < stop and data[p] != 59:  # ";"
            p += 1
        p += 1
    return -1


@helper
def begins(data: Any, start: Any, stop: Any, a: Any, b: Any, c: Any) -> Any:
    """Test whether ``data[start:stop]`` begins with the bytes a, b, c."""
    return stop - start >= 3 and data[start] == a and data[start + 1] == b and data[start + 2] == c


@helper
def alt_kind(data: Any, start: Any, stop: Any) -> Any:
    """PLAIN: bases, ``*``, ``<*>``, ``<NON_REF>``, insertions, breakends in brackets (``mates`` reads those); LONG: symbols whose
    bases follow POS; JOINS: ``<BND>``, ``<TRA>``, ``<CTX>``; UNKNOWN: single breakends, inserted contigs, symbols of no known meaning.
    """
    if stop - start < 2:
        return PLAIN
    if data[start] == 46 or data[stop - 1] == 46:  # "."
        beside = data[start + 1] if data[start] == 46 else data[stop - 2]
        return PLAIN if beside == 91 or beside == 93 else UNKNOWN  # of a telomere: .[p[, ]p].
    if data[stop - 1] != 62:  # ">"
        return PLAIN
    if data[start] != 60:  # "<"
        return UNKNOWN
    p, stop = start + 1, stop - 1
    if stop - p == 1 and data[p] == 42:  # "*"
        return PLAIN
    if begins(data, p, stop, 73, 78, 83) or begins(data, p, stop, 78, 79, 78):  # INS, NON_REF
        return PLAIN
    if (
        begins(data, p, stop, 68, 69, 76) or begins(data, p, stop, 68, 85, 80) or begins(data, p, stop, 73, 78, 86)
    ):  # DEL, DUP, INV
        return LONG
    if begins(data, p, stop, 67, 78, 86) or begins(data, p, stop, 83, 84, 82):  # CNV, STR (repeats)
        return LONG
    if stop - p >= 3 and data[p] == 67 and data[p + 1] == 78 and 48 <= data[p + 2] <= 57:  # CN0, CN2 …
        return LONG
    joins = begins(data, p, stop, 66, 78, 68) or begins(data, p, stop, 84, 82, 65) or begins(data, p, stop, 67, 84, 88)
    return JOINS if joins else UNKNOWN


@kernel(
    types.void(
        RO(types.int64), RO(types.uint8), RO(types.int64), RO(types.uint8), RO(types.int64), RW(types.int64), RW(types.uint8)
    )
)
def ends_of(pos: Any, allele_data: Any, allele_offsets: Any, info_data: Any, info_offsets: Any, ends: Any, flags: Any) -> None:
    """Last position of each site, and flags: BACKWARD, its END lies before its own position; ENDLESS, it has a symbolic ALT and neither END
    nor SVLEN says how far that reaches; JOINED, a symbolic ALT joins it to another place; UNPLACED, an ALT may speak of any place; SPANNING,
    an ALT is a symbol with bases behind POS or elsewhere.
    """
    for i in range(len(pos)):
        stop = allele_offsets[i + 1]
        p = allele_offsets[i]
        while p < stop and allele_data[p] != 44:  # ","
            p += 1
        ends[i] = pos[i] + max(p - allele_offsets[i], 1) - 1
        if p + 1 >= stop:
            continue
        info_stop = info_offsets[i + 1]
        end_at, sizes, size = -1, -1, -1
        if info_stop > info_offsets[i]:
            end_at = field_at(info_data, info_offsets[i], info_stop, 69, 78, 68, 4)
            sizes = field_at(info_data, info_offsets[i], info_stop, 83, 86, 76, 6)
        if end_at >= 0:
            value = max(number_at(info_data, end_at, info_stop), 0)
            if end_at < info_stop and 48 <= info_data[end_at] <= 57:
                flags[i] |= BACKWARD if value < pos[i] else 0
            ends[i] = max(ends[i], value)
        # each ALT with its SVLEN; where there are fewer, the last stands for the others
        while p < stop:
            start = p + 1
            p = start
            while p < stop and allele_data[p] != 44:
                p += 1
            if sizes >= 0:
                size = number_at(info_data, sizes, info_stop)
                after = sizes
                while after < info_stop and info_data[after] != 44 and info_data[after] != 59:
                    after += 1
                if after < info_stop and info_data[after] == 44:
                    sizes = after + 1
            kind = alt_kind(allele_data, start, p)
            if kind == PLAIN:
                continue
            flags[i] |= SPANNING
            if kind == JOINS:
                flags[i] |= JOINED
                continue
            if kind == UNKNOWN:
                flags[i] |= UNPLACED
            if size >= 0:
                ends[i] = max(ends[i], min(pos[i] + size, MAX_POSITION))
            elif end_at < 0:
                flags[i] |= ENDLESS


@kernel(types.void(RO(types.uint8), RO(types.int64), types.int64, RW(types.bool_)))
def short_sequences(data: Any, offsets: Any, most: Any, found: Any) -> None:
    """Of each site whether REF and every ALT are letters, at most so many; an ALT may be ``*``, or empty: it was blanked."""
    for i in range(len(offsets) - 1):
        start, stop = offsets[i], offsets[i + 1]
        size, star, ref = 0, False, True
        found[i] = stop > start
        for p in range(start, stop):
            c = data[p]
            if c == 44:  # ","
                if ref and size == 0:
                    found[i] = False
                size, star, ref = 0, False, False
                continue
            size += 1
            letter = 97 <= c | 32 <= 122
            if star or size > most or not (letter or (c == 42 and size == 1 and not ref)):
                found[i] = False
                break
            star = c == 42
