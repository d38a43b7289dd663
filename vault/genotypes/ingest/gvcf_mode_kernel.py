"""Kernel that tells by content whether lines hold a reference block: a record of which the person is said to be reference, place by place."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from vault.genotypes.compute.jit import RW, bare_helper, kernel
from vault.genotypes.ingest import gvcf_kernel_state as state
from vault.genotypes.ingest.gvcf_field_kernel import format_keys, info_numbers, is_unknown
from vault.genotypes.ingest.gvcf_kernel_state import ABSENT
from vault.genotypes.ingest.vcf_kernel_state import DONE, FILL_SLOTS
from vault.genotypes.ingest.vcf_line_kernel import columns
from vault.genotypes.ingest.vcf_scan_kernel import COMMA, DOT, LF, ZERO
from vault.limits import MAX_POSITION

_COLUMNS: Final = 9
_NON_REF: Final = len("<NON_REF>")


@bare_helper
def is_block(buf: Any, ends: Any, values: Any) -> Any:
    """Test whether a record is a reference block, whatever the file is: one that names no ALT, or only ``<NON_REF>`` or ``<*>``,
    and reaches beyond REF by END; or of a single base with such an ALT. ``values``: room for INFO_SLOTS numbers.
    """
    unknown = is_unknown(buf, ends[3] + 1, ends[4])
    if not unknown and not (ends[4] - ends[3] == 2 and buf[ends[3] + 1] == DOT):
        return False
    length = ends[3] - ends[2] - 1
    if unknown and length == 1:
        return True
    info_numbers(buf, ends[6] + 1, ends[7], values)
    if values[state.INFO_END] < 0:
        return False
    position = np.int64(0)
    for q in range(ends[0] + 1, ends[1]):
        position = min(position * 10 + (np.int64(buf[q]) - ZERO), np.int64(MAX_POSITION + 1))
    return values[state.INFO_END] >= position + length


@bare_helper
def _names_any_other(buf: Any, ends: Any) -> Any:
    """Test whether ``<NON_REF>`` is among the ALTs: GATK writes it in gVCFs alone, and in every record."""
    start = ends[3] + 1
    for q in range(start, ends[4] + 1):
        if q == ends[4] or buf[q] == COMMA:
            if q - start == _NON_REF and is_unknown(buf, start, q):
                return True
            start = q + 1
    return False


@kernel(types.boolean(RW(types.uint8), types.int64, types.int64, types.int64))
def has_block(buf: Any, start: Any, stop: Any, records: Any) -> Any:
    """Test whether one of the first ``records`` lines of ``buf[start:stop]`` is a reference block. Malformed lines are none.

    As ``is_block``; or ``<NON_REF>`` is among the ALTs; or ALT is ".", and the record has what only a block or a call of every base has:
    END, LEN, a least depth, RGQ or GQX. (A plain "." with 0/0 is a site that somebody asked for.)
    """
    ends, fill = np.empty(_COLUMNS, np.int64), np.zeros(FILL_SLOTS, np.int64)
    where, values = np.empty(len(state.KEYS), np.int64), np.empty(state.INFO_SLOTS, np.int64)
    for _ in range(records):
        if start >= stop:
            return False
        status, p = columns(buf, start, _COLUMNS, False, ends, fill)
        if status == DONE:
            if is_block(buf, ends, values) or _names_any_other(buf, ends):
                return True
            if ends[4] - ends[3] == 2 and buf[ends[3] + 1] == DOT:
                info_numbers(buf, ends[6] + 1, ends[7], values)
                status, _keys = format_keys(buf, ends[7] + 1, ends[8], where)
                told = max(where[state.LEN], where[state.MIN_DP], where[state.OLD_MIN_DP], where[state.RGQ], where[state.GQX])
                if status == DONE and (told >= 0 or (values != ABSENT).any()):
                    return True
        while buf[p] != LF:
            p += 1
        start = p + 1
    return False
