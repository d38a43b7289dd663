"""Results of the benchmarks: rows, targets, and the table in benchmarks/README.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.timing import Figures, ratio, show

TARGETS = {
    ("D1", "import", "plink2"): 1.2,
    ("D1", "import", "bcftools"): 0.3,
    ("D1", "import", "vcf2zarr"): 0.08,
    ("D2", "import", "plink2"): 0.7,
    ("D2", "import", "bcftools"): 0.35,
    ("D3", "import", "bcftools"): 0.35,
    ("D1", "size", "BCF"): 0.7,
    ("D1", "size", "PGEN"): 0.8,
    ("D2", "size", "BCF"): 0.7,
    ("D2", "size", "PGEN"): 0.8,
    ("D1", "1 % x half → matrix", "cyvcf2"): 0.4,
    ("D1", "1 % x half → matrix", "zarr"): 2.5,
    ("D1", "1 % x half, again", "pgenlib"): 1.0,
    ("D2", "1 % x half → matrix", "bcftools"): 0.8,
    ("D1", "all x half → BCF", "bcftools"): 0.35,
    ("D1", "all x half → BCF", "plink2"): 1.3,
    ("D1", "all x half → VCF.gz", "bcftools"): 0.25,
    ("D1", "all x half → VCF.gz", "plink2"): 1.3,
    ("D1", "all x half → VCF.gz", "vcztools"): 0.2,
    ("D1", "one subject x all", "bcftools"): 0.05,
    ("D1", "one subject x all", "plink2"): 0.5,
    ("D1", "allele counts, half", "bcftools"): 0.05,
    ("D1", "allele counts, half", "plink2"): 2.0,
    ("D1", "panel of 100 x 1 subject", "cyvcf2"): 0.01,
    ("D1", "panel of 100 x another subject", "cyvcf2"): 0.01,
    ("D1", "one site x all, again", "cyvcf2"): 1.0,
}
COST = "a million genotypes of all x half"
TARGETS["D1, D2", COST, "genovault on D1"] = 1.1
FIRST_SITE_LIMIT = 0.018  # seconds


@dataclass
class Row:
    """One kind of work on one cohort: seconds (or bytes) of ours and of each peer, run by run."""

    cohort: str
    work: str
    ours: list[float] = field(default_factory=list)
    peers: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""


def table(rows: Sequence[Row]) -> str:
    """The results, as Markdown."""
    lines = ["| data | work | genovault | peer | its time or size | ratio | target | |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        if not row.ours:
            continue
        ours = Figures(tuple(row.ours))
        own = _megabytes(ours.median) if row.work == "size" else ours.text
        if not row.peers:
            limit = FIRST_SITE_LIMIT if row.work == "one site x all" else None
            verdict = "" if limit is None else ("met" if ours.median <= limit else "missed")
            lines.append(f"| {row.cohort} | {row.work} | {own} | | | | {show(limit) if limit else ''} | {verdict} {row.note} |")
        for name, values in row.peers.items():
            peer = Figures(tuple(values))
            other = _megabytes(peer.median) if row.work == "size" else peer.text
            wanted = TARGETS.get((row.cohort, row.work, name))
            quotient = ratio(ours, peer) if len(values) == len(row.ours) else ours.median / peer.median
            verdict = "" if wanted is None else ("met" if quotient <= wanted else "missed")
            if row.cohort == "D1" and row.work == "one site x all":
                verdict = f"{'met' if ours.median <= FIRST_SITE_LIMIT else 'missed'} (≤ 18 ms)"
            goal = f"≤ {wanted:g}" if wanted else ""
            lines.append(
                f"| {row.cohort} | {row.work} | {own} | {name} | {other} | {quotient:.3g} | {goal} | {verdict} {row.note} |"
            )
    return "\n".join(lines)


def write_readme(text: str) -> None:
    """Put the results between the marks of benchmarks/README.md."""
    path = Path(__file__).with_name("README.md")
    begin, end = "<!-- results -->\n", "<!-- end of results -->"
    before, rest = path.read_text().split(begin, 1)
    path.write_text(f"{before}{begin}{text}\n{end}{rest.split(end, 1)[1]}")


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.2f} MB"
