"""Diplotypes of one person, as far as calls and phase let them be told: three-valued.

A pack's haplotypes are taken to be all that a gene has, as those who define them do (docs/design/disclosure.md §10.1). Of the pairs of them
that the calls allow all are pairs that a criterion names: yes. None is: no. Some are, or the calls allow no pair at all: unknown. A call
without phase lies in either order, and phased ones in one order or all in the other.

``vault.views.gene_answers`` works it out for many people at once.
"""

from __future__ import annotations

from dataclasses import dataclass

UNREAD, REFERENCE, ALTERNATE, OTHER = range(4)
"""One chromosome at a locus: without a call, REF, the locus's ALT, or another allele."""


@dataclass(frozen=True)
class ShownCall:
    """A person at one locus. ``phased``: its two chromosomes keep their order across the loci that say so.

    Of a call of one chromosome the other is not read.
    """

    first: int
    second: int
    phased: bool = False

    def allows(self, first: int, second: int) -> bool:
        """True if the two chromosomes may be these, in this order."""
        return self.first in (UNREAD, first) and self.second in (UNREAD, second)
