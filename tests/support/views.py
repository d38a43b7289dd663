"""A view made from VCF text by a slow, obvious reader, for tests of what comes after the vault."""

from __future__ import annotations

import re

import numpy as np

from tests.support.vcf_text import SmallVcf
from vault.genotypes.calls import ESCAPE, MAX_CODED_ALLELE, Escapes, diploid, haploid
from vault.genotypes.sites import Sites, TextColumn
from vault.ids import Pseudonym
from vault.views.view import View


def view_of(file: SmallVcf, *, assembly: str = "GRCh38") -> View:
    """The file's genotypes under its sample names. Symbolic alleles lose END and SVTYPE."""
    names = list(dict.fromkeys(record.contig for record in file.records))
    sites = Sites(
        contigs=tuple(names),
        contig=np.array([names.index(record.contig) for record in file.records], np.int32),
        pos=np.array([record.pos for record in file.records], np.int64),
        alleles=TextColumn.of(",".join([record.ref, *record.alts]).encode() for record in file.records),
        ids=TextColumn.of(record.id.encode() for record in file.records),
        filters=TextColumn.of(record.filter.encode() for record in file.records),
        info=TextColumn.of(b"" for _ in file.records),
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
