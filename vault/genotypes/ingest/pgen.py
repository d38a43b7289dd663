"""PLINK 2 PGEN, with its .pvar and .psam, through pgenlib.

REF and ALT are the .pvar's. A fileset whose reference alleles are only provisional (from PLINK 1, where A1 and A2 are sorted by
frequency) is refused: which allele is the reference cannot be read out of it, and guessing it would turn genotypes round.

PGEN knows no ploidy: as in ``plink2 --export vcf``, a homozygous or missing call is haploid on X for men, and on Y and MT
for all. It keeps phase of heterozygous calls only: a homozygous call, whose phase says nothing, is marked like the heterozygous ones of its variant (or
of the last variant that has some), so that sites stay uniform. Dosages are not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from vault.errors import InputError, UnavailableError
from vault.genotypes.codec.call_codes import ESCAPE, Codes, Escapes
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.contigs import Assembly, normal_contig
from vault.genotypes.ingest import pgen_kernel
from vault.genotypes.ingest.pvar_psam import Person, open_pvar, read_psam
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.ingest.streams import open_file
from vault.genotypes.sites import Sites

_PLINK1_MODE = b"\x01"
_MODES = frozenset({2, 3, 4, 0x10})  # fixed width, and the ordinary one with its own index
_HEAD = struct.Struct("<2xBIIB")  # mode, variants, samples, and a byte whose upper two bits say what is known of REF
_REF_IN_PVAR, _REF_KNOWN = 0, 1
_BATCH_CALLS = 4 << 20  # calls read at a time: pgenlib gives nine bytes for each
_DAMAGE = (RuntimeError, ValueError, OSError, MemoryError, OverflowError)


def open_pgen(path: Path, assembly: Assembly) -> PgenSource:
    """Open a .pgen file and what lies beside it.

    Raises:
        UnavailableError: ``pgen_support_missing``.
        InputError: ``plink1_orientation``, ``provisional_ref``, ``bad_pgen``, ``no_such_file``, and those of ``pvar_psam``.
    """
    try:
        import pgenlib  # noqa: PLC0415 - an extra
    except ImportError:
        raise UnavailableError(
            "pgen_support_missing", f"{path.name}: reading PGEN needs pgenlib", hint="pip install 'genovault[pgen]'"
        ) from None
    file = open_file(path)
    with file:
        head = file.read(_HEAD.size)
        size = file.seek(0, 2)
    if head[2:3] == _PLINK1_MODE:
        refuse_plink1(path)
    if len(head) < _HEAD.size:
        _refuse(path, "the file ends early", code="file_truncated")
    mode, variants, samples, control = _HEAD.unpack(head)
    if mode not in _MODES:
        _refuse(path, f"PGEN of storage mode {mode:#x} is not read; plink2 --make-pgen writes one that is")
    reference = control >> 6
    if reference not in (_REF_IN_PVAR, _REF_KNOWN):
        _refuse_provisional(path)
    people = read_psam(path.with_suffix(".psam"))
    if len(people) != samples:
        _refuse(path, f"{samples} samples, but the .psam lists {len(people)}")
    alleles = _count_alleles(path, assembly, provisional_marks=reference == _REF_IN_PVAR)
    if len(alleles) != variants:
        _refuse(path, f"{variants} variants, but the .pvar lists {len(alleles)}")
    offsets = np.zeros(variants + 1, np.uintp)
    np.cumsum(np.maximum(alleles, 2), out=offsets[1:])
    try:
        reader = pgenlib.PgenReader(str(path).encode(), raw_sample_ct=samples, variant_ct=variants, allele_idx_offsets=offsets)
    except _DAMAGE:
        _refuse(path, "not a PGEN file that pgenlib can read")
    return PgenSource(path, reader, people, variants=variants, size=size, assembly=assembly)


def refuse_plink1(path: Path) -> NoReturn:
    """Refuse PLINK 1 binary files, under any name.

    Raises:
        InputError: ``plink1_orientation``, always.
    """
    raise InputError(
        "plink1_orientation",
        f"{path.name}: PLINK 1 data: A1 and A2 are the rarer and the commoner allele, not ALT and REF",
        hint="plink2 --bfile … --ref-from-fa force --fa REFERENCE.fa --make-pgen, then import the .pgen",
    )


class PgenSource:
    """A ``GenotypeSource`` over a PGEN fileset."""

    gvcf = False

    def __init__(
        self, path: Path, reader: Any, people: tuple[Person, ...], *, variants: int, size: int, assembly: Assembly
    ) -> None:
        self._path, self._reader, self._people, self._variants, self._size = path, reader, people, variants, size
        self._assembly = assembly
        self._done = 0

    @property
    def samples(self) -> tuple[str, ...]:
        """The .psam's IID column."""
        return tuple(person.name for person in self._people)

    @property
    def contigs(self) -> Mapping[str, int | None]:
        """As the .pvar declares them."""
        with open_pvar(self._path, self._assembly) as pvar:
            return pvar.contigs

    @property
    def progress(self) -> tuple[int, int]:
        """(bytes read, bytes in all), by variants."""
        return self._size * self._done // max(1, self._variants), self._size

    def batches(self) -> Iterator[SiteBatch]:
        """All sites, once.

        Raises:
            InputError: ``bad_pgen``, and as ``pvar_psam``.
        """
        at_once = max(1, _BATCH_CALLS // len(self._people))
        self._done, carried = 0, bool(self._reader.hardcall_phase_present())
        with open_pvar(self._path, self._assembly) as pvar:
            for batch in pvar.batches():
                for first in range(0, len(batch.sites), at_once):
                    sites = batch.sites.take(np.arange(first, min(first + at_once, len(batch.sites))))
                    codes, escapes, carried = self._read(sites, carried=carried)
                    self._done += len(sites)
                    yield SiteBatch(sites, CallRows.from_codes(codes), escapes)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _read(self, sites: Sites, *, carried: bool) -> tuple[Codes, Escapes, bool]:
        """Codes uint8[m, n] and escapes of the next m sites, and whether the last heterozygous calls were phased."""
        m, n = len(sites), len(self._people)
        alleles, phased = np.empty((m, 2 * n), np.int32), np.empty((m, n), np.uint8)
        try:
            self._reader.read_alleles_and_phasepresent_range(self._done, self._done + m, alleles, phased)
        except _DAMAGE:
            _refuse(self._path, f"variant {self._done + 1} and the next {m - 1}: the genotypes are damaged or end early")
        codes = np.empty((m, n), np.uint8)
        haploid = np.empty((m, n), np.bool_)
        for number in set(sites.contig.tolist()):
            haploid[sites.contig == number] = self._haploid(sites.contigs[number])
        wrong, carried = pgen_kernel.encode(alleles, phased, haploid, sites.n_alleles(), codes, carried=carried)
        if wrong >= 0:
            _refuse(self._path, f"variant {self._done + wrong + 1}: a genotype names an allele that the .pvar does not have")
        return codes, _escapes(codes, alleles, phased, haploid), carried

    def _haploid(self, contig: str) -> NDArray[np.bool_]:
        """bool[n]: whose calls on the contig are of one chromosome where they can be."""
        name = normal_contig(contig)
        men = np.array([person.is_male for person in self._people], np.bool_)
        return men if name == "X" else np.full(len(men), name in ("Y", "MT"))


def _count_alleles(path: Path, assembly: Assembly, *, provisional_marks: bool) -> NDArray[np.int64]:
    """int64[variants]: alleles of each line of the .pvar, all of which is checked on the way."""
    counts = [np.zeros(0, np.int64)]
    with open_pvar(path, assembly) as pvar:
        counts.extend(batch.sites.n_alleles() for batch in pvar.batches())
        if provisional_marks and pvar.has_provisional_marks:
            _refuse_provisional(path)
    return np.concatenate(counts)


def _escapes(codes: Codes, alleles: NDArray[np.int32], phased: NDArray[np.uint8], haploid: NDArray[np.bool_]) -> Escapes:
    site, sample = np.nonzero(codes == ESCAPE)
    if not len(site):
        return Escapes.empty()
    first, second = alleles[site, 2 * sample], alleles[site, 2 * sample + 1]
    single = haploid[site, sample] & (first == second)
    lengths = np.where(single, 1, 2)
    offset = np.zeros(len(site) + 1, np.int64)
    np.cumsum(lengths, out=offset[1:])
    numbers, bars = np.zeros(int(offset[-1]), np.int16), np.zeros(int(offset[-1]), np.uint8)
    numbers[offset[:-1]], numbers[offset[1:] - 1] = first, second
    bars[offset[1:] - 1] = np.where(single, 0, phased[site, sample])
    return Escapes(site, sample, offset, numbers, bars)


def _refuse_provisional(path: Path) -> NoReturn:
    raise InputError(
        "provisional_ref",
        f"{path.name}: its reference alleles are marked as provisional, so REF may be ALT",
        hint="plink2 --pfile … --ref-from-fa force --fa REFERENCE.fa --make-pgen settles them",
    )


def _refuse(path: Path, reason: str, *, code: str = "bad_pgen") -> NoReturn:
    raise InputError(code, f"{path.name}: {reason}")
