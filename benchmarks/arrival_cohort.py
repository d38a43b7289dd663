"""D5: people who come one by one, each as a gVCF, and the same calls as one file; synthetic, the same on every machine, made once and kept.

    python -m benchmarks.arrival_cohort --work FOLDER [--people 1001] [--span 1000000]

Haplotypes are msprime's, as D1's (``cohorts``, another seed). Of each person every variant that they carry is a record as HaplotypeCaller writes it (GT, DP, GQ, AD, the ALT and
``<NON_REF>``), and what lies between is cut into blocks of exponential length, 160 bases on average, which makes about as many records a megabase
as GATK's gVCF of chromosome 22 has. Qualities are drawn by block: 99 % of 30 to 99, but in hard stretches (3 % of the blocks, 20 in a row on average) 30 % below 10, 20 % of 10 to 19
and 20 % of 20 to 29; depth is Poisson of 30, of 12 below quality 30, so that some of it is below the rule. One call in four hundred has a quality below 20.

The joint file has at each site that somebody carries 0/0 where every base was confident (GQ 20, DP 10) and ./. elsewhere: what a view of the dataset says.
"""

from __future__ import annotations

import argparse
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cohorts import BASES, CONTIG, LENGTH
from cli.demo_cohort import OFFSET, simulate, thirds

SEED = 220_505
BLOCK_BASES = 160
MIN_GQ, MIN_DP = 20, 10

_HEADER = f"""##fileformat=VCFv4.2
##FILTER=<ID=PASS,Description="All filters passed">
##INFO=<ID=END,Number=1,Type=Integer,Description="End of the block">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Depth of each allele">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Quality">
##FORMAT=<ID=MIN_DP,Number=1,Type=Integer,Description="Least depth of the block">
##contig=<ID={CONTIG},length={LENGTH}>
"""


@dataclass(frozen=True)
class Arrivals:
    """The files: a gVCF of each person, and all of them as one VCF of GT alone."""

    gvcfs: list[Path]
    joint: Path
    first: int
    last: int


def arrivals(work: Path, *, people: int = 1_001, span: int = 1_000_000) -> Arrivals:
    """The files in ``work``, made with their indexes if they are not there yet."""
    folder = work / f"D5-{people}-{span}"
    gvcfs = [folder / f"P{at:06d}.g.vcf.gz" for at in range(people)]
    found = Arrivals(gvcfs, folder / "joint.vcf.gz", OFFSET + 1, OFFSET + span)
    if not found.joint.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _make(found, people, span)
    return found


def _make(files: Arrivals, people: int, span: int) -> None:
    positions, haplotypes = _variants(people, span)
    random = np.random.default_rng(SEED)
    bases = [BASES[at] for at in random.integers(len(BASES), size=len(positions))]
    reference = np.frombuffer(b"ACGT", np.uint8)[random.integers(4, size=span + 1)]
    reference[positions - files.first] = [ord(ref) for ref, _ in bases]
    calls = np.full((len(positions), people), b"./.", "S3")
    with ThreadPoolExecutor(2) as packers:
        packed = []
        for at, path in enumerate(files.gvcfs):
            mine = haplotypes[:, 2 * at : 2 * at + 2]
            sites, drawn = (positions, bases, reference), np.random.default_rng([SEED, at])
            text, confident = _person(path.name.split(".")[0], sites, mine, files, drawn)
            calls[confident, at] = b"0/0"
            carried = np.flatnonzero(mine.any(axis=1))
            calls[carried, at] = [b"%d|%d" % (a, b) for a, b in mine[carried].tolist()]
            packed.append(packers.submit(_pack, text.encode(), path))
        for one in packed:
            one.result()
    lines = [_HEADER + "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *_names(files)])]
    lines += [
        f"{CONTIG}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t" + b"\t".join(row).decode()
        for pos, (ref, alt), row in zip(positions.tolist(), bases, calls, strict=True)
    ]
    _pack(("\n".join(lines) + "\n").encode(), files.joint)


def _names(files: Arrivals) -> list[str]:
    return [path.name.split(".")[0] for path in files.gvcfs]


def _variants(people: int, span: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """int64[m] positions and uint8[m, 2 x people] haplotypes of the sites at which anybody varies."""
    found = [
        (OFFSET + int(v.site.position) + 1, v.genotypes.astype(np.uint8))
        for v in simulate(thirds(people), span, SEED).variants()
        if v.genotypes.any()
    ]
    return np.array([pos for pos, _ in found], np.int64), np.stack([haplotypes for _, haplotypes in found])


def _person(
    name: str,
    sites: tuple[NDArray[np.int64], list[tuple[str, str]], NDArray[np.uint8]],
    mine: NDArray[np.uint8],
    files: Arrivals,
    random: np.random.Generator,
) -> tuple[str, NDArray[np.bool_]]:
    """One person's gVCF, and at which of the sites bool[m] everything is confident reference. ``sites``: positions, their bases, and the reference;
    ``mine`` uint8[m, 2].
    """
    positions, bases, reference = sites
    carried = np.flatnonzero(mine.any(axis=1))
    own = positions[carried]
    cuts = files.first + np.cumsum(
        1 + random.exponential(BLOCK_BASES, size=4 * (files.last - files.first) // BLOCK_BASES).astype(int)
    )
    starts = np.unique(np.concatenate([[files.first], cuts[cuts <= files.last], own + 1]))
    starts = starts[(starts <= files.last) & ~np.isin(starts, own)]
    following = np.append(np.sort(np.concatenate([starts, own])), files.last + 1)
    ends = following[np.searchsorted(following, starts, "right")] - 1
    gq = _qualities(len(starts), random)
    depth = random.poisson(np.where(gq < 30, 12, 30))
    lines = [
        (
            start,
            f"{CONTIG}\t{start}\t.\t{chr(reference[start - files.first])}\t<NON_REF>\t.\t.\tEND={end}\tGT:DP:GQ:MIN_DP\t0/0:{dp}:{q}:{dp}",
        )
        for start, end, q, dp in zip(starts.tolist(), ends.tolist(), gq.tolist(), depth.tolist(), strict=True)
    ]
    quality = np.where(random.random(len(carried)) < 1 / 400, 15, 99)
    for pos, site, (a, b), q, dp in zip(
        own.tolist(),
        carried.tolist(),
        mine[carried].tolist(),
        quality.tolist(),
        random.poisson(30, len(carried)).tolist(),
        strict=True,
    ):
        ref, alt = bases[site]
        lines.append(
            (
                pos,
                f"{CONTIG}\t{pos}\t.\t{ref}\t{alt},<NON_REF>\t.\t.\t.\tGT:AD:DP:GQ:MIN_DP\t{a}|{b}:{dp // 2},{dp - dp // 2},0:{dp}:{q}:.",
            )
        )
    lines.sort()
    header = _HEADER + f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{name}\n"
    block = np.searchsorted(starts, positions, "right") - 1
    confident = (gq[block] >= MIN_GQ) & (depth[block] >= MIN_DP) & (ends[block] >= positions) & (block >= 0)
    return header + "\n".join(line for _, line in lines) + "\n", confident


def _qualities(size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """int64[size]: GQ of blocks one behind another: 30 to 99, and in hard stretches, of 20 blocks on average and 3 % of all, anything."""
    edges = np.cumsum(np.concatenate([[0], random.exponential(np.tile([640, 20], size), size=2 * size)]))
    hard = np.searchsorted(edges, np.arange(size), "right") % 2 == 0
    kind = np.where(
        hard, random.choice(4, size=size, p=(0.3, 0.2, 0.2, 0.3)), random.choice(4, size=size, p=(0.0, 0.002, 0.008, 0.99))
    )
    low, high = np.array([0, 10, 20, 30])[kind], np.array([10, 20, 30, 100])[kind]
    return random.integers(low, high)


def _pack(data: bytes, path: Path) -> None:
    """Index first, then the name: a file under its name is whole."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as out:
        subprocess.run(["bgzip", "-c"], input=data, stdout=out, check=True)
    subprocess.run(["bcftools", "index", "-f", "-t", "-o", f"{path}.tbi", part], check=True)
    part.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make D5.")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--people", type=int, default=1_001)
    parser.add_argument("--span", type=int, default=1_000_000, help="base pairs")
    options = parser.parse_args()
    made = arrivals(options.work, people=options.people, span=options.span)
    print(made.joint.parent)


if __name__ == "__main__":
    main()
