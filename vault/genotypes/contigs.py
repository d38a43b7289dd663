"""Contig names: files keep their own spelling; region queries compare the normal form."""

from __future__ import annotations

_MITOCHONDRION = frozenset({"M", "MT"})
_LETTERS = frozenset({"X", "Y", "XY"})


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
