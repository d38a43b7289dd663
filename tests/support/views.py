"""Views for tests of what comes after the vault: from VCF text by a slow, obvious reader, and from calls in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tests.support.vcf_text import SmallVcf
from vault.genotypes.codec.allele_counts import AlleleCounts, count_calls
from vault.genotypes.codec.call_codes import ESCAPE, MAX_CODED_ALLELE, Codes, Escapes, diploid, haploid
from vault.genotypes.panel_loci import Match, Told
from vault.genotypes.sites import Sites, TextColumn
from vault.genotypes.store.part_merge import Calls
from vault.ids import Pseudonym
from vault.views.header_summary import HeaderSummary
from vault.views.pages import Page
from vault.views.view import View


def view_of(file: SmallVcf, *, assembly: str = "GRCh38") -> View:
    """The file's genotypes under its sample names. Symbolic alleles lose END and SVTYPE."""
    names = list(dict.fromkeys(record.contig for record in file.records))
    sites = Sites(
        contigs=tuple(names),
        contig=np.array([names.index(record.contig) for record in file.records], np.int32),
        pos=np.array([record.pos for record in file.records], np.int64),
        alleles=TextColumn.from_items(",".join([record.ref, *record.alts]).encode() for record in file.records),
        ids=TextColumn.from_items(record.id.encode() for record in file.records),
        filters=TextColumn.from_items(record.filter.encode() for record in file.records),
        info=TextColumn.from_items(b"" for _ in file.records),
    )
    codes = np.zeros((len(file.records), len(file.samples)), np.uint8)
    escaped: list[tuple[int, int, list[int], list[int]]] = []
    for i, record in enumerate(file.records):
        for j, gt in enumerate(record.gts):
            alleles, phased = parse_gt(gt)
            codes[i, j] = _code(alleles, phased)
            if codes[i, j] == ESCAPE:
                escaped.append((i, j, alleles, phased))
    return View(tuple(Pseudonym(name) for name in file.samples), sites, codes, _escapes(escaped), assembly)


def parse_gt(text: str) -> tuple[list[int], list[int]]:
    """Allele numbers (-1 missing), and for each whether the separator before it is "|" (the first: 0)."""
    tokens = re.findall(r"([/|]?)(\d+|\.)", text)
    return [-1 if allele == "." else int(allele) for _, allele in tokens], [int(mark == "|") for mark, _ in tokens]


def _code(alleles: list[int], phased: list[int]) -> int:
    if max(alleles) > MAX_CODED_ALLELE or len(alleles) > 2:
        return ESCAPE
    return haploid(alleles[0]) if len(alleles) == 1 else diploid(alleles[0], alleles[1], phased=bool(phased[1]))


def _escapes(escaped: list[tuple[int, int, list[int], list[int]]]) -> Escapes:
    return Escapes(
        site=np.array([i for i, _, _, _ in escaped], np.int64),
        sample=np.array([j for _, j, _, _ in escaped], np.int64),
        offset=np.cumsum([0, *(len(alleles) for _, _, alleles, _ in escaped)]).astype(np.int64),
        alleles=np.array([allele for _, _, alleles, _ in escaped for allele in alleles], np.int16),
        phased=np.array([flag for _, _, _, phased in escaped for flag in phased], np.uint8),
    )


def allele_counts(view: View) -> AlleleCounts:
    """AC and AN, counted from the view's own calls."""
    return count_calls(view.sites, view.codes, view.escapes)


def rows_of(view: View | Calls, first: int, last: int) -> Calls:
    """Some neighbouring sites with their calls, apart from the rest."""
    escapes = view.escapes
    mine = [k for k in range(len(escapes)) if first <= escapes.site[k] < last]
    spans = [slice(int(escapes.offset[k]), int(escapes.offset[k + 1])) for k in mine]
    kept = Escapes(
        escapes.site[mine] - first,
        escapes.sample[mine],
        np.cumsum([0, *(span.stop - span.start for span in spans)]).astype(np.int64),
        np.concatenate([np.zeros(0, np.int16), *(escapes.alleles[span] for span in spans)]),
        np.concatenate([np.zeros(0, np.uint8), *(escapes.phased[span] for span in spans)]),
    )
    return Calls(view.sites.take(np.arange(first, last)), view.codes[first:last].copy(), kept)


@dataclass(frozen=True)
class InPages:
    """A view in memory as its writers take it, ``size`` sites a page."""

    view: View
    size: int = 1 << 30

    @property
    def pseudonyms(self) -> tuple[Pseudonym, ...]:
        return self.view.pseudonyms

    @property
    def assembly(self) -> str:
        return self.view.assembly

    @property
    def not_assayed(self) -> tuple[str, ...]:
        return self.view.not_assayed

    @property
    def summary(self) -> HeaderSummary:
        return HeaderSummary().and_of(self.view.sites)

    def pages(self) -> Iterator[Page]:
        for first in range(0, len(self.view.sites), self.size):
            some = rows_of(self.view, first, min(first + self.size, len(self.view.sites)))
            yield Page(some.sites, some.codes, some.escapes, count_calls(some.sites, some.codes, some.escapes))


@dataclass(frozen=True)
class CallsInMemory:
    """Calls to de-identify, as a source of windows; ``max_sites`` bounds these further."""

    sites: Sites
    codes: Codes
    escapes: Escapes
    overlaps: bool = False
    max_sites: int = 1 << 30

    @property
    def n_sites(self) -> int:
        return len(self.sites)

    @property
    def whole(self) -> _Window:
        return _Window(self, 0, len(self.sites))

    def windows(self, n_sites: int) -> Iterator[_Window]:
        step = min(n_sites, self.max_sites)
        for first in range(0, len(self.sites), step):
            yield _Window(self, first, min(first + step, len(self.sites)))


@dataclass(frozen=True)
class _Window:
    source: CallsInMemory
    first: int
    last: int

    def read(self) -> tuple[Calls, AlleleCounts]:
        calls = rows_of(Calls(self.source.sites, self.source.codes, self.source.escapes), self.first, self.last)
        return calls, count_calls(calls.sites, calls.codes, calls.escapes)

    def count(self) -> tuple[Sites, AlleleCounts]:
        calls, counts = self.read()
        return calls.sites, counts


@dataclass(frozen=True)
class MarkedPanel:
    """A panel of sites told by contig and position: which are fixed, and which numbers of their ALTs are named."""

    fixed: frozenset[tuple[str, int]]
    named: Mapping[tuple[str, int], Sequence[int]]

    def match(self, sites: Sites, *, told: Told) -> Match:
        places = [(sites.contigs[c], p) for c, p in zip(sites.contig.tolist(), sites.pos.tolist(), strict=True)]
        named = [
            a in self.named.get(place, ()) for place, n in zip(places, sites.n_alleles().tolist(), strict=True) for a in range(n)
        ]
        offsets = np.cumsum([0, *sites.n_alleles().tolist()])
        carried = np.array([told.carried[a + 1 : b].any() for a, b in pairwise(offsets.tolist())], np.bool_)
        fixed = np.array([place in self.fixed for place in places], np.bool_) & (told.declared | carried)
        return Match(np.arange(len(sites)), fixed, np.array(named, np.bool_), np.zeros(0, np.bool_), fixed)

    def not_assayed(self, _met: object) -> tuple[str, ...]:
        return ()
