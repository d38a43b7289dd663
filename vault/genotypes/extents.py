"""Which stretch of its contig a site covers: from POS to the end of REF, or to END where that lies further."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.sites import Sites


def site_ends(sites: Sites) -> NDArray[np.int64]:
    """int64[m]: last position of each site, 1-based."""
    return _ends(sites)[0]


def ends_before_start(sites: Sites) -> NDArray[np.bool_]:
    """bool[m]: the site has an END before its own position, which no reader accepts in silence."""
    return _ends(sites)[1]


def _ends(sites: Sites) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    from vault.genotypes import site_kernels  # noqa: PLC0415 - kernels load when sites are opened, not with every command

    ends, backward = np.empty(len(sites), np.int64), np.zeros(len(sites), np.bool_)
    site_kernels.ends_of(
        np.ascontiguousarray(sites.pos),
        np.ascontiguousarray(sites.alleles.data),
        np.ascontiguousarray(sites.alleles.offsets),
        np.ascontiguousarray(sites.info.data),
        np.ascontiguousarray(sites.info.offsets),
        ends,
        backward,
    )
    return ends, backward
