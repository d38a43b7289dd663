"""Digest of the sites that a view shows: it names the table of sites, wherever the calls beside it are kept. Pure."""

from __future__ import annotations

import hashlib

import numpy as np

from vault.crypto.context import encode_context
from vault.genotypes.sites import Sites


def sites_digest(sites: Sites, assembly: str) -> str:
    """Digest over contigs, positions, alleles, ids and filters of all sites in order, 64 hex digits."""
    digest = hashlib.sha256(encode_context("genovault/view-sites/v1", assembly, len(sites), *sites.contigs))
    for numbers in (sites.contig, sites.pos):
        digest.update(np.asarray(numbers, ">i8").tobytes())
    for column in (sites.alleles, sites.ids, sites.filters, sites.info):
        digest.update(np.asarray(column.offsets - column.offsets[:1], ">i8").tobytes())
        digest.update(column.data[column.offsets[0] : column.offsets[-1]].tobytes())
    return digest.hexdigest()
