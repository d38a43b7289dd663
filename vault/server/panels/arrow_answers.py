"""Genotypes and site tables as Arrow streams (docs/formats/engine.md): a row for each person, in batches of bounded size."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from vault.genotypes.codec.call_codes import HAPLOID_BASE, PHASED_OFFSET, allele_pairs
from vault.genotypes.sites import Sites
from vault.views.variants import variants
from vault.views.view import View

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
BATCH_BYTES = 1 << 22  # of alleles in one batch
_PAIRS = allele_pairs().view(np.uint16)[:, 0]  # by call code, two int8
END = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # of a stream


def genotype_stream(view: View, said: Mapping[str, str]) -> Iterator[bytes]:
    """An Arrow stream of a view's people, in the view's order; each batch is made when it is asked for.

    ``said``: of the answer, for the schema's metadata; names are put behind ``genovault.``.
    """
    sites, people = view.codes.shape
    lengths = np.diff(view.escapes.offset)
    ploidy = max(2, int(lengths.max(initial=2)))
    wide = bool(len(view.escapes.alleles)) and int(view.escapes.alleles.max()) > np.iinfo(np.int8).max
    schema = pa.schema(
        [
            pa.field("pseudonym", pa.utf8(), nullable=False),
            _listed("alleles", pa.int16() if wide else pa.int8(), sites * ploidy),
            _listed("phased", pa.bool_(), sites),
        ],
        metadata=_metadata(
            {
                "format": "genotypes/1",
                "sites": str(sites),
                "ploidy": str(ploidy),
                "alleles": "int16" if wide else "int8",
                "assembly": view.assembly,
                "not_assayed": json.dumps(view.not_assayed),
                **said,
            }
        ),
    )
    rows = max(1, BATCH_BYTES // max(1, sites * ploidy * (1 + wide)))
    batches = (_batch(_columns(view, first, first + rows), schema, ploidy, wide=wide) for first in range(0, people, rows))
    return _stream(schema, batches)


def site_stream(sites: Sites, assembly: str) -> bytes:
    """An Arrow stream of a site table, a row for each site in order."""
    found = variants(sites)
    columns = {
        "contig": pa.array([one.contig for one in found], pa.utf8()),
        "pos": pa.array(sites.pos, pa.int64()),
        "id": pa.array([one.id for one in found], pa.utf8()),
        "ref": pa.array([one.ref for one in found], pa.utf8()),
        "alts": pa.array([list(one.alts) for one in found], pa.list_(pa.utf8())),
        "filter": pa.array([one.filter for one in found], pa.utf8()),
        "info": pa.array([one.decode() for one in sites.info.items()], pa.utf8()),
    }
    schema = pa.schema(
        [pa.field(name, column.type, nullable=False) for name, column in columns.items()],
        metadata=_metadata({"format": "sites/1", "assembly": assembly}),
    )
    return b"".join(_stream(schema, iter([pa.record_batch(list(columns.values()), schema=schema)])))


def _metadata(said: Mapping[str, str]) -> dict[str | bytes, str | bytes]:
    return {f"genovault.{name}": value for name, value in said.items()}


def _listed(name: str, kind: pa.DataType, width: int) -> pa.Field[pa.DataType]:
    return pa.field(name, pa.list_(pa.field("item", kind, nullable=False), width), nullable=False)


def _columns(view: View, first: int, end: int) -> View:
    """The people from ``first`` to ``end`` of a view."""
    chosen = np.flatnonzero((view.escapes.sample >= first) & (view.escapes.sample < end))
    escapes = view.escapes.take(chosen)
    return replace(
        view,
        pseudonyms=view.pseudonyms[first:end],
        codes=view.codes[:, first:end],
        escapes=replace(escapes, sample=escapes.sample - first),
    )


def _batch(view: View, schema: pa.Schema, ploidy: int, *, wide: bool) -> pa.RecordBatch:
    people = len(view.pseudonyms)
    codes = np.ascontiguousarray(view.codes.T)
    alleles = _PAIRS[codes].view(np.int8).reshape(*codes.shape, 2)  # one look-up for both numbers of a call
    phased = (codes >= PHASED_OFFSET) & (codes < HAPLOID_BASE)
    if len(view.escapes):
        phased = np.ascontiguousarray(view.phased.T)
    if len(view.escapes) or ploidy > 2 or wide:
        escaped = view.genotypes.transpose(1, 0, 2)
        alleles = np.full((*codes.shape, ploidy), -2, np.int16 if wide else np.int8)
        alleles[:, :, : escaped.shape[2]] = escaped
    bits = np.packbits(phased, bitorder="little")  # of the rows as one run: Arrow's layout
    return pa.record_batch(
        [
            pa.array(view.pseudonyms, pa.utf8()),
            _lists(schema.field("alleles").type, people, pa.array(alleles.reshape(-1))),
            _lists(
                schema.field("phased").type,
                people,
                pa.Array.from_buffers(pa.bool_(), codes.size, [None, pa.py_buffer(bits.tobytes())]),
            ),
        ],
        schema=schema,
    )


def _lists(kind: pa.DataType, people: int, values: pa.Array[pa.Scalar[pa.DataType]]) -> pa.Array[pa.Scalar[pa.DataType]]:
    return pa.Array.from_buffers(kind, people, [None], children=[values])


def _stream(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """The bytes of a stream: a piece for the schema, one for each batch, and the end."""
    yield schema.serialize().to_pybytes()
    for batch in batches:
        yield batch.serialize().to_pybytes()
    yield END
