"""A view as PLINK 2 PGEN with its .pvar and .psam, by pgenlib (https://github.com/chrchang/plink-ng/tree/master/pgen_spec).

pgenlib wants a file's name, writes the header last, and keeps the records in a second file until then, while an extract's file can only be
written on. So both are anonymous files in memory, and the whole one goes out from there.

PGEN has two copies or none of every call: a half-call (``./1``) becomes missing, a call of one copy two of the same, and what was changed
is counted; a call of more copies is refused. Phase is kept of heterozygous calls, which are all that it says something of.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from vault.errors import InputError, UnavailableError
from vault.extracts import pgen_kernels
from vault.extracts.header import header_text
from vault.extracts.vcf import site_texts
from vault.genotypes.codec.call_codes import ABSENT, DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.limits import MAX_PGEN_BYTES
from vault.views.pages import Page, Paged

MAX_ALLELES = 255  # of one site, in PGEN
_BATCH_CALLS = 1 << 18  # calls in one step: nine bytes each, so that they stay in the processor's cache
_COPY_BYTES = 1 << 20
_HOPELESS = 4  # times the limit that a file is on its way to when it is given up early: sites differ in size, so …
_JUDGED_AT = 64  # … not before this part of the limit is full
_MISSING = -9  # pgenlib's
_LAST_FIELD = len("\tGT")  # of ``site_texts``: a .pvar ends with INFO


def write_pgen(
    view: Paged, pgen: BinaryIO, pvar: BinaryIO, psam: BinaryIO, *, n_sites: int, vault_view: Mapping[str, str]
) -> dict[str, int]:
    """Write ``view``, which has ``n_sites`` sites; how many calls were changed: ``half_calls``, ``haploid_calls``.

    ``vault_view``: as in ``write_vcf``.

    Raises:
        UnavailableError: ``pgen_support_missing``, ``pgen_too_large``.
        InputError: ``pgen_ploidy``, ``pgen_alleles``: a call or site that PGEN has no room for.
        UsageError, IntegrityError: as ``write_vcf``.
    """
    lines = [line for line in header_text(view, vault_view).splitlines() if not line.startswith("##FORMAT")]
    columns = lines.pop().split("\t")
    pvar.write("\n".join([*lines, "\t".join(columns[:8])]).encode() + b"\n")
    psam.write("\n".join(["#IID", *view.pseudonyms]).encode() + b"\n")
    halves, singles, done = 0, 0, 0
    with _MemoryFiles() as file:
        writer = _writer(file.name, people=len(view.pseudonyms), sites=n_sites)
        for batch in _ahead(_batches(view, pvar), len(view.pseudonyms)):
            with _memory_told():
                batch.append_to(writer)
            done += len(batch.phased)
            halves, singles = halves + batch.halves, singles + batch.singles
            _require_room(file.size, done, n_sites)
        with _memory_told():
            writer.close()
        file.copy_to(pgen)
    return {"half_calls": halves, "haploid_calls": singles}


@dataclass(frozen=True)
class _PgenBatch:
    """k sites as pgenlib takes them: ``alleles`` int32[k, 2n], ``phased`` uint8[k, n], ``allele_counts`` uint32[k].

    How many calls are phased (``bars``), half-calls, of one copy, or heterozygous and unphased (``loose``).
    """

    alleles: NDArray[np.int32]
    phased: NDArray[np.uint8]
    allele_counts: NDArray[np.uint32]
    bars: int
    halves: int
    singles: int
    loose: int

    def append_to(self, writer: Any) -> None:
        """Write the batch; pgenlib looks at each call's phase only where phased and unphased ones are mixed."""
        if self.bars and self.loose:
            writer.append_partially_phased_batch(self.alleles, self.phased, allele_cts=self.allele_counts)
        else:
            writer.append_alleles_batch(self.alleles, all_phased=self.bars > 0, allele_cts=self.allele_counts)


_Memory = tuple[
    NDArray[np.uint64], NDArray[np.uint8]
]  # [sites, people] of one batch, used again and again: fresh pages cost more than their content


@dataclass(frozen=True)
class _PageRows:
    """Sites first..last of a page."""

    page: Page
    n_alleles: NDArray[np.int64]
    first: int
    last: int

    def spread(self, memory: _Memory) -> _PgenBatch:
        """The calls, in ``memory``."""
        k = self.last - self.first
        alleles, phased, found = memory[0][:k], memory[1][:k], np.zeros(4, np.int64)
        pgen_kernels.spread(self.page.codes, self.first, self.last, _PAIRS, _KINDS, alleles, phased, found)
        numbers = alleles.view(np.int32)
        self._add_escapes(numbers, phased, found)
        counts = np.maximum(self.n_alleles[self.first : self.last], 2).astype(np.uint32)
        return _PgenBatch(numbers, phased, counts, *found.tolist())

    def _add_escapes(self, numbers: NDArray[np.int32], phased: NDArray[np.uint8], found: NDArray[np.int64]) -> None:
        escapes = self.page.escapes
        mine = slice(*np.searchsorted(escapes.site, (self.first, self.last)))
        row, column = escapes.site[mine] - self.first, escapes.sample[mine]
        begin, end = escapes.offset[:-1][mine], escapes.offset[1:][mine]
        if bool((end - begin > 2).any()):
            raise InputError(
                "pgen_ploidy", "a call has more than two copies of its site, and PGEN has room for two", hint="--format vcf"
            )
        one, two = escapes.alleles[begin], escapes.alleles[end - 1]
        half, single = (one < 0) | (two < 0), end - begin == 1
        bar = (escapes.phased[end - 1] == 1) & ~single & ~half
        numbers[row, 2 * column] = np.where(half, _MISSING, one)
        numbers[row, 2 * column + 1] = np.where(half, _MISSING, two)
        phased[row, column] = bar
        found += [int(kind.sum()) for kind in (bar, half, single, (one != two) & ~half & ~bar)]


def _batches(view: Paged, pvar: BinaryIO) -> Iterator[_PageRows]:
    """The view's sites in steps; each page's lines of the .pvar are written on the way."""
    at_once = _sites_at_once(len(view.pseudonyms))
    for page in view.pages():
        n_alleles = page.sites.n_alleles()
        if len(n_alleles) and int(n_alleles.max()) > MAX_ALLELES:
            raise InputError(
                "pgen_alleles", f"a site has more than {MAX_ALLELES} alleles, which is PGEN's most", hint="--format vcf"
            )
        text, ends = site_texts(page)
        text[ends[1:] - _LAST_FIELD] = ord("\n")
        keep = np.ones(len(text), np.bool_)
        keep[ends[1:] - 1] = keep[ends[1:] - 2] = False
        pvar.write(text[keep].data)
        flat = Page(page.sites, np.ascontiguousarray(page.codes), page.escapes, page.counts)
        for first in range(0, len(n_alleles), at_once):
            yield _PageRows(flat, n_alleles, first, min(first + at_once, len(n_alleles)))


def _ahead(rows: Iterator[_PageRows], people: int) -> Iterator[_PgenBatch]:
    """Each of ``rows`` spread out, the next one while the one before is written: pgenlib keeps the GIL, kernels do not.

    A batch is valid until the next but one is asked for.
    """
    shape = (_sites_at_once(people), people)
    memories = cycle([(np.empty(shape, np.uint64), np.empty(shape, np.uint8)) for _ in range(2)])
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[_PgenBatch] | None = None
        for some in rows:
            following = pool.submit(some.spread, next(memories))
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def _sites_at_once(people: int) -> int:
    return max(1, _BATCH_CALLS // people)


class _MemoryFiles:
    """Two files without a place on any disk: what pgenlib writes, and its ``.tmp``, where records wait for their header.

    A folder of links to them gives them the names that it asks for; no byte is in it. Use as a context manager.
    """

    def __enter__(self) -> Self:
        if not hasattr(os, "memfd_create"):
            raise UnavailableError("pgen_support_missing", "writing PGEN needs Linux", hint="--format vcf, then plink2 --vcf")
        self._open = ExitStack()
        folder = Path(self._open.enter_context(TemporaryDirectory(prefix="genovault-")))
        self._whole, self._waiting = (self._linked(folder / name) for name in ("pgen", "pgen.tmp"))
        self.name = str(folder / "pgen")
        return self

    def __exit__(self, *_exc: object) -> None:
        self._open.close()

    @property
    def size(self) -> int:
        """Bytes that they have now."""
        return os.fstat(self._whole).st_size + os.fstat(self._waiting).st_size

    def copy_to(self, out: BinaryIO) -> None:
        """Write the finished file to ``out``, from its beginning."""
        at = 0
        while piece := os.pread(self._whole, _COPY_BYTES, at):
            out.write(piece)
            at += len(piece)

    def _linked(self, path: Path) -> int:
        handle = os.memfd_create(path.name, os.MFD_CLOEXEC)
        self._open.callback(os.close, handle)
        path.symlink_to(f"/proc/self/fd/{handle}")
        return handle


def _writer(name: str, *, people: int, sites: int) -> Any:
    try:
        import pgenlib  # noqa: PLC0415 - an extra
    except ImportError:
        raise UnavailableError(
            "pgen_support_missing", "writing PGEN needs pgenlib", hint="pip install 'genovault[pgen]'"
        ) from None
    return pgenlib.PgenWriter(
        name.encode(), people, variant_ct=sites, nonref_flags=False, allele_ct_limit=MAX_ALLELES, hardcall_phase_present=True
    )


@contextmanager
def _memory_told() -> Iterator[None]:
    """Raises UnavailableError ``pgen_too_large`` where pgenlib finds no room."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError):
        raise UnavailableError(
            "pgen_too_large", "there is no memory for the PGEN", hint="--split contig, or --format bcf"
        ) from None


def _require_room(size: int, done: int, sites: int) -> None:
    """Raises UnavailableError ``pgen_too_large`` where the file is over the limit, or on its way far over it."""
    hopeless = size * _JUDGED_AT > MAX_PGEN_BYTES and size * sites > _HOPELESS * MAX_PGEN_BYTES * done
    if size > MAX_PGEN_BYTES or hopeless:
        raise UnavailableError(
            "pgen_too_large",
            f"the PGEN would be over {MAX_PGEN_BYTES >> 20:,} MiB, and it has to be made in memory",
            hint="--split contig, fewer regions, or --format bcf",
        )


def _tables() -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """uint64[256]: two int32 of each code, the first copy lower; uint8[256]: its kinds, as ``pgen_kernels.spread`` takes them."""
    numbers, kinds = np.full((256, 2), _MISSING, np.int32), np.zeros(256, np.uint8)
    code = np.arange(HAPLOID_BASE)
    first, second = code % PHASED_OFFSET // DIPLOID_STRIDE - 1, code % PHASED_OFFSET % DIPLOID_STRIDE - 1
    whole, bar = (first >= 0) & (second >= 0), code >= PHASED_OFFSET
    numbers[:HAPLOID_BASE][whole] = np.stack([first, second], axis=1)[whole]
    kinds[:HAPLOID_BASE] = np.where(whole, bar | 8 * (~bar & (first != second)), 2 * ((first >= 0) != (second >= 0)))
    numbers[HAPLOID_BASE + 1 : ESCAPE] = np.arange(ESCAPE - HAPLOID_BASE - 1)[:, None]
    kinds[HAPLOID_BASE:ESCAPE] = 4
    kinds[ABSENT] = 0
    return numbers.view("<u8").reshape(-1).astype(np.uint64), kinds


_PAIRS, _KINDS = _tables()
