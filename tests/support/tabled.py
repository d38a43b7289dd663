"""A vault of 160 people who consent, with a panel of common alleles and projects that ask for exact tables: made once per process, and copied."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.support import counted, vaults
from tests.support.held import Held
from vault import gate
from vault.consent import recording
from vault.tables.answers import FrequencyTable

PEOPLE = tuple(f"T{at:03}" for at in range(160))
FREQUENCIES = {1000 + 100 * at: 0.15 + 0.03 * at for at in range(12)}
"""Frequency from which the alleles A>G at each position are drawn: common ones."""

RARE, ABSENT = 5000, 5500
PANEL, SMALL, WIDE = "common", "few", "wide"

HEAD = "##fileformat=VCFv4.2\n##contig=<ID=22>\n"
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t"


@functools.cache
def dosages() -> dict[int, tuple[int, ...]]:
    """Copies of each allele that each person carries."""
    random = Random(15)
    found = {at: tuple((random.random() < f) + (random.random() < f) for _ in PEOPLE) for at, f in FREQUENCIES.items()}
    return found | {RARE: tuple(int(k < 20) for k in range(len(PEOPLE)))}


def frequency(at: int, people: Sequence[str] = PEOPLE) -> float:
    """The frequency of an allele among these people."""
    return sum(dosages()[at][PEOPLE.index(one)] for one in people) / (2 * len(people))


def text() -> str:
    """The VCF."""
    lines = [f"{HEAD}{COLUMNS}" + "\t".join(PEOPLE)]
    for at, copies in dosages().items():
        calls = "\t".join(("0/0", "0/1", "1/1")[k] for k in copies)
        lines.append(f"22\t{at}\t.\tA\tG\t.\tPASS\t.\tGT\t{calls}")
    return "\n".join(lines) + "\n"


def loci(*positions: int) -> bytes:
    """A panel of A>G at these positions."""
    rows = "".join(f"22\t{at}\t.\tA\tG\n" for at in positions)
    return f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n{rows}".encode()


@functools.cache
def template() -> Path:
    """The folder that is copied."""
    folder = Path(tempfile.mkdtemp(prefix="genovault-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    held = Held.make(folder)
    held.load(held.write("in.vcf", text()))
    held.everyone_consents()
    common = tuple(FREQUENCIES)
    vaults.panel(held.vault, PANEL, loci=loci(*common[:8], RARE, ABSENT))
    vaults.panel(held.vault, SMALL, loci=loci(*common[8:]))
    vaults.panel(held.vault, WIDE, loci=loci(*common, *range(6000, 6200, 10)))
    for code in ("one", "two"):
        declare(held, code)
    held.vault.close()
    return folder / "v"


def make(folder: Path, *, random: Any = os.urandom) -> Held:
    """A copy of the template."""
    shutil.copytree(template(), folder / "v")
    return Held.of(folder, random=random)


def declare(held: Held, code: str, **changes: Any) -> None:
    """An approved project for exact tables and counts, of an organisation of its own."""
    counted.declare(held, code, organisation=f"https://ror.org/{code}", **({"kinds": ["frequencies", "counts"]} | changes))


def approve(held: Held, code: str = "one", panel: str = PANEL) -> None:
    """The one steward approves a panel."""
    gate.approve_table(held.vault, code, panel, reason="a test")


def table(held: Held, code: str = "one", panel: str = PANEL) -> FrequencyTable:
    """What a program is given."""
    return gate.frequencies(held.vault, project=code, dataset="cohort", panel=panel)


def leave(held: Held, *people: str) -> None:
    """These people withdraw."""
    for one in people:
        recording.withdraw(held.vault, one)
