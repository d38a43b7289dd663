"""Decode chosen subjects' payloads over chosen sites of a chunk, as calls or as counts; ``encoder`` writes them.

A ``DecodePlan`` holds all that depends on the sites alone; the kernels then go over the subjects, in strips, without a matrix in between.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.errors import UsageError
from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.codec.format_constants import MAX_K, TOGGLE
from vault.genotypes.codec.kernels import decode, decode_plan, exception_calls
from vault.genotypes.codec.kernels.decode import STRIP
from vault.genotypes.codec.kernels.strip_fields import MALFORMED
from vault.genotypes.codec.payloads import Exceptions, Payloads, block_malformed, escapes_of, toggles
from vault.genotypes.codec.site_coding import Coding

_SPLIT_SUBJECTS = 2 * STRIP  # from here on two threads take half of the strips each …
_SPLIT_BYTES = 1 << 16  # … where there are that many bytes to decode
_NO_CODES = np.empty(0, np.uint8)
_NO_TALLY = np.empty((0, 8), np.int32)


@dataclass(frozen=True, repr=False)
class DecodePlan:
    """The sites of a chunk to decode, as the kernels need them. Subject-independent; safe to cache.

    Rows are those of the fields that a kernel works on: the m wanted sites, and those that they refer to. ``sites`` int64[m];
    ``row`` int32[m]: row of each; ``place`` int32[all sites]: number among the wanted, or -1; ``reference``: row that a row is
    XOR-ed with, or -1; ``class_end``, ``target``, ``n_places``: of ``decode_plan.aim``.
    """

    coding: Coding
    sites: NDArray[np.int64]
    row: NDArray[np.int32]
    place: NDArray[np.int32]
    alphabet: NDArray[np.uint16]
    reference: NDArray[np.int32]
    raw_row: NDArray[np.int32]
    class_end: NDArray[np.int64]
    target: NDArray[np.int32]
    n_places: int

    @staticmethod
    def from_coding(coding: Coding, sites: NDArray[np.int64] | None = None) -> DecodePlan:
        """A plan for ascending site numbers ``sites`` int64[m]; for all sites if None.

        Raises:
            UsageError: ``chunk_rows``: not ascending, or outside the chunk.
        """
        n_sites = len(coding)
        row_of_site = np.full(n_sites + 1, -1, np.int32)  # the entry behind the last serves index -1, "no reference"
        place = np.full(n_sites, -1, np.int32)
        if sites is None:
            chosen = needed = np.arange(n_sites)
        else:
            chosen = _check(sites, n_sites)
            wanted = np.zeros(n_sites, np.uint8)
            wanted[chosen] = 1
            decode_plan.close_references(coding.reference, wanted)
            needed = np.flatnonzero(wanted)
        row_of_site[needed] = np.arange(len(needed), dtype=np.int32)
        place[chosen] = np.arange(len(chosen), dtype=np.int32)
        class_end, target = np.empty(MAX_K + 1, np.int64), np.empty(3 * n_sites, np.int32)
        n_places = decode_plan.aim(coding.classes, row_of_site, class_end, target)
        return DecodePlan(
            coding,
            chosen,
            row_of_site[chosen],
            place,
            coding.alphabet[chosen],
            row_of_site[coding.reference[needed]],
            row_of_site[coding.raw_sites],
            class_end,
            target[: int(class_end[-1])],
            n_places,
        )

    def __len__(self) -> int:
        return len(self.sites)


@dataclass(frozen=True, repr=False)
class FieldCounts:
    """Counts of each field and the explicit calls at m sites, not yet added up by allele.

    ``tally`` int32[m, 8]: subjects whose field is f (column f), and whose field is f while their default is haploid (column 4 + f).
    Explicit calls: ``row`` int32[k] among the m, ``value`` uint8[k] the call code; ``escapes`` are the calls of those that are ESCAPE.
    """

    tally: NDArray[np.int32]
    row: NDArray[np.int32]
    value: NDArray[np.uint8]
    escapes: Escapes


def decode_chunk(
    plan: DecodePlan, payloads: Payloads, *, pool: Executor | None = None, out: Codes | None = None
) -> tuple[Codes, Escapes]:
    """``codes`` uint8[m, subjects] and the calls that do not fit a byte.

    ``pool``: where half of a large chunk's work may run, the one that this call itself runs in if need be. ``out``: C order, to write into instead of a fresh matrix.

    Raises:
        IntegrityError: ``block_malformed``. UsageError: ``chunk_shape``: ``out`` of another shape.
    """
    codes = np.empty((len(plan), len(payloads)), np.uint8) if out is None else out
    _require_matrix(codes, plan, payloads)
    if not codes.size:
        return codes, Escapes.empty()
    return codes, _put(plan, payloads, _over_strips(plan, payloads, pool, codes.reshape(-1), _NO_TALLY)[0], codes)


def count_chunk(plan: DecodePlan, payloads: Payloads, *, pool: Executor | None = None) -> FieldCounts:
    """Count by site the calls that ``decode_chunk`` would return, without a matrix of them.

    Raises:
        IntegrityError: ``block_malformed``.
    """
    if not len(plan) or not len(payloads):
        return _nothing(plan)
    found, tally = _over_strips(plan, payloads, pool, _NO_CODES, np.zeros((len(plan), 8), np.int32))
    return _counted(plan, found, tally, escapes_of(plan.place, found, payloads.data))


def decode_and_count(plan: DecodePlan, payloads: Payloads, *, out: Codes, pool: Executor | None = None) -> FieldCounts:
    """Decode into ``out`` as ``decode_chunk`` and count as ``count_chunk`` in one pass; the escapes are those of the matrix.

    Raises:
        IntegrityError: ``block_malformed``. UsageError: ``chunk_shape``.
    """
    _require_matrix(out, plan, payloads)
    if not out.size:
        return _nothing(plan)
    found, tally = _over_strips(plan, payloads, pool, out.reshape(-1), np.zeros((len(plan), 8), np.int32))
    return _counted(plan, found, tally, _put(plan, payloads, found, out))


def _require_matrix(codes: Codes, plan: DecodePlan, payloads: Payloads) -> None:
    if codes.shape != (len(plan), len(payloads)) or codes.dtype != np.uint8 or not codes.flags.c_contiguous:
        raise UsageError("chunk_shape", "the matrix to decode into does not have the shape of what is asked for")


def _put(plan: DecodePlan, payloads: Payloads, found: Exceptions, codes: Codes) -> Escapes:
    """Write the exceptions into the matrix and return those that are escapes."""
    if len(found.site):
        changes = toggles(found)
        if len(changes.site):
            exception_calls.apply_ploidy(codes, plan.sites, changes.site, changes.subject)
        exception_calls.put_exceptions(codes, plan.place, found.site, found.subject, found.value)
    return escapes_of(plan.place, found, payloads.data)


def _counted(plan: DecodePlan, found: Exceptions, tally: NDArray[np.int32], escapes: Escapes) -> FieldCounts:
    row = plan.place[found.site]
    called = np.flatnonzero((row >= 0) & (found.value != TOGGLE))
    return FieldCounts(tally, row[called], found.value[called], escapes)


def _nothing(plan: DecodePlan) -> FieldCounts:
    return FieldCounts(np.zeros((len(plan), 8), np.int32), np.empty(0, np.int32), _NO_CODES, Escapes.empty())


def _over_strips(
    plan: DecodePlan, payloads: Payloads, pool: Executor | None, codes: NDArray[np.uint8], tally: NDArray[np.int32]
) -> tuple[Exceptions, NDArray[np.int32]]:
    """Run the kernel over all subjects: their exceptions, in order, and the tally int32[m, 8]."""
    n = len(payloads)
    strips = -(-n // STRIP)
    if pool is None or n < _SPLIT_SUBJECTS or len(payloads.data) < _SPLIT_BYTES:
        return _run(plan, payloads, range(strips), codes, tally), tally
    middle = strips // 2
    other_tally = np.zeros_like(tally)
    other = pool.submit(_run, plan, payloads, range(middle, strips), codes, other_tally)
    found = _run(plan, payloads, range(middle), codes, tally)
    # The pool may be busy with the task that this call is part of: a job that has not begun is done here, or both would wait forever.
    rest = _run(plan, payloads, range(middle, strips), codes, other_tally) if other.cancel() else other.result()
    tally += other_tally
    return Exceptions.concat([found, rest]), tally


def _run(plan: DecodePlan, payloads: Payloads, strips: range, codes: NDArray[np.uint8], tally: NDArray[np.int32]) -> Exceptions:
    coding = plan.coding
    progress = np.array([strips.start, 0], np.int64)
    found = Exceptions.room(64)
    while True:
        status = decode.decode_strips(
            payloads.data,
            payloads.begin,
            payloads.end,
            strips.stop,
            plan.class_end,
            plan.n_places,
            plan.target,
            coding.default,
            plan.raw_row,
            plan.reference,
            found.site,
            found.subject,
            found.value,
            found.record,
            progress,
            plan.row,
            plan.place,
            plan.alphabet,
            coding.alphabets,
            codes,
            tally,
        )
        if status == decode.DONE:
            return found.take(slice(int(progress[1])))
        if status == MALFORMED:
            raise block_malformed()
        found = found.grown(int(progress[1]))


def _check(sites: NDArray[np.int64], n_sites: int) -> NDArray[np.int64]:
    """The sites int64[m], C-contiguous; refuses numbers that do not ascend within the chunk."""
    chosen = np.ascontiguousarray(sites, np.int64)
    if len(chosen) and (int(chosen[0]) < 0 or int(chosen[-1]) >= n_sites or bool((np.diff(chosen) <= 0).any())):
        raise UsageError("chunk_rows", "the rows asked for are not ascending sites of the chunk")
    return chosen
