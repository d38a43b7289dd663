"""Kernels that put haploid stretches and explicit calls into a decoded matrix. ``decoder`` is the only caller."""

# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type, assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.codec.format_constants import TOGGLE
from vault.genotypes.compute.jit import RO, RW, kernel


@kernel(types.void(RW(types.uint8, 2), RO(types.int64), RO(types.int32), RO(types.int32)))
def apply_ploidy(codes: Any, sites: Any, toggle_site: Any, toggle_subject: Any) -> None:
    """Turn the calls of subjects that are haploid at a site into haploid codes. Toggles are sorted by site."""
    n = codes.shape[1]
    state = np.zeros(n, np.uint8)
    haploid = np.empty(256, np.uint8)
    for code in range(256):
        haploid[code] = HAPLOID_BASE + (code % PHASED_OFFSET) // 11 if code < HAPLOID_BASE else code
    active = 0
    t = 0
    for i in range(len(sites)):
        while t < len(toggle_site) and toggle_site[t] <= sites[i]:
            j = toggle_subject[t]
            active += 1 - 2 * np.int64(state[j])
            state[j] ^= 1
            t += 1
        if active:
            for j in range(n):
                if state[j]:
                    codes[i, j] = haploid[codes[i, j]]


@kernel(types.void(RW(types.uint8, 2), RO(types.int32), RO(types.int32), RO(types.int32), RO(types.uint8)))
def put_exceptions(codes: Any, row_of_site: Any, site: Any, subject: Any, value: Any) -> None:
    """Write explicit calls. ``row_of_site[s]``: output row, -1 = not wanted."""
    for e in range(len(site)):
        at = row_of_site[site[e]]
        if at >= 0 and value[e] != TOGGLE:
            codes[at, subject[e]] = value[e]
