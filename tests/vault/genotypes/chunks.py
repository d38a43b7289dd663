"""Call matrices for tests of the genotype store: adversarial ones by hypothesis, realistic ones by a simulator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from vault.errors import IntegrityError
from vault.genotypes.codec.call_codes import ABSENT, ESCAPE, Codes, Escapes
from vault.genotypes.codec.decoder import DecodePlan, decode_chunk
from vault.genotypes.codec.format_constants import Payload
from vault.genotypes.codec.packed_calls import PHASED, UNPHASED, CallRows
from vault.genotypes.codec.payloads import Payloads
from vault.genotypes.codec.site_coding import Coding
from vault.genotypes.sites import Sites, TextColumn


def packed_rows(codes: Codes) -> CallRows:
    """The matrix with every row packed that can be, and rubbish where nobody may look."""
    rows = CallRows.from_codes(codes.copy())
    n = codes.shape[1]
    rows.bits[:] = 0x5A5A5A5A5A5A5A5A
    for form, base in ((UNPHASED, 12), (PHASED, 133)):
        alleles = codes.astype(np.int64) - base
        for i in np.flatnonzero(np.isin(alleles, (0, 1, 11, 12)).all(axis=1)).tolist():
            pairs = np.zeros(64 * rows.bits.shape[1], np.uint8)
            pairs[1 : 2 * n : 2], pairs[0 : 2 * n : 2] = alleles[i] >= 11, alleles[i] % 11
            rows.bits[i] = np.packbits(pairs, bitorder="little").view(np.uint64)
            rows.form[i] = form
            rows.codes[i] = 254
    assert np.array_equal(rows.matrix(), codes)
    return rows


def random_escapes(codes: Codes, rng: np.random.Generator, *, max_allele: int = 300) -> Escapes:
    """An escape for every ESCAPE of the matrix, of any ploidy to 8, with any phase."""
    site, sample = np.nonzero(codes == ESCAPE)
    ploidy = rng.integers(1, 9, len(site))
    offset = np.concatenate([[0], np.cumsum(ploidy)]).astype(np.int64)
    alleles = rng.integers(-1, max_allele, int(offset[-1])).astype(np.int16)
    phased = rng.integers(0, 2, int(offset[-1])).astype(np.uint8)
    phased[offset[:-1]] = 0
    return Escapes(site.astype(np.int64), sample.astype(np.int64), offset, alleles, phased)


def take_escapes(codes: Codes, escapes: Escapes, rows: np.ndarray, columns: np.ndarray) -> Escapes:
    """The oracle of a selection, by plain Python."""
    row = {int(r): i for i, r in enumerate(rows)}
    column = {int(c): i for i, c in enumerate(columns)}
    kept = sorted(
        (row[int(s)], column[int(p)], i)
        for i, (s, p) in enumerate(zip(escapes.site, escapes.sample, strict=True))
        if int(s) in row and int(p) in column
    )
    pieces = [slice(int(escapes.offset[i]), int(escapes.offset[i + 1])) for *_, i in kept]
    none = np.zeros(0, np.int64)
    return Escapes(
        np.array([k[0] for k in kept], np.int64),
        np.array([k[1] for k in kept], np.int64),
        np.concatenate([[0], np.cumsum([p.stop - p.start for p in pieces])]).astype(np.int64),
        np.concatenate([none.astype(np.int16), *(escapes.alleles[p] for p in pieces)]),
        np.concatenate([none.astype(np.uint8), *(escapes.phased[p] for p in pieces)]),
    )


def same_escapes(a: Escapes, b: Escapes) -> bool:
    return all(
        np.array_equal(x, y)
        for x, y in zip(
            (a.site, a.sample, a.offset, a.alleles, a.phased), (b.site, b.sample, b.offset, b.alleles, b.phased), strict=True
        )
    )


def linked_codes(rng: np.random.Generator, sites: int, subjects: int, *, phased: bool = True) -> Codes:
    """Biallelic calls with realistic frequencies and linkage: haplotypes copied from a few founders."""
    founders = rng.random((sites, 12)) < rng.beta(0.15, 1.5, sites)[:, None]
    haplotypes = founders[:, rng.integers(0, 12, 2 * subjects)]
    haplotypes ^= rng.random(haplotypes.shape) < 0.002
    first, second = haplotypes[:, 0::2].astype(np.uint8), haplotypes[:, 1::2].astype(np.uint8)
    if not phased:
        first, second = first & second, first | second
    return (12 + 121 * phased + 11 * first + second).astype(np.uint8)


MIXES = (
    "linked",
    "unphased",
    "uniform",
    "all missing",
    "all haploid",
    "some haploid",
    "changing ploidy",
    "multi-allelic",
    "mixed phase",
    "missing",
    "escapes",
    "absent",
    "missing people",
)


def mixed_codes(kind: str, rng: np.random.Generator, m: int, n: int) -> Codes:  # noqa: C901 - a list of cases
    """One of the ``MIXES``."""
    codes = linked_codes(rng, m, n, phased=kind != "unphased")
    chance = rng.random((m, n))
    haploid = (242 + (codes - 121) // 11).astype(np.uint8)
    match kind:
        case "uniform":
            codes = rng.integers(0, 254, (m, n)).astype(np.uint8)
        case "all missing":
            codes[:] = 0
        case "all haploid":
            codes = haploid
        case "some haploid":
            codes[:, ::2] = haploid[:, ::2]
        case "changing ploidy":
            turns = np.cumsum(rng.random((m, n)) < 2 / max(m, 2), axis=0) % 2 == 1
            codes = np.where(turns, haploid, codes)
        case "multi-allelic":
            alleles = rng.integers(-1, 10, (m, n, 2))
            odd = np.where(rng.random((m, n)) < 0.5, 0, 121) + (alleles[..., 0] + 1) * 11 + alleles[..., 1] + 1
            codes = np.where(chance < rng.random((m, 1)), odd, codes)
        case "mixed phase":
            codes = np.where(chance < 0.4, codes - 121, codes)
        case "missing":
            codes = np.where(chance < rng.beta(0.3, 3, (m, 1)), 0, codes)
            codes = np.where(chance > 0.995, 242, codes)
        case "escapes":
            codes = np.where(chance < 0.05, ESCAPE, codes)
        case "absent":
            codes = np.where(chance < 0.2, ABSENT, codes)
        case "missing people":
            codes[:, rng.random(n) < 0.3] = 0
    return np.ascontiguousarray(codes.astype(np.uint8))


@st.composite
def code_matrices(draw: Callable) -> tuple[Codes, Escapes]:
    """Small matrices in which any code may stand anywhere, and columns and rows of any mix."""
    m, n = draw(st.integers(1, 40)), draw(st.one_of(st.integers(1, 12), st.integers(30, 70)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = mixed_codes(draw(st.sampled_from(MIXES)), rng, m, n)
    for _ in range(draw(st.integers(0, 3))):
        spot = (draw(st.integers(0, m - 1)), draw(st.integers(0, n - 1)))
        codes[spot] = draw(st.sampled_from([*range(254), ABSENT]))
    return codes, random_escapes(codes, rng)


def simple_sites(m: int, *, contig: str = "22", first: int = 1000, step: int = 7) -> Sites:
    """m sites of one contig, A>G."""
    return Sites(
        (contig,),
        np.zeros(m, np.int32),
        np.arange(m, dtype=np.int64) * step + first,
        TextColumn.from_items([b"A,G"] * m),
        TextColumn.from_items([b"."] * m),
        TextColumn.from_items([b"PASS"] * m),
        TextColumn.from_items([b""] * m),
    )


def fixed_random(seed: str) -> Callable[[int], bytes]:
    """Bytes that are the same each time: SHA-256 of seed and counter."""
    counter = iter(range(1 << 30))

    def random(size: int) -> bytes:
        out = b""
        while len(out) < size:
            out += hashlib.sha256(f"{seed}/{next(counter)}".encode()).digest()
        return out[:size]

    return random


def decode(coding: bytes, payloads: Sequence[Payload], rows: np.ndarray | None = None, **options: Any) -> tuple[Codes, Escapes]:
    """``decode_chunk`` of payloads in the order given."""
    plan = DecodePlan.from_coding(Coding.from_bytes(coding), rows)
    return decode_chunk(plan, Payloads.join(payloads, len(plan.coding)), **options)


def integrity_code(action: Callable[[], object]) -> str | None:
    """The code of the IntegrityError that the action raises, None if it raises nothing."""
    try:
        action()
    except IntegrityError as error:
        return error.code
    return None
