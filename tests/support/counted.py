"""A vault of 130 people who consent, to count: made once per process, and copied."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from policies.declarations import project_template
from policies.purposes import RequestKind
from tests.support.held import Held
from vault import gate
from vault.access import projects
from vault.counting import CountsAnswer

PEOPLE = tuple(f"P{at:03}" for at in range(130))
CARRIERS = {100: 60, 200: 5, 300: 128, 400: 25, 500: 22}
"""Carriers of A>G by position; the first so many people."""

COMMON, RARE, NEARLY_ALL, MASKABLE, EDGE = (f"22:{at}:A:G" for at in CARRIERS)
ABSENT = "22:150:A:G"


def text(people: tuple[str, ...] = PEOPLE) -> str:
    """The VCF: dense enough to count, with one record that spells two alleles longer than need be."""
    head = "##fileformat=VCFv4.2\n##contig=<ID=22>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(people)
    lines = [head]
    for at, n in CARRIERS.items():
        lines.append(f"22\t{at}\t.\tA\tG\t.\tPASS\t.\tGT\t" + "\t".join("0/1" if k < n else "0/0" for k in range(len(people))))
    calls = "\t".join("1/2" if k < 40 else "0/1" if k < 50 else "." for k in range(len(people)))
    lines.append(f"22\t600\t.\tCAT\tCGT,C\t.\tPASS\t.\tGT\t{calls}")
    return "\n".join(lines) + "\n"


@functools.cache
def template() -> Path:
    """The folder that is copied."""
    folder = Path(tempfile.mkdtemp(prefix="genovault-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    held = Held.make(folder)
    fill(held)
    held.vault.close()
    return folder / "v"


def fill(held: Held) -> None:
    """Bring the people, their consents and the project into an empty vault."""
    held.load(held.write("in.vcf", text()))
    held.everyone_consents()
    declare(held, "counting")


def make(folder: Path, *, random: Any = os.urandom) -> Held:
    """A copy of the template."""
    shutil.copytree(template(), folder / "v")
    return Held.of(folder, random=random)


def declare(held: Held, code: str, *datasets: str, organisation: str = "https://ror.org/00f54p054", **changes: Any) -> None:
    """An approved project for counts and presence."""
    document = yaml.safe_load(project_template(code, "cohort"))
    document |= {
        "kinds": ["counts", "presence"],
        "organisation": {"name": "Example"} | ({"id": organisation} if organisation else {}),
    }
    document |= {"datasets": list(datasets or ("cohort",))} | changes
    projects.create(held.vault, document)
    projects.change(held.vault, code, "approve")


def ask(held: Held, *alleles: str, code: str = "counting", kind: str = "counts", **exact: Any) -> CountsAnswer:
    """An answer to a program's question."""
    return gate.counts(held.vault, project=code, dataset="cohort", kind=RequestKind(kind), alleles=alleles, **exact)
