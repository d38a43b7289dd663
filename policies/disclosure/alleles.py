"""Alleles as people ask for them, CONTIG:POS:REF:ALT, in one spelling each.

Without a reference sequence an indel in a repeat cannot be moved to the left: it is asked for as the dataset spells it, but for bases
that REF and ALT share at their ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from policies.errors import PolicyInputError
from policies.loci import END

_BASES = re.compile(r"[ACGTN]{1,1000}", re.IGNORECASE)
HOW = "write CONTIG:POS:REF:ALT with POS counted from 1, as 22:16050075:A:G"


@dataclass(frozen=True, order=True)
class Allele:
    """A sequence variant: ``position`` is 1-based; REF and ALT differ at both ends, as far as one base each is left."""

    contig: str
    position: int
    ref: str
    alt: str

    @property
    def text(self) -> str:
        """CONTIG:POS:REF:ALT."""
        return f"{self.contig}:{self.position}:{self.ref}:{self.alt}"


def trimmed(contig: str, position: int, ref: str, alt: str) -> Allele:
    """The allele without bases that both share at their ends, the last ones first."""
    behind = 0
    while behind < min(len(ref), len(alt)) - 1 and ref[-1 - behind] == alt[-1 - behind]:
        behind += 1
    ref, alt = ref[: len(ref) - behind], alt[: len(alt) - behind]
    before = 0
    while before < min(len(ref), len(alt)) - 1 and ref[before] == alt[before]:
        before += 1
    return Allele(contig, position + before, ref[before:], alt[before:])


def parse(text: str, *, place: str = "allele") -> Allele:
    """The allele that a text spells, trimmed; the contig as it is written.

    Raises:
        PolicyInputError: ``bad_allele``; its message says what to write.
    """
    fields = text.strip().rsplit(":", 3)
    if len(fields) != 4:
        raise _bad(text, HOW, place)
    contig, position, ref, alt = fields
    if not contig or len(contig) > 100 or not contig.isprintable() or any(mark.isspace() for mark in contig):
        raise _bad(text, HOW, place)
    if not re.fullmatch(r"[0-9]{1,12}", position) or not 1 <= int(position) <= END:
        raise _bad(text, f"a position is a whole number from 1 to {END}", place)
    if not _BASES.fullmatch(ref) or not _BASES.fullmatch(alt):
        raise _bad(text, "REF and ALT are bases, at most 1,000 of A, C, G, T and N: symbolic alleles are not counted", place)
    ref, alt = ref.upper(), alt.upper()
    if ref == alt:
        raise _bad(text, "REF and ALT are the same", place)
    return trimmed(contig, int(position), ref, alt)


def _bad(text: str, what: str, place: str) -> PolicyInputError:
    return PolicyInputError("bad_allele", f"{text!r:.80} is no allele: {what}", place)
