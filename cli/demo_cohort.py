"""A simulated cohort to try genovault with: no real person, realistic allele frequencies.

Contig chr22 is simulated under the out-of-Africa model of Gutenkunst et al. 2009 (PLoS Genet 5:e1000695, table 1); the
pharmacogenes' sites are drawn from published approximate allele frequencies of the same three populations. The same
seed gives the same cohort with the same version of msprime.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vault.errors import UnavailableError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POPULATIONS = ("YRI", "CEU", "CHB")
OFFSET = 20_000_000  # the simulated span starts here on chr22
SPAN = 1_000_000  # base pairs: about 5,000 sites with 300 people
MUTATION_RATE = 1.25e-8
RECOMBINATION_RATE = 1e-8
MISSING = 0.002  # share of calls that a laboratory failed to make

CONTIGS = {"chr1": 248_956_422, "chr6": 170_805_979, "chr10": 133_797_422, "chr12": 133_275_309, "chr22": 50_818_468}  # GRCh38

# Each a contig, a GRCh38 position, an rsID, REF and ALT.
SITES = (
    ("chr1", 97_082_391, "rs67376798", "T", "A"),
    ("chr1", 97_450_058, "rs3918290", "C", "T"),
    ("chr1", 97_515_787, "rs55886062", "A", "C"),
    ("chr1", 97_573_863, "rs56038477", "C", "T"),
    ("chr1", 97_579_893, "rs75017182", "G", "C"),
    ("chr6", 18_130_687, "rs1142345", "T", "C"),
    ("chr6", 18_138_997, "rs1800460", "C", "T"),
    ("chr6", 18_143_724, "rs1800462", "C", "G"),
    ("chr10", 94_761_900, "rs12248560", "C", "T"),
    ("chr10", 94_762_706, "rs28399504", "A", "G"),
    ("chr10", 94_775_367, "rs12769205", "A", "G"),
    ("chr10", 94_780_653, "rs4986893", "G", "A"),
    ("chr10", 94_781_859, "rs4244285", "G", "A"),
    ("chr12", 21_176_804, "rs2306283", "A", "G"),
    ("chr12", 21_178_615, "rs4149056", "T", "C"),
)

# Per gene: the variants of a haplotype and its frequency in YRI, CEU, CHB (rounded from 1000 Genomes and gnomAD); the rest is reference.
HAPLOTYPES: dict[str, tuple[tuple[tuple[str, ...], tuple[float, float, float]], ...]] = {
    "CYP2C19": (
        (("rs12769205", "rs4244285"), (0.17, 0.15, 0.29)),  # *2
        (("rs4986893",), (0.002, 0.0, 0.07)),  # *3
        (("rs28399504", "rs12248560"), (0.0, 0.003, 0.001)),  # *4
        (("rs12248560",), (0.23, 0.22, 0.015)),  # *17
        (("rs12769205",), (0.03, 0.0, 0.0)),  # *35
    ),
    "SLCO1B1": (
        (("rs4149056",), (0.002, 0.02, 0.0)),  # *5
        (("rs2306283", "rs4149056"), (0.014, 0.14, 0.13)),  # *15
        (("rs2306283",), (0.78, 0.26, 0.62)),  # *37
    ),
    "DPYD": (
        (("rs67376798",), (0.001, 0.006, 0.0)),
        (("rs3918290",), (0.001, 0.008, 0.0)),
        (("rs55886062",), (0.0, 0.001, 0.0)),
        (("rs75017182", "rs56038477"), (0.001, 0.024, 0.001)),  # HapB3
    ),
    "TPMT": (
        (("rs1800460", "rs1142345"), (0.002, 0.034, 0.0)),  # *3A
        (("rs1142345",), (0.065, 0.004, 0.02)),  # *3C
        (("rs1800462",), (0.001, 0.002, 0.0)),  # *2
    ),
}

_GIVEN = ("Aster", "Basil", "Cedar", "Dahlia", "Elder", "Fern", "Ginkgo", "Hazel", "Iris", "Juniper", "Laurel", "Myrtle", "Olive")
_FAMILY = (
    "Quartz",
    "Basalt",
    "Marl",
    "Flint",
    "Gneiss",
    "Opal",
    "Shale",
    "Topaz",
    "Beryl",
    "Chert",
    "Garnet",
    "Jasper",
    "Zircon",
)


@dataclass(frozen=True)
class Cohort:
    """The cohort written to the file: samples in file order with their populations, and the number of sites."""

    samples: tuple[str, ...]
    populations: tuple[str, ...]
    sites: int


def write_cohort(path: Path, *, n: int = 300, seed: int = 220) -> Cohort:
    """Write ``n`` phased people to ``path`` (.vcf.gz, GRCh38). Raises ``UnavailableError`` without msprime."""
    import numpy as np
    from isal import igzip

    random = np.random.default_rng(seed)
    people = thirds(n)
    samples = tuple(f"SAMPLE_{i}" for i in range(1, n + 1))
    lines = [_header(samples)]
    populations = np.repeat(np.arange(3), people)
    lines += _gene_lines(populations, random)
    lines += _simulated_lines(people, seed, random)
    path.write_bytes(igzip.compress(b"".join(lines), mtime=0))
    return Cohort(samples, tuple(POPULATIONS[i] for i in populations), len(lines) - 1)


def write_sheet(path: Path, cohort: Cohort, *, seed: int = 220) -> None:
    """Write SHEET.csv with an invented identity for every person of the cohort."""
    import random

    draw = random.Random(seed)  # noqa: S311 - invented names, no secret
    with path.open("w", encoding="utf-8", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["sample_id", "mrn", "name", "birth_date", "sex", "country"])
        for i, sample in enumerate(cohort.samples, start=1):
            name = f"{draw.choice(_GIVEN)} {draw.choice(_FAMILY)}{draw.choice(('son', 'wood', 'well', 'dale', ''))}"
            born = date(1940, 1, 1) + timedelta(days=draw.randrange(60 * 365))
            out.writerow(
                [sample, f"INVENTED-{i:05d}", name, born.isoformat(), draw.choice("FM"), draw.choice(("GB", "DE", "FR"))]
            )


def thirds(n: int) -> list[int]:
    """``n`` people over the three populations, the first ones taking the remainder."""
    return [(n + 2 - i) // 3 for i in range(3)]


def simulate(people: list[int], span: float, seed: int) -> Any:
    """Tree sequence of ``people`` diploids per population over ``span`` base pairs, with 0/1 mutations.

    Raises:
        UnavailableError: ``demo_needs_msprime``: msprime is not installed.
    """
    try:
        import msprime
    except ImportError:
        raise UnavailableError(
            "demo_needs_msprime", "a synthetic cohort needs msprime, which is not installed", hint="pip install 'genovault[demo]'"
        ) from None

    trees = msprime.sim_ancestry(
        samples=dict(zip(POPULATIONS, people, strict=True)),
        demography=_out_of_africa(msprime),
        sequence_length=span,
        recombination_rate=RECOMBINATION_RATE,
        random_seed=seed,
    )
    return msprime.sim_mutations(trees, rate=MUTATION_RATE, random_seed=seed, model=msprime.BinaryMutationModel())


def gt_columns(haplotypes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Text "a|b<tab>" of each person, uint8[4n]; ``haplotypes`` uint8[2n] of allele numbers below 10."""
    import numpy as np

    text = np.tile(np.frombuffer(b"0|0\t", np.uint8), len(haplotypes) // 2)
    text[0::4] += haplotypes[0::2]
    text[2::4] += haplotypes[1::2]
    return text


def _header(samples: tuple[str, ...]) -> bytes:
    lines = [
        "##fileformat=VCFv4.3",
        '##FILTER=<ID=PASS,Description="All filters passed">',
        "##source=genovault demo cohort, nobody real",
    ]
    lines += [f"##contig=<ID={name},length={length},assembly=GRCh38>" for name, length in CONTIGS.items()]
    lines += ['##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">']
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
    return "\n".join([*lines, "\t".join(columns)]).encode() + b"\n"


def _gene_lines(populations: NDArray[np.int64], random: np.random.Generator) -> Iterator[bytes]:
    import numpy as np

    carried = {rsid: np.zeros(2 * len(populations), np.uint8) for _, _, rsid, _, _ in SITES}
    chromosomes = np.repeat(populations, 2)
    for haplotypes in HAPLOTYPES.values():
        cumulative = np.cumsum([frequencies for _, frequencies in haplotypes], axis=0)[:, chromosomes]
        drawn = (random.random(len(chromosomes)) >= cumulative).sum(axis=0)
        for i, (variants, _) in enumerate(haplotypes):
            for rsid in variants:
                carried[rsid][drawn == i] = 1
    for contig, position, rsid, ref, alt in SITES:
        columns = _with_missing(gt_columns(carried[rsid]), random, share=2 * MISSING)
        yield _line((contig, position, rsid, ref, alt), columns)


def _simulated_lines(people: list[int], seed: int, random: np.random.Generator) -> Iterator[bytes]:
    import numpy as np

    trees = simulate(people, SPAN, seed)
    for variant in trees.variants():
        haplotypes = variant.genotypes.astype(np.uint8)
        if not haplotypes.any():
            continue
        ref, alt = random.choice(
            ("AG", "GA", "CT", "TC", "AC", "GT", "CA", "TG"), p=(0.17, 0.17, 0.17, 0.17, 0.08, 0.08, 0.08, 0.08)
        )
        place = ("chr22", OFFSET + int(variant.site.position) + 1, ".", ref, alt)
        yield _line(place, _with_missing(gt_columns(haplotypes), random))


def _with_missing(columns: NDArray[np.uint8], random: np.random.Generator, *, share: float = MISSING) -> NDArray[np.uint8]:
    lost = random.random(len(columns) // 4) < share
    columns.reshape(-1, 4)[lost] = list(b"./.\t")
    return columns


def _line(site: tuple[str, int, str, str, str], columns: NDArray[np.uint8]) -> bytes:
    fixed = "\t".join(map(str, site))
    return f"{fixed}\t.\tPASS\t.\tGT\t".encode() + columns[:-1].tobytes() + b"\n"


def _out_of_africa(msprime: Any) -> Any:
    """Gutenkunst 2009: sizes in diploids, times in generations of 25 years, migration per generation."""
    years = 25
    recent = 21_200 / years  # Europe and Asia part
    out = 140_000 / years
    ancient = 220_000 / years
    growth = {"CEU": 0.004, "CHB": 0.0055}
    first = {"CEU": 1_000, "CHB": 510}
    model = msprime.Demography()
    model.add_population(name="YRI", initial_size=12_300)
    for name in ("CEU", "CHB"):
        model.add_population(name=name, initial_size=first[name] * math.exp(growth[name] * recent), growth_rate=growth[name])
    model.add_population(name="OOA", initial_size=2_100)
    model.add_population(name="AMH", initial_size=12_300)
    model.add_population(name="ANC", initial_size=7_300)
    model.set_symmetric_migration_rate(["CEU", "CHB"], 9.6e-5)
    model.set_symmetric_migration_rate(["YRI", "CHB"], 1.9e-5)
    model.set_symmetric_migration_rate(["YRI", "CEU"], 3e-5)
    model.add_population_split(time=recent, derived=["CEU", "CHB"], ancestral="OOA")
    model.add_symmetric_migration_rate_change(time=recent, populations=["YRI", "OOA"], rate=25e-5)
    model.add_population_split(time=out, derived=["YRI", "OOA"], ancestral="AMH")
    model.add_population_split(time=ancient, derived=["AMH"], ancestral="ANC")
    return model
