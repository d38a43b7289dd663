"""INFO of a VCF line, as far as it says what a structural variant is and which places it speaks of (VCF 4.5 §1.6.1 field 8, §3).

END, SVTYPE and SVLEN are of the specification; CHR2, POS2 and END2 are what callers write for the place that a variant is joined to.
"""
# ruff: noqa: C901 - a kernel is one pass over a line: statuses out of the middle

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.compute.jit import bare_helper
from vault.genotypes.ingest.vcf_kernel_state import BAD_END, DONE
from vault.genotypes.ingest.vcf_scan_kernel import COMMA, DOT, SEMICOLON, ZERO, copy

_FIELDS: Final = (b"END=", b"SVTYPE=", b"SVLEN=", b"CHR2=", b"POS2=", b"END2=")
SPANS: Final = 2 * len(_FIELDS)
"""Size of ``spans``: start and end in the text of each field, with its key; 0, 0 where absent."""

_END, _SVLEN = 0, 2
_MINUS = 45
_MOST_DIGITS = 10


def _key_table() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """uint8[fields, longest]: the keys with their "=", padded; int64[fields]: their sizes."""
    width = max(map(len, _FIELDS))
    padded = b"".join(field.ljust(width, b"\0") for field in _FIELDS)
    return np.frombuffer(padded, np.uint8).reshape(len(_FIELDS), width).copy(), np.array([len(f) for f in _FIELDS], np.int64)


_KEYS, _SIZES = _key_table()


@bare_helper
def structural_fields(buf: Any, start: Any, end: Any, spans: Any) -> Any:
    """Find the fields in ``buf[start:end]``, the first of each key; DONE, or BAD_END: END is no number, or SVLEN is none beside no END."""
    for k in range(SPANS):
        spans[k] = 0
    broken = False
    for q in range(start, end + 1):
        if q != end and buf[q] != SEMICOLON:
            continue
        field = field_number(buf, start, q)
        if field >= 0 and spans[2 * field + 1] == 0:
            value = start + _SIZES[field]
            missing = q == value + 1 and buf[value] == DOT
            if field == _END and not missing:
                if q == value or q > value + _MOST_DIGITS:
                    return BAD_END
                for d in range(value, q):
                    if buf[d] < ZERO or buf[d] > 57:
                        return BAD_END
            if field == _SVLEN and not is_integers(buf, value, q):
                broken = True
            elif not missing:
                spans[2 * field], spans[2 * field + 1] = start, q
        start = q + 1
    return BAD_END if broken and spans[2 * _END + 1] == 0 else DONE


@bare_helper
def field_number(buf: Any, start: Any, end: Any) -> Any:
    """Number of the field that ``buf[start:end]`` is, -1 for another."""
    for k in range(len(_SIZES)):
        size = _SIZES[k]
        if end - start < size:
            continue
        same = True
        for d in range(size):
            same = same and buf[start + d] == _KEYS[k, d]
        if same:
            return k
    return -1


@bare_helper
def is_integers(buf: Any, start: Any, end: Any) -> Any:
    """Test whether ``buf[start:end]`` is whole numbers or "." with commas between."""
    digits, dots, signs = 0, 0, 0
    for q in range(start, end + 1):
        if q == end or buf[q] == COMMA:
            if digits > _MOST_DIGITS or not ((digits > 0 and dots == 0) or (digits == 0 and dots == 1 and signs == 0)):
                return False
            digits, dots, signs = 0, 0, 0
        elif buf[q] == DOT:
            dots += 1
        elif buf[q] == _MINUS and digits == 0 and signs == 0 and dots == 0:
            signs += 1
        elif ZERO <= buf[q] <= 57:
            digits += 1
        else:
            return False
    return True


@bare_helper
def copy_fields(buf: Any, spans: Any, text: Any, t: Any) -> Any:
    """Copy the fields found, semicolons between; the position after them. They take at most their own sizes and five bytes."""
    first = True
    for k in range(0, SPANS, 2):
        if spans[k + 1]:
            if not first:
                text[t] = SEMICOLON
                t += 1
            t = copy(buf, spans[k], spans[k + 1], text, t)
            first = False
    return t
