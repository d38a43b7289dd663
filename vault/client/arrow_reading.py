"""Reading of genotypes and site tables that come as Arrow streams (docs/formats/engine.md), strictly.

pyarrow takes a length for what it says. Before it reads, each message's head is looked at: a stream holds one schema and record batches, their
buffers are not compressed and lie within the bytes that came, so that nothing can be made to need more memory than was sent.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vault.client.answer_reading import malformed
from vault.errors import UnavailableError
from vault.genotypes.sites import Sites, TextColumn

if TYPE_CHECKING:
    import pyarrow as pa

GENOTYPES, SITES = "genotypes/1", "sites/1"
MOST_SITES = 1 << 20
MOST_PLOIDY = 255
_SCHEMA, _BATCH = 1, 3  # kinds of a message's head
_COMPRESSION = 3  # its place among the fields of a record batch
_SITE_COLUMNS = ("contig", "pos", "id", "ref", "alts", "filter", "info")


@dataclass(frozen=True, repr=False)
class GenotypeTable:
    """Rows of people. ``alleles`` int8 or int16[n, m, ploidy]; ``phased`` bool[n, m]; ``said``: the schema's metadata, without their prefix."""

    pseudonyms: tuple[str, ...]
    alleles: NDArray[np.int8] | NDArray[np.int16]
    phased: NDArray[np.bool_]
    said: Mapping[str, str]


def read_genotypes(body: bytes) -> GenotypeTable:
    """Genotypes of an answer. Raises UnavailableError ``answer_malformed``, ``extra_missing``."""
    table, said = _table(body, GENOTYPES)
    try:
        sites, ploidy = _number(said["sites"], MOST_SITES), _number(said["ploidy"], MOST_PLOIDY)
        wide: Literal["int8", "int16"] = "int16" if said["alleles"] == "int16" else "int8"
        names = tuple(str(one) for one in table.column("pseudonym").to_pylist())
        alleles = _fixed(table, "alleles", wide, sites * ploidy).reshape(len(names), sites, ploidy)
        phased = _fixed(table, "phased", "bool", sites).reshape(len(names), sites)
    except (KeyError, ValueError, TypeError, OverflowError):
        raise malformed() from None
    if len(set(names)) != len(names):
        raise malformed()
    return GenotypeTable(names, alleles, phased, said)


def read_sites(body: bytes) -> Sites:
    """Site table of an answer. Raises as ``read_genotypes``."""
    table, _ = _table(body, SITES)
    try:
        columns: dict[str, list[Any]] = {name: table.column(name).to_pylist() for name in _SITE_COLUMNS}
        _number(str(len(columns["pos"])), MOST_SITES)
        contigs = tuple(dict.fromkeys(columns["contig"]))
        place = {name: at for at, name in enumerate(contigs)}
        alleles = [",".join([ref, *alts]).encode() for ref, alts in zip(columns["ref"], columns["alts"], strict=True)]
        sites = Sites(
            contigs,
            np.array([place[name] for name in columns["contig"]], np.int32),
            np.array(columns["pos"], np.int64),
            TextColumn.from_items(alleles),
            *(TextColumn.from_items([one.encode() for one in columns[name]]) for name in ("id", "filter", "info")),
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise malformed() from None
    return sites


def _table(body: bytes, form: str) -> tuple[pa.Table, dict[str, str]]:
    """All rows of a stream, and its metadata."""
    arrow = _pyarrow()
    require_plain(body)
    try:
        with arrow.ipc.open_stream(arrow.py_buffer(body)) as reader:
            table = reader.read_all()
        table.validate(full=True)
        raw = table.schema.metadata or {}
        said = {name.decode().removeprefix("genovault."): value.decode() for name, value in raw.items()}
    except (arrow.ArrowException, OSError, UnicodeDecodeError, MemoryError, OverflowError):
        raise malformed() from None
    if said.get("format") != form:
        raise malformed()
    return table, said


def _fixed(table: pa.Table, name: str, kind: Literal["int8", "int16", "bool"], width: int) -> NDArray[Any]:
    """[n * width] values of a column of lists of one length. Raises ValueError."""
    arrow = _pyarrow()
    column = table.column(name)
    wanted = {"int8": arrow.int8(), "int16": arrow.int16(), "bool": arrow.bool_()}[kind]
    if not arrow.types.is_fixed_size_list(column.type) or column.type.value_type != wanted or column.type.list_size != width:
        raise ValueError
    parts: list[NDArray[Any]] = []
    for chunk in column.chunks:
        values = chunk.values.slice(chunk.offset * width, len(chunk) * width)
        if chunk.null_count or values.null_count:
            raise ValueError
        parts.append(values.to_numpy(zero_copy_only=False))
    dtype = np.dtype(kind)
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype, copy=False)


def _number(text: str, most: int) -> int:
    """A number from 0 to ``most``. Raises ValueError."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not 0 <= number <= most:
        raise ValueError
    return number


def require_plain(body: bytes) -> None:
    """Refuse a stream of anything but a schema and plain record batches. Raises UnavailableError ``answer_malformed``."""
    try:
        kinds = list(_messages(body))
    except (struct.error, ValueError, IndexError):
        raise malformed() from None
    if not kinds or kinds[0] != _SCHEMA or any(kind != _BATCH for kind in kinds[1:]):
        raise malformed()


def _messages(body: bytes) -> Iterator[int]:
    """Kind of each message of a stream, walked by the lengths that they state. Raises ValueError, struct.error, IndexError."""
    at, ended = 0, False
    while at < len(body):
        mark, size = struct.unpack_from("<Ii", body, at)
        if mark != 0xFFFFFFFF or size < 0 or size % 8:
            raise ValueError
        at += 8
        if size == 0:
            ended = True
            break
        head = memoryview(body)[at : at + size]
        if len(head) != size:
            raise ValueError
        kind, header, length = _head(head)
        if kind == _BATCH and _field(head, header, _COMPRESSION) is not None:
            raise ValueError
        if not 0 <= length <= len(body) - at - size:
            raise ValueError
        yield kind
        at += size + length
    if not ended or at != len(body):
        raise ValueError


def _head(head: memoryview) -> tuple[int, int, int]:
    """Kind of a message, where the table of its head begins, and how many bytes of body follow."""
    message = int(struct.unpack_from("<I", head)[0])
    kind, header, length = (_field(head, message, at) for at in (1, 2, 3))
    if kind is None or header is None:
        raise ValueError
    table = header + int(struct.unpack_from("<I", head, header)[0])
    return head[kind], table, 0 if length is None else int(struct.unpack_from("<q", head, length)[0])


def _field(head: memoryview, table: int, number: int) -> int | None:
    """Place of a field in a flatbuffers table; None where it is left out."""
    (back,) = struct.unpack_from("<i", head, table)
    fields = table - back
    if fields < 0:
        raise ValueError
    (size,) = struct.unpack_from("<H", head, fields)
    at = 4 + 2 * number
    if at + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", head, fields + at)
    return table + int(offset) if offset else None


def said_names(said: Mapping[str, str], field: str) -> tuple[str, ...]:
    """Texts that a stream's metadata list under a name. Raises UnavailableError ``answer_malformed``."""
    try:
        value = json.loads(said.get(field, "[]"))
    except (ValueError, RecursionError):
        raise malformed() from None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise malformed()
    return tuple(value)


def said_number(said: Mapping[str, str], field: str) -> int:
    """Number that a stream's metadata have under a name. Raises UnavailableError ``answer_malformed``."""
    try:
        return _number(said.get(field, ""), 1 << 29)
    except ValueError:
        raise malformed() from None


def _pyarrow() -> Any:
    """The library of the extra. Raises UnavailableError ``extra_missing``."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - of an extra: importing vault stays light
    except ImportError:
        raise UnavailableError("extra_missing", "pyarrow is not installed", hint="pip install 'genovault[client]'") from None
    import pyarrow.ipc  # noqa: PLC0415 - as above; ``pa.ipc`` is not loaded by pyarrow itself

    return pa
