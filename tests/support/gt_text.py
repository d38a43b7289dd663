"""GT texts to call codes and back, one call at a time: the slow, obvious form that tests compare kernels with."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from vault.genotypes.codec.call_codes import ESCAPE, MAX_CODED_ALLELE, Codes, Escapes, call_texts, diploid, haploid
from vault.genotypes.sites import Sites, TextColumn


def calls_of(rows: Sequence[Sequence[str]], n: int) -> tuple[Codes, Escapes]:
    """Codes uint8[len(rows), n] and escapes of GT texts; None is a call that the subject's part does not assay (ABSENT)."""
    codes = np.zeros((len(rows), n), np.uint8)
    site, sample, offset, alleles, phased = [], [], [0], [], []
    for i, row in enumerate(rows):
        for j, text in enumerate(row):
            numbers = [-1 if a == "." else int(a) for a in re.split(r"[/|]", text)] if text is not None else []
            bars = [0, *(int(s == "|") for s in re.findall(r"[/|]", text or ""))]
            if text is None:
                codes[i, j] = 255
            elif len(numbers) == 1 and numbers[0] <= MAX_CODED_ALLELE:
                codes[i, j] = haploid(numbers[0])
            elif len(numbers) == 2 and max(numbers) <= MAX_CODED_ALLELE:
                codes[i, j] = diploid(*numbers, phased=bool(bars[1]))
            else:
                codes[i, j] = ESCAPE
                site.append(i)
                sample.append(j)
                alleles += numbers
                phased += bars
                offset.append(len(alleles))
    return codes, Escapes(
        np.array(site, np.int64),
        np.array(sample, np.int64),
        np.array(offset, np.int64),
        np.array(alleles, np.int16),
        np.array(phased, np.uint8),
    )


def texts_of(codes: Codes, escapes: Escapes) -> list[list[str]]:
    """GT texts of codes and escapes."""
    table = [text.decode() for text in call_texts()]
    rows = [[table[code] for code in row] for row in codes.tolist()]
    for k in range(len(escapes)):
        a, b = escapes.offset[k : k + 2]
        parts = [
            ("|" if bar else "/") * (i > 0) + ("." if allele < 0 else str(allele))
            for i, (allele, bar) in enumerate(zip(escapes.alleles[a:b].tolist(), escapes.phased[a:b].tolist(), strict=True))
        ]
        rows[escapes.site[k]][escapes.sample[k]] = "".join(parts)
    return rows


def sites_of(records: Sequence[tuple[str, int, str]], **columns: Sequence[str]) -> Sites:
    """Sites from (contig, pos, "REF,ALT…"); ``ids``, ``filters`` and ``info`` as keyword columns."""
    m = len(records)
    contigs = tuple(dict.fromkeys(r[0] for r in records))
    column = lambda name, default: TextColumn.from_items([t.encode() for t in columns.get(name, [default] * m)])  # noqa: E731  # three uses, one line each
    return Sites(
        contigs,
        np.array([contigs.index(r[0]) for r in records], np.int32),
        np.array([r[1] for r in records], np.int64),
        TextColumn.from_items([r[2].encode() for r in records]),
        column("ids", "."),
        column("filters", "PASS"),
        column("info", ""),
    )
