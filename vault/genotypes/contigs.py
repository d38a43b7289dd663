"""Contig names and assemblies: names that mean the same contig, where a contig lies, and the chromosomes of known assemblies.

Files keep their own spelling; whatever compares contigs compares the normal form: "chr19", "NC_000019.10" and "CM000681.2" are "19".
Chromosomes and MT are known by name, accession and length (a pack with source and date). Scaffolds, decoys and patches have names of
their own (``GL000225.1``, ``chrUn_KI270742v1``, ``hs37d5``) and are let through unchecked. A name that only a chromosome could have, and
that the assembly does not have (``23``, ``0``, ``XY``, ``PAR1``, ``W``), is refused: it is another program's code or another species. Of an
assembly that the pack does not have, nothing is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

from policies.assemblies import normalise_assembly
from vault.errors import InputError
from vault.limits import MAX_POSITION

_MITOCHONDRION = frozenset({"M", "MT"})
_LETTERS = frozenset({"X", "Y", "XY"})
_PACK = "contigs-2026-11-29.json"
_LIKE_A_CHROMOSOME = re.compile(r"\d{1,3}[A-Z]?|[A-Z]{1,2}|[IVX]{3,5}|PAR\d?", re.IGNORECASE)
_DEFLINE = re.compile(r"(?:gi\|\d+\|)?(?:ref|gb|emb|dbj)\|([^|]+)\|[^|]*", re.IGNORECASE)  # NCBI's names of FASTA sequences
_ACCESSION = re.compile(r"([A-Z]{1,2}_?\d{5,9})(?:\.(\d{1,3}))?", re.IGNORECASE)
_UCSC_PART = re.compile(r"chr(\d{1,2}|X|Y|M|MT)_.+", re.IGNORECASE)  # chr6_GL000250v2_alt, chr1_KI270706v1_random, chr6_apd_hap1
_ENSEMBL_PART = re.compile(r"(?:CHR_)?HSCHR(\d{1,2}|X|Y)(?![0-9]).*", re.IGNORECASE)
_HLA = re.compile(r"HLA[-_].+", re.IGNORECASE)  # contigs of HLA alleles: all of chromosome 6


@dataclass(frozen=True)
class ContigPlace:
    """Place of a contig. ``chromosome``: normal name, "" where none is known. ``aligned``: its positions are the chromosome's.

    Alternate loci, patches, unlocalised scaffolds and HLA alleles are of a chromosome, and not aligned.
    """

    chromosome: str
    aligned: bool


UNPLACED = ContigPlace("", aligned=False)


@lru_cache(1 << 12)
def normal_contig(name: str) -> str:
    """The form in which "chr22", "22" and "NC_000022.11" are equal, "chrM" and "MT", "chrx" and "X".

    Only for comparing: never stored and never written out. Names that are not a chromosome's come back unchanged but for "chr", so
    two scaffolds that differ in case stay two.
    """
    accession = _accession(name)
    if accession is not None:
        return accession.chromosome
    bare = name[3:] if len(name) > 3 and name[:3].lower() == "chr" else name
    upper = bare.upper()
    if upper in _MITOCHONDRION:
        return "MT"
    return upper if upper in _LETTERS else bare


@dataclass(frozen=True)
class Assembly:
    """``lengths``: of each chromosome by its normal name; none where the assembly is not known here."""

    name: str
    lengths: Mapping[str, int]

    def limit(self, contig: str) -> int | None:
        """The largest position that a site of the contig may have or reach; None: the assembly has no such contig.

        One more than the length: VCF gives a breakend at a telomere that position.
        """
        name = normal_contig(contig)
        if name in self.lengths:
            return self.lengths[name] + 1
        return None if self.lengths and _LIKE_A_CHROMOSOME.fullmatch(name) else MAX_POSITION

    def place(self, contig: str) -> ContigPlace:
        """Place of the contig; an accession of another assembly is of its chromosome, and not aligned."""
        accession = _accession(contig)
        if accession is not None:
            return ContigPlace(accession.chromosome, aligned=not accession.assemblies or self.name in accession.assemblies)
        name = normal_contig(contig)
        if name in self.lengths or (not self.lengths and _LIKE_A_CHROMOSOME.fullmatch(name)):
            return ContigPlace(name, aligned=True)
        part = _UCSC_PART.fullmatch(contig) or _ENSEMBL_PART.fullmatch(contig)
        if part:
            return ContigPlace(normal_contig(part[1]), aligned=False)
        return ContigPlace("6", aligned=False) if _HLA.fullmatch(contig) else UNPLACED

    def other_of(self, contig: str) -> str | None:
        """Name of another assembly of which the contig's accession is; None for names that are of this one or of none in particular."""
        accession = _accession(contig)
        if accession is None or not accession.assemblies or self.name in accession.assemblies or not self.lengths:
            return None
        return min(accession.assemblies)

    def require_own(self, contigs: Iterable[str], *, name: str) -> None:
        """Refuse contigs that are named by an accession of another assembly; ``name``: what lists them, in the error.

        Raises:
            InputError: ``assembly_mismatch``.
        """
        for contig in contigs:
            if self.other_of(contig) is not None:
                reason = f"{contig:.80} is of {self.other_of(contig)}, not of {self.name}"
                raise InputError(
                    "assembly_mismatch", f"{name}: {reason}", hint="positions differ between assemblies: lift them over"
                )

    def belongs_to(self, contig: str, length: int) -> str | None:
        """Name of another assembly in which the contig has this length, unlike in this one; None if there is none.

        Some programs declare the last position plus one, so a length that no assembly has says nothing.
        """
        name = normal_contig(contig)
        if name == "MT" or self.lengths.get(name, length) == length:
            return None
        return next((other for other, lengths in _known().items() if lengths.get(name) == length), None)


def find_assembly(name: str) -> Assembly:
    """The assembly of that name in any of its spellings ("hg38", "GRCh38.p14"); with no lengths if the pack does not have it."""
    known = normalise_assembly(name)
    return Assembly(known, _known().get(known, {}))


@dataclass(frozen=True)
class _Accession:
    """A chromosome by accession. ``assemblies``: those that have this version; none if no version is given, ANOTHER for an unlisted one."""

    chromosome: str
    assemblies: frozenset[str]


_ANOTHER = frozenset({"another assembly"})


def _accession(name: str) -> _Accession | None:
    defline = _DEFLINE.fullmatch(name)
    found = _ACCESSION.fullmatch(defline[1] if defline else name)
    if found is None:
        return None
    base = found[1].upper()
    chromosome, versions = _accessions().get(base, ("", {}))
    if not chromosome:
        return None
    return _Accession(chromosome, versions.get(found[2], _ANOTHER) if found[2] else frozenset())


@cache
def _pack() -> dict[str, dict[str, dict[str, object]]]:
    document: dict[str, dict[str, dict[str, object]]] = json.loads(
        (resources.files("policies") / "packs" / _PACK).read_text(encoding="utf-8")
    )
    return document


@cache
def _known() -> dict[str, dict[str, int]]:
    return {name: {contig: int(str(size)) for contig, size in lengths.items()} for name, lengths in _pack()["assemblies"].items()}


@cache
def _accessions() -> dict[str, tuple[str, dict[str, frozenset[str]]]]:
    """By accession without version: the chromosome, and the assemblies of each version."""
    found: dict[str, tuple[str, dict[str, frozenset[str]]]] = {}
    for assembly, chromosomes in _pack()["accessions"].items():
        for chromosome, names in chromosomes.items():
            for name in names if isinstance(names, list) else ():
                base, _, version = str(name).partition(".")
                versions = found.setdefault(base, (chromosome, {}))[1]
                versions[version] = versions.get(version, frozenset()) | {assembly}
    return found
