"""Small gVCFs as text, and random ones beside what an array of bases says of them."""

from __future__ import annotations

import random

import numpy as np

HEADER = """##fileformat=VCFv4.2
##INFO=<ID=END,Number=1,Type=Integer,Description="End">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Quality">
"""


def gvcf(sample: str, *rows: str) -> bytes:
    """``"1 100 A <NON_REF> 0/0 40 END=200"``: contig, POS, REF, ALTs, GT, GQ, INFO; DP is 30."""
    lines = [HEADER + f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{sample}"]
    for row in rows:
        contig, pos, ref, alts, gt, gq, *info = row.split()
        lines.append(f"{contig}\t{pos}\t.\t{ref}\t{alts}\t.\t.\t{info[0] if info else '.'}\tGT:DP:GQ\t{gt}:30:{gq}")
    return ("\n".join(lines) + "\n").encode()


def block(first: int, last: int, gq: int = 40, *, contig: str = "1", gt: str = "0/0") -> str:
    return f"{contig} {first} A <NON_REF> {gt} {gq} END={last}"


LENGTH = 120


def drawn(rng: random.Random, sample: str) -> tuple[bytes, dict, np.ndarray]:
    """(gVCF, calls by (POS, REF, ALT), int8[LENGTH + 1] GQ of confident reference by base, 0 where none) of one person."""
    rows, own, confident = [], {}, np.zeros(LENGTH + 80, np.int64)
    at = 1
    while at < LENGTH:
        kind = rng.choice(["block", "block", "block", "snv", "deletion", "gap"])
        if kind == "block":
            end, gq = min(LENGTH, at + rng.randint(0, 20)), rng.choice([5, 15, 20, 29, 30, 60])
            rows.append(block(at, end, gq))
            confident[at : end + 1] = gq if gq >= 20 else 0
            at = end + 1
        elif kind == "snv":
            alt, gt = rng.choice("CGT"), rng.choice(["0/1", "1/1", "0|1"])
            rows.append(f"1 {at} A {alt},<NON_REF> {gt} 50")
            own[at, "A", alt] = gt
            at += 1
        elif kind == "deletion":
            size = rng.randint(2, 60)
            rows.append(f"1 {at} {'A' * size} A,<NON_REF> 0/1 50")
            own[at, "A" * size, "A"] = "0/1"
            at += size
        else:
            at += rng.randint(1, 10)
    return gvcf(sample, *rows), own, confident


def truth(own: dict, confident: np.ndarray, site: tuple[int, str, str], at_least: int) -> str | None:
    """Allele numbers of the site's own call sorted, "00", or None where there is none."""
    pos, ref, _ = site
    if site in own:
        return "".join(sorted(own[site].replace("|", "/").split("/")))
    if len(ref) > 50 or any((pos, ref) == (p, r) for p, r, _ in own):
        return None
    return "00" if (confident[pos : pos + len(ref)] >= at_least).all() else None
