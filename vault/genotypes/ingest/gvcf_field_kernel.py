"""Helpers of the gVCF body kernel over fields of a record: ALTs, filters, FORMAT, numbers (VCF 4.5 §1.6.1, §1.6.2, §5.5)."""
# ruff: noqa: PLR0917 - a kernel is one pass over a line: statuses out of the middle, flat arguments

# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.compute.jit import bare_helper, load_u64, mask_below, mask_equal, trailing_zeros
from vault.genotypes.ingest.gvcf_kernel_state import (
    ABSENT,
    BASES,
    INFO_END,
    INFO_MIN_DP,
    INFO_OLD_MIN_DP,
    INFO_SLOTS,
    KEYS,
    MALFORMED,
    STARRED,
    SYMBOLIC,
    UNKNOWN,
)
from vault.genotypes.ingest.vcf_kernel_state import (
    ALLELE_TOO_LONG,
    BAD_ALT,
    BAD_FORMAT,
    COLUMN,
    CONTROL_BYTE,
    DONE,
    EMPTY_COLUMN,
    NUL_BYTE,
    TOO_MANY_ALTS,
    TOO_MANY_COLUMNS,
    TOO_MANY_SUBFIELDS,
)
from vault.genotypes.ingest.vcf_scan_kernel import COLON, COMMA, CR, DOT, GREATER, LESS, LF, SEMICOLON, STAR, TAB, ZERO, alt_kind
from vault.limits import MAX_ALLELE_BYTES, MAX_ALTS

_U0, _U1 = np.uint64(0), np.uint64(1)
_SPACE, _COLON = np.uint8(32), np.uint8(COLON)
_MINUS, _E, _M = 45, 69, 77
_MOST: Final = 1 << 40  # a number's value at most; larger ones are as good as this


def _padded(words: tuple[bytes, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """uint8[words, longest]: the words, padded; int64[words]: their sizes."""
    width = max(map(len, words))
    table = np.frombuffer(b"".join(word.ljust(width, b"\0") for word in words), np.uint8).reshape(len(words), width)
    return table.copy(), np.array([len(word) for word in words], np.int64)


_KEYS, _KEY_SIZES = _padded(KEYS)
_INFO, _INFO_SIZES = _padded((b"END=", b"MIN_DP=", b"MinDP="))
_NON_REF: Final = np.uint64(int.from_bytes(b"<NON_REF", "little"))
_ACCEPTED, _ACCEPTED_SIZES = _padded((b".", b"PASS", b"RefCall"))


@bare_helper
def word_number(buf: Any, start: Any, end: Any, table: Any, sizes: Any) -> Any:
    """Number of the word that ``buf[start:end]`` is, -1 for another."""
    for k in range(len(sizes)):
        if end - start != sizes[k]:
            continue
        same = True
        for d in range(sizes[k]):
            same = same and buf[start + d] == table[k, d]
        if same:
            return k
    return -1


@bare_helper
def is_unknown(buf: Any, start: Any, end: Any) -> Any:
    """Test whether ``buf[start:end]`` is ``<NON_REF>`` or ``<*>``."""
    if end - start == 9:
        return load_u64(buf, start) == _NON_REF and buf[start + 8] == GREATER
    return end - start == 3 and buf[start] == LESS and buf[start + 1] == STAR and buf[start + 2] == GREATER


@bare_helper
def alts(buf: Any, start: Any, end: Any, alt_ends: Any, kinds: Any, fill: Any) -> Any:
    """(status, ALTs, those that are a caller's own) of the column ALT.

    ALT k lies before ``alt_ends[k]``, behind the comma at the end of the one before.
    """
    fill[COLUMN] = 5
    count, real = 0, 0
    if end - start == 1 and buf[start] == DOT:
        return DONE, count, real
    if is_unknown(buf, start, end):
        alt_ends[0], kinds[0] = end, UNKNOWN
        return DONE, 1, 0
    for q in range(start, end + 1):
        if q != end and buf[q] != COMMA:
            continue
        if q - start > MAX_ALLELE_BYTES:
            return ALLELE_TOO_LONG, count, real
        kind = alt_kind(buf, start, q)
        if kind == 0:
            return BAD_ALT, count, real
        if count == MAX_ALTS:
            return TOO_MANY_ALTS, count, real
        if kind == SYMBOLIC and is_unknown(buf, start, q):
            kind = UNKNOWN
        elif kind == BASES and buf[start] == STAR:
            kind = STARRED
        alt_ends[count], kinds[count] = q, kind
        count += 1
        real += kind != UNKNOWN
        start = q + 1
    return DONE, count, real


@bare_helper
def is_accepted(buf: Any, start: Any, end: Any, names: Any, name_ends: Any) -> Any:
    """Test whether every filter of ``buf[start:end]`` passes: PASS, "." and RefCall, and those whose names lie before ``name_ends``."""
    for q in range(start, end + 1):
        if q != end and buf[q] != SEMICOLON:
            continue
        found = word_number(buf, start, q, _ACCEPTED, _ACCEPTED_SIZES) >= 0
        first = 0
        for k in range(len(name_ends)):
            same = q - start == name_ends[k] - first
            for d in range(first, name_ends[k]):
                same = same and buf[start + d - first] == names[d]
            found = found or same
            first = name_ends[k]
        if not found:
            return False
        start = q + 1
    return True


@bare_helper
def format_keys(buf: Any, start: Any, end: Any, where: Any) -> Any:
    """(status, subfields): ``where[k]`` is the number of the subfield of slot k, -1 where FORMAT has none."""
    for k in range(len(where)):
        where[k] = -1
    count = 0
    for q in range(start, end + 1):
        if q != end and buf[q] != COLON:
            continue
        if q == start:
            return BAD_FORMAT, count
        slot = word_number(buf, start, q, _KEYS, _KEY_SIZES)
        if slot >= 0:
            if where[slot] >= 0:
                return BAD_FORMAT, count
            where[slot] = count
        count += 1
        start = q + 1
    return DONE, count


@bare_helper
def subfields(buf: Any, start: Any, keys: Any, begins: Any, fill: Any) -> Any:
    """(status, line end, subfields) of the last column: subfield k lies from ``begins[k]`` to before ``begins[k + 1] - 1``."""
    fill[COLUMN] = 10
    begins[0] = start
    base, count = start, 0
    marks = mask_equal(buf, base, _COLON) | mask_below(buf, base, _SPACE)
    while True:
        while marks == _U0:
            base += 64
            marks = mask_equal(buf, base, _COLON) | mask_below(buf, base, _SPACE)
        q = base + trailing_zeros(marks)
        marks &= marks - _U1
        if count == keys:
            return TOO_MANY_SUBFIELDS, q, count
        count += 1
        begins[count] = q + 1
        c = buf[q]
        if c != COLON:
            break
    if c == TAB:
        fill[COLUMN] = 11
        return TOO_MANY_COLUMNS, q, count
    if c != LF and not (c == CR and buf[q + 1] == LF):
        return (NUL_BYTE if c == 0 else CONTROL_BYTE), q, count
    return (EMPTY_COLUMN if q == start else DONE), q, count


@bare_helper
def number(buf: Any, start: Any, end: Any, whole: Any) -> Any:
    """The number that ``buf[start:end]`` is, rounded down, a negative one 0; ABSENT for "." or nothing, MALFORMED for anything else."""
    value = np.int64(0)
    q = start
    while q < end and ZERO <= buf[q] <= 57:
        value = min(value * 10 + (np.int64(buf[q]) - ZERO), _MOST)
        q += 1
    if q == end:
        return value if end > start else ABSENT
    if end == start + 1 and buf[start] == DOT:
        return ABSENT
    negative = buf[start] == _MINUS
    if negative:
        start += 1
    value, digits, dots = np.int64(0), 0, 0
    for q in range(start, end):
        if buf[q] == DOT and not whole and dots == 0:
            dots = 1
        elif ZERO <= buf[q] <= 57:
            digits += 1
            if dots == 0:
                value = min(value * 10 + (np.int64(buf[q]) - ZERO), _MOST)
        else:
            return MALFORMED
    if digits == 0 or (negative and whole):
        return MALFORMED
    return np.int64(0) if negative else value


@bare_helper
def info_numbers(buf: Any, start: Any, end: Any, values: Any) -> Any:
    """Fill ``values`` with the numbers of END, MIN_DP and MinDP in ``buf[start:end]``, the first of each."""
    for k in range(INFO_SLOTS):
        values[k] = ABSENT
    while start < end:
        behind = start
        while behind < end and buf[behind] != SEMICOLON:
            behind += 1
        if buf[start] == _E or buf[start] == _M:
            for k in range(INFO_SLOTS):
                size = _INFO_SIZES[k]
                same = behind - start >= size and values[k] == ABSENT
                if same:
                    for d in range(size):
                        same = same and buf[start + d] == _INFO[k, d]
                if same:
                    values[k] = number(buf, start + size, behind, k == INFO_END)
        start = behind + 1


@bare_helper
def least_depth(buf: Any, begins: Any, count: Any, first: Any, second: Any, third: Any, values: Any) -> Any:
    """The least depth that a record tells of: MIN_DP, else MinDP (both in FORMAT or INFO), else DP; ABSENT, MALFORMED.

    ``first``, ``second``, ``third``: the numbers of these subfields.
    """
    depth = subfield_number(buf, begins, count, first)
    if depth == ABSENT:
        depth = values[INFO_MIN_DP]
    if depth == ABSENT:
        depth = subfield_number(buf, begins, count, second)
    if depth == ABSENT:
        depth = values[INFO_OLD_MIN_DP]
    if depth == ABSENT:
        depth = subfield_number(buf, begins, count, third)
    return depth


@bare_helper
def subfield_number(buf: Any, begins: Any, count: Any, key: Any) -> Any:
    """The number of a subfield, ABSENT where the record does not have it."""
    if key < 0 or key >= count:
        return ABSENT
    return number(buf, begins[key], begins[key + 1] - 1, False)


@bare_helper
def has_value(buf: Any, begins: Any, count: Any, key: Any) -> Any:
    """Test whether the record has the subfield, and it is neither empty nor "."."""
    if key < 0 or key >= count:
        return False
    start, end = begins[key], begins[key + 1] - 1
    return end > start and not (end == start + 1 and buf[start] == DOT)
