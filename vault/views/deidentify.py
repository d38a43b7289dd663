"""From released subjects' calls to a view (DESIGN §3 rule 6; disclosure.md §8.2, §11). Pure.

    1  check     the parts fit each other, the order is a permutation
    2  mask      sites in masked intervals are left out; those that a panel fixes stay, ``./.`` for everybody
    3  trim      sites that no released subject carries go unless a panel fixes them, ALTs unless a panel names them; the rest is renumbered
    4  phase     kept where the profile says so, and never across a masked gap
    5  arrange   columns in the keyed order, calls translated in the same pass
    6  describe  ID only on opt-in, END and SVTYPE only beside an ALT that needs them (and an END that can be), contigs only where there are sites

A fixed site that is masked shows no ALT but the named ones: an ALT that only its carriers put there would tell of them.
Missing stays missing, and a site that a subject's part does not assay is missing too: that it was another part is nobody's business.
Where phase is dropped, the alleles of a call are sorted, missing first ("1|0" and "1/0" become "0/1", "1|." becomes "./1"), because
the written order of an unphased call may be what is left of a haplotype. REF and ALT keep the spelling of the dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.crypto.primitives import hmac_sha256
from vault.errors import UsageError
from vault.genotypes.allele_counts import HAS_ABSENT, AlleleCounts, count_calls
from vault.genotypes.calls import (
    DIPLOID_STRIDE,
    HAPLOID_BASE,
    MAX_CODED_ALLELE,
    PHASED_OFFSET,
    Codes,
    Escapes,
)
from vault.genotypes.extents import ends_before_start
from vault.genotypes.sites import Sites, TextColumn
from vault.genotypes.threads import over_rows
from vault.ids import Pseudonym
from vault.views import kernels
from vault.views.arrays import plain
from vault.views.spans import Interval, masked_sites, phase_holds
from vault.views.view import View


@dataclass(frozen=True)
class Profile:
    """What a project's disclosure profile says of a view. The default keeps the least."""

    keep_phase: bool = False
    keep_ids: bool = False
    masks: tuple[Interval, ...] = ()


def row_order(release_key: bytes, pseudonyms: Sequence[Pseudonym]) -> NDArray[np.intp]:
    """intp[n]: index into ``pseudonyms`` of each row of the release, sorted by HMAC-SHA256 under the release's key."""
    tags = [hmac_sha256(release_key, name.encode()) for name in pseudonyms]
    return np.array(sorted(range(len(tags)), key=tags.__getitem__), np.intp)


def deidentify(
    sites: Sites,
    codes: Codes,
    *,
    escapes: Escapes,
    pseudonyms: Sequence[Pseudonym],
    order: NDArray[np.intp],
    profile: Profile,
    assembly: str,
    fixed: NDArray[np.bool_] | None = None,
    named: NDArray[np.bool_] | None = None,
    not_assayed: tuple[str, ...] = (),
) -> View:
    """The view of these calls.

    ``codes`` uint8[m, n], one column per released subject in the order of ``pseudonyms``; ``order`` intp[n] as ``row_order`` gives it.
    Of a panel view: ``fixed`` bool[m], the sites that stay whoever carries them; ``named`` bool[alleles of all sites, REF first], the ALTs
    that stay.
    The caller's arrays are not changed. ``codes`` itself becomes part of the view where nothing needs translating and ``order`` is 0, 1, 2, ….

    Raises:
        UsageError: ``view_parts`` if the parts do not fit each other.
        IntegrityError: ``call_outside_site`` if a call names an allele that its site does not list.
    """
    _check(sites, codes, pseudonyms, order)
    if (fixed is not None and fixed.shape != (len(sites),)) or (named is not None and len(named) != int(sites.n_alleles().sum())):
        raise UsageError("view_parts", "the panel's marks do not fit the sites")
    masked = masked_sites(sites, profile.masks)
    counts = count_calls(sites, codes, escapes)
    keep = (counts.counts > 0) & ~np.repeat(masked, np.diff(counts.offsets))
    keep[counts.offsets[:-1]] = True  # REF stays whoever carries it
    shows = np.add.reduceat(keep, counts.offsets[:-1], dtype=np.int64) > 1 if len(sites) else np.zeros(0, np.bool_)
    rows = np.flatnonzero(shows if fixed is None else shows | fixed)
    if named is not None:
        keep |= named
    renumber = _renumber(keep, counts)
    chosen = sites.take(rows)
    holds = np.full(len(rows), profile.keep_phase)
    if profile.keep_phase:
        shown = np.flatnonzero(~masked[rows])
        holds[shown] = phase_holds(chosen.take(shown), profile.masks)
    calls = _arrange(codes, rows, order=order, holds=holds, blank=masked[rows], renumber=renumber, counts=counts)
    kept_escapes = _translate(escapes, codes.shape, rows=rows[~masked[rows]], order=order, renumber=renumber, counts=counts)
    if len(kept_escapes):
        position = np.searchsorted(rows, kept_escapes.site)
        calls = calls.copy() if calls is codes else calls
        kept_escapes = _fold(_unphase(kept_escapes, position, holds), calls)
    return View(
        tuple(pseudonyms[i] for i in order),
        _describe(chosen, rows, keep=keep, counts=counts, profile=profile),
        calls,
        kept_escapes,
        assembly,
        not_assayed,
    )


def _check(sites: Sites, codes: Codes, pseudonyms: Sequence[Pseudonym], order: NDArray[np.intp]) -> None:
    n = len(pseudonyms)
    if codes.shape != (len(sites), n) or codes.dtype != np.uint8:
        raise UsageError("view_parts", "codes must be uint8 with one row per site and one column per pseudonym")
    if len(set(pseudonyms)) != n:
        raise UsageError("view_parts", "a pseudonym appears twice")
    if order.shape != (n,) or not np.array_equal(np.sort(order), np.arange(n)):
        raise UsageError("view_parts", "the row order is not a permutation of the subjects")


def _renumber(keep: NDArray[np.bool_], counts: AlleleCounts) -> NDArray[np.int16]:
    """int16, beside ``counts.counts``: new number of each allele that is kept; of no meaning for the others."""
    before = np.cumsum(keep) - 1
    first = np.repeat(before[counts.offsets[:-1]], np.diff(counts.offsets))
    return (before - first).astype(np.int16)


def _arrange(
    codes: Codes,
    rows: NDArray[np.intp],
    *,
    order: NDArray[np.intp],
    holds: NDArray[np.bool_],
    blank: NDArray[np.bool_],
    renumber: NDArray[np.int16],
    counts: AlleleCounts,
) -> Codes:
    moved = _moved(renumber, counts)[rows]
    absent = (counts.flags[rows] & HAS_ABSENT).astype(np.bool_)
    in_order = np.array_equal(order, np.arange(len(order)))
    if in_order and len(rows) == len(codes) and holds.all() and not (blank | moved | absent).any():
        return codes
    out = np.empty((len(rows), len(order)), np.uint8)
    matrix = plain(codes, np.uint8)
    steps = np.full(len(rows), kernels.TRANSLATE, np.uint8)
    steps[holds & ~absent] = kernels.AS_IS
    steps[moved] = kernels.RENUMBER
    steps[blank] = kernels.BLANK
    columns = order.astype(np.int64)

    def kernel(first: int, last: int) -> None:
        kernels.arrange(matrix, rows, first, last, columns, in_order, steps, holds, renumber, counts.offsets, out)

    over_rows(kernel, len(rows), work=out.size)
    return out


def _moved(renumber: NDArray[np.int16], counts: AlleleCounts) -> NDArray[np.bool_]:
    """bool[m]: the site has a carried allele whose number changes."""
    old = np.arange(len(renumber)) - np.repeat(counts.offsets[:-1], np.diff(counts.offsets))
    changed = (old != renumber) & (counts.counts > 0)
    return np.logical_or.reduceat(changed, counts.offsets[:-1]) if len(counts.an) else np.zeros(0, np.bool_)


def _translate(
    escapes: Escapes,
    shape: tuple[int, ...],
    *,
    rows: NDArray[np.intp],
    order: NDArray[np.intp],
    renumber: NDArray[np.int16],
    counts: AlleleCounts,
) -> Escapes:
    """The escapes of the rows shown, alleles renumbered, columns moved, sorted again. Sites keep the numbers they came with."""
    shown = np.zeros(shape[0], np.bool_)
    shown[rows] = True
    column = np.empty(shape[1], np.int64)
    column[order] = np.arange(shape[1])
    new_sample = column[escapes.sample]
    chosen = np.lexsort((new_sample, escapes.site))
    chosen = chosen[shown[escapes.site[chosen]]]
    lengths = np.diff(escapes.offset)[chosen]
    offset = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(lengths, out=offset[1:])
    source = np.repeat(escapes.offset[:-1][chosen] - offset[:-1], lengths) + np.arange(offset[-1])
    alleles = escapes.alleles[source]
    where = counts.offsets[np.repeat(escapes.site[chosen], lengths)] + np.maximum(alleles, 0)
    renumbered = np.where(alleles >= 0, renumber[where], -1).astype(np.int16)
    return Escapes(escapes.site[chosen], new_sample[chosen], offset, renumbered, escapes.phased[source])


def _unphase(escapes: Escapes, position: NDArray[np.intp], holds: NDArray[np.bool_]) -> Escapes:
    """The escapes at row ``position`` of the view, sorted and unphased where phase does not hold."""
    lengths = np.diff(escapes.offset)
    call = np.repeat(np.arange(len(escapes)), lengths)
    kept = np.repeat(holds[position], lengths)
    place = np.arange(len(call))
    key = np.where(kept, place, escapes.alleles)  # within a call either the written order or the order of alleles
    arranged = np.lexsort((key, call))
    phased = np.where(kept, escapes.phased, 0).astype(np.uint8)
    return Escapes(position.astype(np.int64), escapes.sample, escapes.offset, escapes.alleles[arranged], phased)


def _fold(escapes: Escapes, codes: Codes) -> Escapes:
    """Calls that now fit one byte go into ``codes`` (so that a call has one form only); the others are returned.

    Calls that did not fit before are escapes in ``codes`` already.
    """
    lengths = np.diff(escapes.offset)
    small = (lengths <= 2) & (np.maximum.reduceat(escapes.alleles, escapes.offset[:-1]) <= MAX_CODED_ALLELE)
    first = escapes.alleles[escapes.offset[:-1]].astype(np.int64)
    last = escapes.alleles[escapes.offset[1:] - 1].astype(np.int64)
    phase = escapes.phased[escapes.offset[1:] - 1].astype(np.int64) * PHASED_OFFSET
    code = np.where(lengths == 1, HAPLOID_BASE + 1 + last, phase + (first + 1) * DIPLOID_STRIDE + last + 1)
    if small.any():
        codes[escapes.site[small], escapes.sample[small]] = code[small]
    rest = np.repeat(~small, lengths)
    offset = np.zeros(int((~small).sum()) + 1, np.int64)
    np.cumsum(lengths[~small], out=offset[1:])
    return Escapes(escapes.site[~small], escapes.sample[~small], offset, escapes.alleles[rest], escapes.phased[rest])


def _describe(chosen: Sites, rows: NDArray[np.intp], *, keep: NDArray[np.bool_], counts: AlleleCounts, profile: Profile) -> Sites:
    m = len(chosen)
    alleles = chosen.alleles if keep.all() else _trim(chosen.alleles, rows, keep, counts.offsets)
    special = np.zeros(len(alleles.data) + 1, np.int64)
    np.cumsum(np.isin(alleles.data, np.frombuffer(b"<[]", np.uint8)), out=special[1:])  # symbolic, or a breakend
    needs_info = (special[alleles.offsets[1:]] > special[alleles.offsets[:-1]]) & ~ends_before_start(chosen)
    lengths = np.where(needs_info, np.diff(chosen.info.offsets), 0)
    info_offsets = np.zeros(m + 1, np.int64)
    np.cumsum(lengths, out=info_offsets[1:])
    info = chosen.info.data[np.repeat(needs_info, np.diff(chosen.info.offsets))] if m else chosen.info.data[:0]
    used, first_row, contig = np.unique(chosen.contig, return_index=True, return_inverse=True)
    appearance = np.argsort(first_row)
    return Sites(
        tuple(chosen.contigs[i] for i in used[appearance]),
        np.argsort(appearance).astype(np.int32)[contig],
        chosen.pos,
        alleles,
        chosen.ids if profile.keep_ids else TextColumn(np.full(m, ord("."), np.uint8), np.arange(m + 1)),
        chosen.filters,
        TextColumn(info, info_offsets),
    )


def _trim(alleles: TextColumn, rows: NDArray[np.intp], keep: NDArray[np.bool_], offsets: NDArray[np.int64]) -> TextColumn:
    """The alleles of ``rows`` without those not kept. ``keep`` and ``offsets`` are of all sites, ``alleles`` of the rows."""
    data = np.empty(len(alleles.data), np.uint8)
    ends = np.zeros(len(rows) + 1, np.int64)
    size = kernels.drop_alleles(plain(alleles.data, np.uint8), alleles.offsets, rows, keep, offsets, data, ends)
    return TextColumn(data[:size], ends)
