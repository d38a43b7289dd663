"""Places that consents exclude or alone allow, as positions of the data's assembly, or as rules that cannot be placed there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from policies import loci
from policies.loci import MARGIN, Catalogue, LocusRule, Mask, Resolved
from vault.genotypes.contigs import find_assembly, normal_contig


def place_rules(rules: Iterable[LocusRule], places: Catalogue, *, margin: int = MARGIN) -> Resolved:
    """The positions that ``rules`` name, on contigs by their normal names; ``places``: named places of the data's assembly.

    An interval on anything but a chromosome of its own assembly (an alternate locus, an accession of another assembly) is unresolved:
    which bases of the chromosome it stands for is not known. Arguments otherwise as ``loci.resolve``.
    """
    assembly = find_assembly(places.assembly)
    wanted = sorted(set(rules))
    strange = [rule for rule in wanted if rule.interval is not None and not assembly.place(rule.interval.contig).aligned]
    found = loci.resolve(
        (rule for rule in wanted if rule not in strange), assembly=assembly.name, catalogue=places, margin=margin
    )
    return Resolved(renamed(found.mask), tuple(sorted({*found.unresolved, *strange})))


def renamed(mask: Mask) -> Mask:
    """The same positions, contigs by their normal names: what compares positions compares names by spelling."""
    return Mask.from_intervals(replace(item, contig=normal_contig(item.contig)) for item in mask.intervals)
