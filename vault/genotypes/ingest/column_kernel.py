"""Kernels that choose and reorder the sample columns of call rows."""
# ruff: noqa: PLR0917 - numba takes arguments by position

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from vault.genotypes.codec.packed_calls import CODED, CallRows, words_of
from vault.genotypes.compute.jit import RO, RW, kernel


def permute(rows: CallRows, columns: NDArray[np.int64]) -> CallRows:
    """The chosen columns, in the order given; each row stays in its form."""
    m = len(rows.form)
    moved = CallRows(rows.form, np.empty((m, words_of(len(columns))), np.uint64), np.empty((m, len(columns)), np.uint8))
    _permute(rows.form, rows.bits, rows.codes, columns, moved.bits, moved.codes)
    return moved


@kernel(
    types.void(
        RO(types.uint8),
        RO(types.uint64, 2),
        RO(types.uint8, 2),
        RO(types.int64),
        RW(types.uint64, 2),
        RW(types.uint8, 2),
    )
)
def _permute(form: Any, bits: Any, codes: Any, columns: Any, moved_bits: Any, moved_codes: Any) -> None:
    for i in range(len(form)):
        if form[i] == CODED:
            for k in range(len(columns)):
                moved_codes[i, k] = codes[i, columns[k]]
            continue
        word = np.uint64(0)
        for k in range(len(columns)):
            j = columns[k]
            field = (bits[i, j >> 5] >> np.uint64(2 * (j & 31))) & np.uint64(3)
            word |= field << np.uint64(2 * (k & 31))
            if (k & 31) == 31:
                moved_bits[i, k >> 5] = word
                word = np.uint64(0)
        if len(columns) & 31:
            moved_bits[i, len(columns) >> 5] = word
