"""Interface of genotype sources: batches of sites with the calls of all samples, in file order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np

from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.sites import Sites


@dataclass(frozen=True)
class SiteBatch:
    """Some consecutive sites of a file and the calls of all samples; ``escapes`` are the calls marked ESCAPE."""

    sites: Sites
    rows: CallRows
    escapes: Escapes

    @property
    def codes(self) -> Codes:
        """uint8[sites, samples]: every call's code, made of the rows anew."""
        return self.rows.matrix()


class GenotypeSource(Protocol):
    """An open genotype file; a context manager that closes it."""

    @property
    def samples(self) -> tuple[str, ...]:
        """Sample names in file order, no two alike."""

    @property
    def gvcf(self) -> bool:
        """The file is one person's, with blocks of reference: it is to be read by ``personal``, which such a source has."""

    @property
    def contigs(self) -> Mapping[str, int | None]:
        """Declared contigs and their lengths, None where the file does not say; the body may use others."""

    @property
    def progress(self) -> tuple[int, int]:
        """(bytes read, bytes in all) of the file as stored."""

    def batches(self) -> Iterator[SiteBatch]:
        """All sites, once, a few MiB of codes at a time.

        Raises:
            InputError: with file, line, column and reason.
        """

    def close(self) -> None:
        """Let go of the file; done by leaving the ``with`` block."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exc: object) -> None: ...


def reorder(batches: Iterable[SiteBatch], columns: Sequence[int], samples: int) -> Iterator[SiteBatch]:
    """The batches, each with the chosen of its ``samples`` columns in the order given: a permutation, or fewer columns.

    Raises:
        ValueError: the columns are not distinct column numbers.
    """
    chosen = np.asarray(columns, np.int64)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= samples or len(np.unique(chosen)) != len(chosen)):
        raise ValueError("columns must be distinct column numbers of the batch")
    if np.array_equal(chosen, np.arange(samples)):
        yield from batches
        return
    from vault.genotypes.ingest.column_kernel import permute  # noqa: PLC0415 - kernels load where columns are reordered only

    for batch in batches:
        yield SiteBatch(batch.sites, permute(batch.rows, chosen), _reordered(batch.escapes, chosen, samples))


def _reordered(escapes: Escapes, chosen: np.ndarray, n: int) -> Escapes:
    if not len(escapes):
        return escapes
    place = np.full(n, -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    sample = place[escapes.sample]
    kept = np.flatnonzero(sample >= 0)
    order = kept[np.lexsort((sample[kept], escapes.site[kept]))]
    return replace(escapes.take(order), sample=sample[order])
