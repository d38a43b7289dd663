"""Texts of a line of several records: alleles, names, filters, INFO, independent of the order of the records. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.sites import Sites


@dataclass(frozen=True)
class LineTexts:
    """The text columns of one line, as in ``Sites``."""

    alleles: bytes
    ids: bytes
    filters: bytes
    info: bytes


def merged(sites: Sites, rows: NDArray[np.int64], alleles: bytes) -> LineTexts:
    """The texts of a line made of records ``rows`` int64[k], of which the alleles are settled.

    The names are those of all (VCF 4.3 §1.6.1, ID is a list without duplicates), and so are the filters that failed, as ``bcftools merge``
    writes them; INFO is that of the record which says most: what the records of a line say differs in what follows from the rest.
    """
    picked = rows.tolist()
    return LineTexts(
        alleles,
        _listed(sites.ids[row] for row in picked),
        _listed(sites.filters[row] for row in picked),
        max((sites.info[row] for row in picked), key=lambda info: (len(info), info)),
    )


def _listed(texts: Iterable[bytes]) -> bytes:
    """The texts if they are one, else all that they list, sorted; PASS gives way to a filter, "." to anything."""
    distinct = set(texts) - {b"."}
    if len(distinct) <= 1:
        return distinct.pop() if distinct else b"."
    items = {item for text in distinct for item in text.split(b";")} - {b"."}
    failed = items - {b"PASS"}
    return b";".join(sorted(failed or items))
