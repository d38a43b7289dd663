"""Helpers of the gVCF body kernel that keep a record of the person's own: uncalled ALTs dropped, the alleles trimmed, the call coded."""
# ruff: noqa: PLR0917 - kernels take flat arguments

from __future__ import annotations

from typing import Any

import numpy as np

from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, MAX_CODED_ALLELE, PHASED_OFFSET
from vault.genotypes.compute.jit import bare_helper
from vault.genotypes.ingest.gvcf_kernel_state import BASES, SYMBOLIC, UNKNOWN
from vault.genotypes.ingest.vcf_scan_kernel import COMMA, copy, starts
from vault.limits import MAX_PLOIDY

_UPPER = 0xDF  # clears the bit by which a small letter differs


@bare_helper
def drop_uncalled(call: Any, ploidy: Any, kinds: Any, n_alleles: Any, renumber: Any) -> Any:
    """(ALTs kept, all of them bases, one of them symbolic): a called ``<NON_REF>`` becomes missing, the call and ``renumber`` the new numbers.

    ``renumber[a]`` is 0 for an ALT that is dropped.
    """
    for allele in range(n_alleles):
        renumber[allele] = 0
    for k in range(ploidy):
        if call[k] > 0:
            if kinds[call[k] - 1] == UNKNOWN:
                call[k] = -1
            else:
                renumber[call[k]] = 1
    kept, plain, symbolic = 0, True, False
    for allele in range(1, n_alleles):
        if renumber[allele]:
            kept += 1
            renumber[allele] = kept
            plain = plain and kinds[allele - 1] == BASES
            symbolic = symbolic or kinds[allele - 1] == SYMBOLIC
    for k in range(ploidy):
        if call[k] > 0:
            call[k] = renumber[call[k]]
    return kept, plain, symbolic


@bare_helper
def common_ends(buf: Any, ref: Any, ref_end: Any, alt_ends: Any, n_alleles: Any, renumber: Any) -> Any:
    """(bases before, bases behind) that REF and all kept ALTs share, each left with one at least: first those behind, as bcftools norm does."""
    before, behind = 0, 0
    while _all_share(buf, ref, ref_end, alt_ends, n_alleles, renumber, 0, behind, True):
        behind += 1
    while _all_share(buf, ref, ref_end, alt_ends, n_alleles, renumber, before, behind, False):
        before += 1
    return before, behind


@bare_helper
def _all_share(
    buf: Any, ref: Any, ref_end: Any, alt_ends: Any, n_alleles: Any, renumber: Any, before: Any, behind: Any, last: Any
) -> Any:
    """Test whether, without so many bases before and behind, all have another one to lose, and it is the same."""
    if ref_end - ref - before - behind < 2:
        return False
    base = buf[ref_end - 1 - behind if last else ref + before] & _UPPER
    start = ref_end + 1
    for allele in range(1, n_alleles):
        end = alt_ends[allele - 1]
        if renumber[allele]:
            if end - start - before - behind < 2:
                return False
            if buf[end - 1 - behind if last else start + before] & _UPPER != base:
                return False
        start = end + 1
    return True


@bare_helper
def copy_alleles(
    buf: Any, ref: Any, ref_end: Any, alt_ends: Any, n_alleles: Any, renumber: Any, before: Any, behind: Any, text: Any, t: Any
) -> Any:
    """Copy REF and the kept ALTs, trimmed, with commas between; the position behind them."""
    t = copy(buf, ref + before, ref_end - behind, text, t)
    start = ref_end + 1
    for allele in range(1, n_alleles):
        end = alt_ends[allele - 1]
        if renumber[allele]:
            text[t] = COMMA
            t = copy(buf, start + before, end - behind, text, t + 1)
        start = end + 1
    return t


@bare_helper
def deletes(buf: Any, start: Any, alt_ends: Any, n_alleles: Any, renumber: Any) -> Any:
    """Test whether a kept ALT is a symbolic deletion: it reaches to END, and nothing under it is assayed."""
    for allele in range(1, n_alleles):
        end = alt_ends[allele - 1]
        if renumber[allele] and end - start > 4 and starts(buf, start, end, 60, 68, 69) and buf[start + 3] == 76:  # <DEL
            return True
        start = end + 1
    return False


@bare_helper
def call_code(call: Any, ploidy: Any, phase_set: Any) -> Any:
    """The code of a call, ESCAPE where none holds it. Phase within a set is dropped: the set is not stored."""
    if ploidy == 1 and call[0] <= MAX_CODED_ALLELE:
        return HAPLOID_BASE + 1 + call[0]
    if ploidy == 2 and call[0] <= MAX_CODED_ALLELE and call[1] <= MAX_CODED_ALLELE:
        phased = 0 if phase_set else call[MAX_PLOIDY + 1]
        return (call[0] + 1) * DIPLOID_STRIDE + call[1] + 1 + PHASED_OFFSET * phased
    return np.int64(ESCAPE)
