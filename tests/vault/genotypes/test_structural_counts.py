from __future__ import annotations

from tests.vault.genotypes.store.test_site_tables import sites_of
from vault.genotypes.structural_counts import StructuralCounts


def test_what_an_extract_says_otherwise_is_counted():
    rows = [
        (b"A,C", b""),
        (b"N,<DEL>", b"END=900;SVTYPE=DEL"),
        (b"N,<DEL>", b"SVTYPE=DEL;SVLEN=-500"),
        (b"N,<DEL>", b"END=900;SVLEN=900"),
        (b"N,<INS>", b"SVLEN=500"),
        (b"N,<DEL>", b"END=5"),
        (b"N,<DEL>", b"SVTYPE=DEL"),
        (b"N,N[2:7[", b"SVTYPE=BND"),
        (b"N,N.", b""),
    ]
    counts = StructuralCounts()
    counts.add(sites_of([100] * len(rows), [alleles for alleles, _ in rows], info=[info for _, info in rows]))
    counts.add(sites_of([100], [b"A,C"]))
    assert counts == StructuralCounts(sites=8, ends_from_lengths=1, ends_left_out=1, unplaced=2)
