"""Left alignment of indels against a reference sequence (Tan, Abecasis and Kang, Bioinformatics 31:2202, 2015), as ``bcftools norm`` does. Pure.

A variant of sequences is left-aligned and as short as it can be if its alleles do not all end with the same base, and either do not all
begin with the same base or one of them has one base only. The first of these tells without any reference whether it is left-aligned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

MOST_SHIFT = 10_000  # bases that an indel is moved; further only inside arrays of repeats longer than that
_STRIDE = 64  # bases of the reference that are asked for at a time
_SEQUENCES = re.compile(rb"[ACGTN]+(,[ACGTN]+)+")

Bases = Callable[[int, int], bytes]
"""Upper-case bases of the reference from one position to another, 1-based and inclusive."""


def is_indel(alleles: bytes) -> bool:
    """True for REF and ALTs, upper case, that are all sequences and not all one base long."""
    return len(alleles) > 2 * alleles.count(b",") + 1 and _SEQUENCES.fullmatch(alleles) is not None


def ends_alike(alleles: Sequence[bytes]) -> bool:
    """True for the alleles of a variant that is not left-aligned: all end with the same base, and they are not all the same."""
    last = alleles[0][-1:]
    return all(allele.endswith(last) for allele in alleles) and any(allele != alleles[0] for allele in alleles)


def left_aligned(pos: int, alleles: Sequence[bytes], bases: Bases) -> tuple[int, list[bytes]]:
    """Position and alleles of the same variant, left-aligned and trimmed. ``alleles``: sequences in upper case, REF first."""
    found, first = list(alleles), pos
    before, have = b"", pos  # bases [have, first) of the reference, as far as they were asked for
    while ends_alike(found):
        if min(map(len, found)) > 1:
            found = [allele[:-1] for allele in found]
            continue
        if first == 1 or pos - first >= MOST_SHIFT:
            break
        if have == first:
            have = max(1, first - _STRIDE)
            before = bases(have, first - 1)
        first -= 1
        previous = before[first - have : first - have + 1]
        found = [previous + allele[:-1] for allele in found]
    alike = 0
    shortest = min(map(len, found))
    while alike < shortest - 1 and all(allele[alike] == found[0][alike] for allele in found):
        alike += 1
    return first + alike, [allele[alike:] for allele in found]
