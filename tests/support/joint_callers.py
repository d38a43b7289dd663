"""What joint callers made of gVCFs beside what a view says of the same files, difference by difference.

Compared is each ALT in each person, by its bases trimmed to the least: how many copies. ``None``: no call, or not all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.held import Held
from tests.vault.genotypes.imports import calls
from vault.errors import GenovaultError
from vault.genotypes.ingest.assay_rule import AssayRule

Place = tuple[str, int, str, str]  # contig, position, REF, ALT
Copies = Mapping[tuple[str, Place], int | None]  # of each person and ALT

STRICT, LAX = None, AssayRule.chosen(min_gq=0, min_dp=0, accepted_filters=(), filtered="keep")


@dataclass(frozen=True)
class Found:
    """Both sides of one case. ``refused``: codes of files that are not taken."""

    theirs: Copies
    ours: Copies
    refused: Sequence[str]


def least(contig: str, pos: int, ref: str, alt: str) -> Place:
    """A variant without bases that REF and ALT share at their ends, the first one kept."""
    while min(len(ref), len(alt)) > 1 and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while min(len(ref), len(alt)) > 1 and ref[0] == alt[0]:
        ref, alt, pos = ref[1:], alt[1:], pos + 1
    return contig, pos, ref, alt


def of_vcf(text: str) -> dict[tuple[str, Place], int | None]:
    """Copies that a joint VCF states."""
    found: dict[tuple[str, Place], int | None] = {}
    names: list[str] = []
    for line in text.splitlines():
        fields = line.rstrip().split("\t")
        if line.startswith("#CHROM"):
            names = fields[9:]
        if line.startswith("#") or not line:
            continue
        contig, pos, _, ref, alts = fields[:5]
        for name, column in zip(names, fields[9:], strict=True):
            numbers = column.split(":")[0].replace("|", "/").split("/")
            alleles = None if "." in numbers else [int(at) for at in numbers]
            _count(found, name, (contig, int(pos), ref, alts.split(",")), alleles)
    return found


def of_view(held: Held) -> dict[tuple[str, Place], int | None]:
    """Copies that a view of everybody states."""
    found: dict[tuple[str, Place], int | None] = {}
    for (name, contig, pos, alleles), call in calls(held).items():
        ref, *alts = alleles.split(",")
        numbers = [at for at in call if at != -2]
        _count(found, name, (contig, pos, ref, alts), None if -1 in numbers else numbers)
    return found


def _count(
    found: dict[tuple[str, Place], int | None], name: str, site: tuple[str, int, str, Sequence[str]], alleles: list[int] | None
) -> None:
    contig, pos, ref, alts = site
    for number, alt in enumerate(alts, 1):
        if alt.isalpha():
            found[name, least(contig, pos, ref.upper(), alt.upper())] = None if alleles is None else alleles.count(number)


def compared(folder: Path, files: Sequence[tuple[str, str]], truth: str, rule: AssayRule | None, **options: object) -> Found:
    """Import files (name, text), each in a command of its own, and set a view beside a joint VCF."""
    folder.mkdir()
    held, refused = Held.make(folder), []
    for at, (name, text) in enumerate(files):
        given = {"rule": rule} if rule is not None and at == len(refused) else {}
        try:
            held.load(held.write(name, text), assembly="x", unlisted_assembly=True, append=at > len(refused), **given, **options)
        except GenovaultError as error:
            if error.code != "rule_without_blocks":
                refused.append(error.code)
                continue
            held.load(held.write(name, text), assembly="x", unlisted_assembly=True, append=at > len(refused), **options)
    ours = of_view(held) if len(refused) < len(files) else {}
    held.vault.close()
    return Found(of_vcf(truth), ours, refused)


SAME, UNASKED, UNTOLD, LESS, MORE, OTHER, UNLISTED, ADDED = (
    "same",
    "0 there, no call here",
    "no call there, 0 here",
    "carried there, no call here",
    "no call there, carried here",
    "another number of copies",
    "ALT not listed here",
    "ALT not listed there",
)


def differences(found: Found) -> Counter[str]:
    """How often each kind occurs."""
    kinds: Counter[str] = Counter()
    for key in {**found.theirs, **found.ours}:
        kinds[_kind(found, key)] += 1
    return kinds


def _kind(found: Found, key: tuple[str, Place]) -> str:
    if key not in found.ours:
        return UNLISTED if found.theirs[key] else SAME
    if key not in found.theirs:
        return ADDED if found.ours[key] else SAME
    there, here = found.theirs[key], found.ours[key]
    if there == here:
        return SAME
    if here is None:
        return LESS if there else UNASKED
    if there is None:
        return MORE if here else UNTOLD
    return OTHER
