"""Runs of equal texts in a column: filters and INFO of neighbouring sites are mostly alike."""

from __future__ import annotations

import numpy as np

from vault.genotypes.sites import TextColumn
from vault.views import kernels


def distinct(column: TextColumn) -> set[bytes]:
    """The different items of a column in which neighbours are mostly alike."""
    return set(column.take(np.flatnonzero(turns(column))).items())


def turns(column: TextColumn) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """bool[m]: the item is another than the one before it."""
    starts = np.ones(len(column), np.bool_)
    kernels.differs(np.ascontiguousarray(column.data, np.uint8), np.ascontiguousarray(column.offsets, np.int64), starts)
    return starts
