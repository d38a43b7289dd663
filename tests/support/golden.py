"""The golden comparison: a real file imported, everyone consenting, extracted again, judged against bcftools' reading of the source.

    python -m tests.support.golden ASSEMBLY FILE…

prints what was compared. bcftools alone says what must come out: it drops the sites and ALTs that nobody carries and counts AC and
AN; where that took an ALT, ``carried.shortest`` spells what is left. Pseudonyms are mapped back from the vault's keys and identities (``Held.names``), not from anything that the extract says.
One rule of ours enters: a call with a phase set (PS) comes out unphased, because the vault does not keep phase sets (docs/import.md).
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.carried import filter_shown, shortest
from tests.support.held import Held
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import parse_loci

FIELDS = r"%CHROM\t%POS\t%ID\t%REF\t%ALT\t%FILTER\t%INFO/AC\t%INFO/AN[\t%GT]\n"
FIXED = ("CHROM", "POS", "ID", "REF", "ALT", "FILTER", "AC", "AN")


@dataclass
class Judged:
    """Counts of what was compared and of differences. ``different`` counts by column; "genotype" for calls, "site" for whole sites."""

    subjects: int = 0
    sites: int = 0
    genotypes: int = 0
    different: dict[str, int] = field(default_factory=dict)

    @property
    def differences(self) -> int:
        return sum(self.different.values())

    def note(self, what: str, times: int = 1) -> None:
        if times:
            self.different[what] = self.different.get(what, 0) + times

    def __str__(self) -> str:
        return f"subjects {self.subjects:,}  sites {self.sites:,}  genotypes compared {self.genotypes:,}  differences {self.differences:,}"


def run(*command: str | Path) -> str:
    """Output of an outside program that must succeed and say nothing on standard error."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    assert done.stderr == "", f"{command}: {done.stderr}"
    return done.stdout


def samples_of(path: Path) -> list[str]:
    """Sample names as bcftools lists them."""
    return run("bcftools", "query", "-l", path).split("\n")[:-1]


def extract_rows(path: Path) -> Iterator[list[str]]:
    """FIXED and the genotypes of each record of an extract."""
    with _lines(f"bcftools query -f '{FIELDS}' '{path}'") as lines:
        yield from lines


def source_rows(source: Path, *, region: str = "", carried: bool = True) -> Iterator[list[str]]:
    """FIXED and the genotypes of each record of a source; ``carried``: without sites and ALTs without a carrier."""
    sets = "##FORMAT=<ID=PS," in run("bcftools", "view", "-h", source)
    dropped = "ID,INFO,^FORMAT/GT" + (",FORMAT/PS" if sets else "")
    # bcftools' warnings about a source are discarded: the source is not under test
    plain = f"bcftools annotate -x {dropped} -Ou '{source}' 2>/dev/null"
    kept = f"-c {'1:nref' if carried else '0:nref'} {f'-t {region}' if region else ''} --targets-overlap 2 -Ou"
    fields = FIELDS.replace("%GT", "%GT:%PS") if sets else FIELDS
    whole = f"{plain} | bcftools view {kept} | bcftools query -f '%ALT\\n'"
    with (
        _lines(f"{plain} | bcftools view {'-a' if carried else ''} {kept} | bcftools query -f '{fields}'") as lines,
        _lines(whole) as alts,
    ):
        rows = ([*line[: len(FIXED)], *map(_without_set, line[len(FIXED) :])] if sets else line for line in lines)
        yield from _in_order(_as_shown(row, alt, region) for row, (alt,) in zip(rows, alts, strict=True))


def _as_shown(row: list[str], alt: str, region: str) -> tuple[int, list[str] | None]:
    """(position in the source, the record as a view spells it; None if the region has nothing of that): ``alt`` is the source's ALT."""
    position = int(row[1])
    row[5] = filter_shown(row[5])
    if row[4] != alt:
        moved, row[3], alts = shortest(position, row[3], [] if row[4] == "." else row[4].split(","))
        row[1], row[4] = str(moved), ",".join(alts) or "."
        if ":" in region:
            first, _, last = region.rpartition(":")[2].partition("-")
            if moved > int(last) or moved + len(row[3]) <= int(first):
                return position, None
    return position, row


def _in_order(rows: Iterator[tuple[int, list[str] | None]]) -> Iterator[list[str]]:
    """The records by position within each contig: one whose REF was shortened may have moved behind others."""
    held: list[list[str]] = []
    for position, row in rows:
        if row is None:
            continue
        ready = [other for other in held if other[0] != row[0] or int(other[1]) < position]
        yield from ready
        held = sorted([*(other for other in held if other not in ready), row], key=lambda other: int(other[1]))
    yield from held


def _without_set(call: str) -> str:
    text, _, phase_set = call.partition(":")
    return text if phase_set == "." else text.replace("|", "/")


@contextmanager
def _lines(pipeline: str) -> Iterator[Iterator[list[str]]]:
    with subprocess.Popen(["bash", "-o", "pipefail", "-c", pipeline], stdout=subprocess.PIPE, text=True) as process:
        yield (line.rstrip("\n").split("\t") for line in process.stdout or ())
    assert process.returncode == 0, pipeline


def compare(extract: Path, source: Path, names: dict[str, str], *, region: str = "", carried: bool = True) -> Judged:
    """Compare every site, count and genotype of an extract with the source."""
    judged = Judged()
    place = {sample: at for at, sample in enumerate(samples_of(source))}
    columns = [place[names[pseudonym]] for pseudonym in samples_of(extract)]
    judged.subjects = len(columns)
    judged.note("subject", abs(len(place) - len(columns)) + len(columns) - len(set(columns)))
    for ours, theirs in itertools.zip_longest(extract_rows(extract), source_rows(source, region=region, carried=carried)):
        if ours is None or theirs is None:
            judged.note("site")
            continue
        judged.sites += 1
        for column, mine, other in zip(FIXED, ours, theirs, strict=False):
            judged.note(column, mine != other)
        calls, expected = ours[len(FIXED) :], theirs[len(FIXED) :]
        wanted = [expected[column] for column in columns]
        judged.genotypes += len(calls)
        if calls != wanted:
            judged.note("genotype", sum(a != b for a, b in zip(calls, wanted, strict=True)))
    return judged


def round_trip(
    folder: Path, source: Path, *, assembly: str, regions: Sequence[str] = (), panel: bool = False
) -> tuple[Held, dict[str, Judged], dict[str, float]]:
    """Import a source, let everyone consent, extract all of it, each region, and with ``panel`` every site as a panel.

    Gives the vault, what was judged of each extract, and the seconds that each step took. The panel has the sites that nobody
    carries too, so it is the extract in which no genotype of the source is left out.
    """
    held = Held.make(folder)
    seconds: dict[str, float] = {}
    with _timed(seconds, "import"):
        held.load(source, assembly=assembly, assayed="all")
    with _timed(seconds, "consent"):
        held.everyone_consents()
        held.project("golden")
    names = held.names("golden")
    judged: dict[str, Judged] = {}
    for at, region in enumerate(["", *regions]):
        with _timed(seconds, f"extract {region or 'all'}"):
            out = held.extract("golden", out=f"out{at}", regions=[region] if region else ())
        judged[region or "all"] = compare(out / "genotypes.vcf.gz", source, names, region=region)
    if panel:
        places = run("bcftools", "query", "-f", r"%CHROM\t%POS\t%REF\t%ALT\n", source)
        loci = parse_loci(f"contig\tpos\tref\talt\n{places}".encode(), name="every site")
        with _timed(seconds, "panel"):
            panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "every-site", loci)
            out = held.extract("golden", out="panel", panel="every-site")
        judged["panel of every site"] = compare(out / "genotypes.vcf.gz", source, names, carried=False)
    return held, judged, seconds


def middle(source: Path) -> str:
    """A region in the middle of a source's first contig: a tenth of its sites."""
    places = [line.split("\t") for line in run("bcftools", "query", "-f", r"%CHROM\t%POS\n", source).splitlines()]
    mine = [int(position) for contig, position in places if contig == places[0][0]]
    first = len(mine) * 45 // 100
    return f"{places[0][0]}:{mine[first]}-{mine[max(first, len(mine) * 55 // 100 - 1)]}"


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[what] = time.perf_counter() - start


def main(arguments: Sequence[str]) -> int:
    """Judge files of one assembly and print the figures; 1 if anything differs."""
    assembly, *files = arguments
    wrong = 0
    for file in files:
        with tempfile.TemporaryDirectory() as folder:
            held, judged, seconds = round_trip(
                Path(folder), Path(file), assembly=assembly, regions=[middle(Path(file))], panel=True
            )
            report = held.verified()
            held.vault.close()
        sys.stdout.write(f"{os.path.basename(file)}\n")  # noqa: PTH119 - the name alone
        for what, result in judged.items():
            sys.stdout.write(f"  {what:<24} {result}\n")
            wrong += result.differences
        sys.stdout.write("  " + "  ".join(f"{what} {took:.2f} s" for what, took in seconds.items()) + "\n")
        sys.stdout.write(f"  log: {report.entries} entries, {'verifies' if report.ok else 'DOES NOT VERIFY'}\n")
        wrong += not report.ok
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
