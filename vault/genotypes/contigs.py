"""Contig names and assemblies: spellings that mean the same contig, and the contigs and lengths of known assemblies.

Files keep their own spelling; region queries compare the normal form. Chromosomes and MT are known by name and length (a pack with
source and date). Scaffolds, decoys and patches have names of their own (``GL000225.1``, ``chrUn_KI270742v1``, ``hs37d5``) and are let
through unchecked. A name that only a chromosome could have, and that the assembly does not have (``23``, ``0``, ``XY``, ``PAR1``, ``W``),
is refused: it is another program's code or another species. Of an assembly that the pack does not have, nothing is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from policies.loci import normalise_assembly
from vault.limits import MAX_POSITION

_MITOCHONDRION = frozenset({"M", "MT"})
_LETTERS = frozenset({"X", "Y", "XY"})
_PACK = "contigs-2026-11-22.json"
_LIKE_A_CHROMOSOME = re.compile(r"\d{1,3}[A-Z]?|[A-Z]{1,2}|[IVX]{3,5}|PAR\d?", re.IGNORECASE)


def normal_contig(name: str) -> str:
    """The form in which "chr22" and "22", "chrM" and "MT", "chrx" and "X" are equal.

    Only for comparing: never stored and never written out. Names without a "chr" prefix that are not a chromosome's come back
    unchanged, so two scaffolds that differ in case stay two.
    """
    bare = name[3:] if len(name) > 3 and name[:3].lower() == "chr" else name
    upper = bare.upper()
    if upper in _MITOCHONDRION:
        return "MT"
    return upper if upper in _LETTERS else bare


@dataclass(frozen=True)
class Assembly:
    """``lengths``: of each chromosome by its normal name; none where the assembly is not known here."""

    name: str
    lengths: Mapping[str, int]

    def limit(self, contig: str) -> int | None:
        """The largest position that a site of the contig may have or reach; None: the assembly has no such contig.

        One more than the length: VCF gives a breakend at a telomere that position.
        """
        name = normal_contig(contig)
        if name in self.lengths:
            return self.lengths[name] + 1
        return None if self.lengths and _LIKE_A_CHROMOSOME.fullmatch(name) else MAX_POSITION

    def belongs_to(self, contig: str, length: int) -> str | None:
        """Name of another assembly in which the contig has this length, unlike in this one; None if there is none.

        Some programs declare the last position plus one, so a length that no assembly has says nothing.
        """
        name = normal_contig(contig)
        if name == "MT" or self.lengths.get(name, length) == length:
            return None
        return next((other for other, lengths in _known().items() if lengths.get(name) == length), None)


def find_assembly(name: str) -> Assembly:
    """The assembly of that name in any of its spellings ("hg38", "GRCh38"); with no lengths if the pack does not have it."""
    known = normalise_assembly(name)
    return Assembly(known, _known().get(known, {}))


@cache
def _known() -> dict[str, dict[str, int]]:
    document = json.loads((resources.files("policies") / "packs" / _PACK).read_text(encoding="utf-8"))
    return {
        str(name): {str(contig): int(size) for contig, size in lengths.items()}
        for name, lengths in document["assemblies"].items()
    }
