"""Sites and calls of a view as Python values: text for people and for data frames.

A data frame has a row for each site, columns ``contig``, ``pos``, ``id``, ``ref``, ``alt`` (ALTs separated by commas, as in VCF) and
``filter``, then one for each pseudonym with the call as VCF writes it: ``0/1``, ``1|1``, ``0`` for one copy, ``./.`` where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vault.errors import UnavailableError
from vault.genotypes.codec.call_codes import Codes, Escapes, call_texts, escape_text
from vault.genotypes.sites import Sites

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True)
class Variant:
    """One site. ``pos`` is 1-based; ``alts`` is empty where no released person carries any; ``id`` and ``filter`` as VCF writes them."""

    contig: str
    pos: int
    id: str
    ref: str
    alts: tuple[str, ...]
    filter: str


def variants(sites: Sites) -> list[Variant]:
    """Each site as text, in order."""
    found = []
    columns = (sites.contig.tolist(), sites.pos.tolist(), sites.ids.items(), sites.alleles.items(), sites.filters.items())
    for contig, pos, name, alleles, filters in zip(*columns, strict=True):
        ref, *alts = alleles.decode().split(",")
        found.append(Variant(sites.contigs[contig], pos, name.decode(), ref, tuple(alts), filters.decode()))
    return found


def call_column(codes: Codes, escapes: Escapes, column: int) -> NDArray[np.object_]:
    """Calls of one person as VCF writes them, object[m]. ``codes`` uint8[m, n]; ``column`` counts from 0."""
    texts: NDArray[np.object_] = _TEXTS[codes[:, column]]
    for at in np.flatnonzero(escapes.sample == column).tolist():
        texts[escapes.site[at]] = escape_text(escapes, at).decode()
    return texts


def call_texts_of(codes: Codes, escapes: Escapes, site: int) -> NDArray[np.object_]:
    """Calls of one site as VCF writes them, object[n]. ``codes`` uint8[m, n]; ``site`` counts from 0."""
    texts: NDArray[np.object_] = _TEXTS[codes[site]]
    first, last = np.searchsorted(escapes.site, (site, site + 1)).tolist()
    for at in range(first, last):
        texts[escapes.sample[at]] = escape_text(escapes, at).decode()
    return texts


def table(sites: Sites, codes: Codes, escapes: Escapes, names: Sequence[str]) -> dict[str, Sequence[object]]:
    """Columns of a data frame by name, m items each. ``names``: n pseudonyms."""
    return site_columns(sites) | {name: call_column(codes, escapes, at).tolist() for at, name in enumerate(names)}


def site_columns(sites: Sites) -> dict[str, Sequence[object]]:
    """Columns of a data frame that tell its sites, m items each."""
    rows = variants(sites)
    return {
        "contig": [row.contig for row in rows],
        "pos": sites.pos.tolist(),
        "id": [row.id for row in rows],
        "ref": [row.ref for row in rows],
        "alt": [",".join(row.alts) or "." for row in rows],
        "filter": [row.filter for row in rows],
    }


def pandas_frame(columns: Mapping[str, Sequence[object]]) -> pd.DataFrame:
    """Columns as a pandas data frame. Raises UnavailableError ``extra_missing``."""
    try:
        import pandas as pd  # noqa: PLC0415 - an extra: most programs work on the arrays
    except ImportError:
        raise _missing("pandas") from None
    return pd.DataFrame(dict(columns))


def polars_frame(columns: Mapping[str, Sequence[object]]) -> pl.DataFrame:
    """Columns as a polars data frame. Raises UnavailableError ``extra_missing``."""
    try:
        import polars as pl  # noqa: PLC0415 - as pandas
    except ImportError:
        raise _missing("polars") from None
    return pl.DataFrame(dict(columns))


def _missing(name: str) -> UnavailableError:
    return UnavailableError("extra_missing", f"{name} is not installed", hint="pip install 'genovault[frames]'")


_TEXTS = np.array([text.decode() for text in call_texts()], object)  # by call code; escapes are filled in one by one
