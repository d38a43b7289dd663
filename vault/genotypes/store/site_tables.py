"""Site tables and part directories: their plain bytes (``chunk_sealer`` and ``part_writer`` seal them), and the chunks that a region touches.

docs/formats/genotypes.md §5, §6. Parsers are strict: anything off is one error, and every size is bounded before memory is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from policies.loci import Interval
from vault.errors import UsageError
from vault.genotypes.codec.site_coding import MAX_SITES, malformed, unpack
from vault.genotypes.contigs import normal_contig
from vault.genotypes.sites import Sites, TextColumn
from vault.limits import MAX_POSITION

TABLE_VERSION = 1  # sites of one contig: a chunk of a part
RUNS_VERSION = 2  # runs of sites on several contigs: what a panel's blocks are over
DIRECTORY_VERSION = 1
MATES_VERSION = 2  # a directory with chunks that hold mates: the highest bit of their contig numbers is set
TRACKS_VERSION = 3  # as 2, with the runs of bins that the part's tracks are kept in
MAX_TABLE_BYTES = 1 << 30  # unpacked columns of one chunk
MAX_CHUNKS = 1 << 24
TRACKS_FROM = (
    MAX_CHUNKS  # the number that containers of the first run of bins are bound to, and have in the books: behind all chunks'
)
MAX_CONTIGS = 1 << 20
MAX_CONTIG_BYTES = 0xFFFF
MAX_BINS = 1 << 14  # of one contig: 4 Gb of bases

_TABLE_HEAD = np.dtype(
    [("version", "u1"), ("reserved", "u1"), ("contig", "<u2"), ("sites", "<u4"), ("plain", "<u4"), ("packed", "<u4")]
)
_DIRECTORY_HEAD = np.dtype([("version", "u1"), ("reserved", "u1"), ("names", "<u4"), ("contigs", "<u4"), ("chunks", "<u4")])
_DIRECTORY_ROW = np.dtype([("contig", "<u4"), ("first", "<u4"), ("last", "<u4"), ("end", "<u4"), ("sites", "<u4")])
_TRACK_ROW = np.dtype([("contig", "<u4"), ("first", "<u4"), ("bins", "<u4")])
_HAS_MATES = 1 << 31
_LONG = 255  # a text length that does not fit a byte follows in the list of long ones


@dataclass(frozen=True)
class SiteTable:
    """One chunk's sites (positions ascending within runs of one contig) and the coding of its blocks (``coding.Coding`` as bytes)."""

    sites: Sites
    coding: bytes

    def to_bytes(self) -> bytes:
        """The serialised form.

        Raises:
            UsageError: ``site_table_shape``: no sites or too many, positions out of order or range, too large.
        """
        sites, m = self.sites, len(self.sites)
        if not 0 < m <= MAX_SITES:
            raise UsageError("site_table_shape", "a chunk holds 1 to 65,535 sites")
        starts = np.flatnonzero(np.diff(sites.contig, prepend=-1))
        names = [sites.contigs[number].encode() for number in sites.contig[starts].tolist()]
        contig = names[0] if len(starts) == 1 else _run_bytes(names, np.diff(starts, append=m).tolist())
        if len(contig) > MAX_CONTIG_BYTES or len(set(names)) != len(names):
            raise UsageError("site_table_shape", "a chunk's contig names are too long, or one comes back after another")
        steps = np.diff(sites.pos, prepend=0)
        steps[starts] = sites.pos[starts]
        if (steps < 0).any() or int(sites.pos.max()) > MAX_POSITION:
            raise UsageError("site_table_shape", "the positions of a chunk are not ascending or out of range")
        texts = [part for column in (sites.alleles, sites.ids, sites.filters, sites.info) for part in _text_bytes(column)]
        plain = b"".join([_planes(steps.astype("<u4")), *texts])
        if len(plain) > MAX_TABLE_BYTES:
            raise UsageError("site_table_shape", "a chunk's alleles and names are larger than 1 GiB")
        packed = zstandard.ZstdCompressor(level=9).compress(plain)
        version = TABLE_VERSION if len(starts) == 1 else RUNS_VERSION
        head = np.array([(version, 0, len(contig), m, len(plain), len(packed))], _TABLE_HEAD)
        return b"".join([head.tobytes(), contig, packed, self.coding])

    @staticmethod
    def from_bytes(data: bytes) -> SiteTable:
        """The reverse of ``to_bytes``. The coding is checked when it is used.

        Raises:
            IntegrityError: ``site_table_malformed``.
        """
        if len(data) < _TABLE_HEAD.itemsize:
            raise malformed()
        head = np.frombuffer(data[: _TABLE_HEAD.itemsize], _TABLE_HEAD)[0]
        m, plain_bytes = int(head["sites"]), int(head["plain"])
        packed_at = _TABLE_HEAD.itemsize + int(head["contig"])
        coding_at = packed_at + int(head["packed"])
        if head["version"] not in (TABLE_VERSION, RUNS_VERSION) or head["reserved"] or not 0 < m <= MAX_SITES:
            raise malformed()
        if coding_at > len(data) or plain_bytes > MAX_TABLE_BYTES:
            raise malformed()
        cursor = _ColumnReader(np.frombuffer(unpack(data[packed_at:coding_at], plain_bytes), np.uint8))
        steps = cursor.take(4 * m).reshape(4, m).astype(np.int64)
        named = bytes(data[_TABLE_HEAD.itemsize : packed_at])
        contigs, sizes = ((_name(named),), [m]) if head["version"] == TABLE_VERSION else _runs(named, m)
        pos = np.cumsum(steps[0] | steps[1] << 8 | steps[2] << 16 | steps[3] << 24)
        first = np.cumsum([0, *sizes[:-1]])
        pos -= np.repeat(np.append(0, pos)[first], sizes)
        alleles, ids, filters, info = (cursor.text(m) for _ in range(4))
        if cursor.left or int(pos.max()) > MAX_POSITION:
            raise malformed()
        contig = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        return SiteTable(Sites(contigs, contig, pos, alleles, ids, filters, info), data[coding_at:])


class TrackRun(NamedTuple):
    """Bins ``first`` to ``first + bins - 1`` of a contig, whose tracks are kept together. ``contig``: its number in the directory."""

    contig: int
    first: int
    bins: int


@dataclass(frozen=True)
class PartDirectory:
    """The extent of each of a part's c chunks, in order (docs/formats/genotypes.md §6).

    ``contigs``: names in file order; ``contig`` int64[c] indexes them; ``first``, ``last`` int64[c]: POS of the first and
    last site, 1-based; ``end`` int64[c]: the largest position that a site of the chunk reaches (REF length, END); ``n_sites`` int64[c];
    ``has_mates`` bool[c]: a site of the chunk is joined to another place, so that any region may hold it. ``tracks``: of a compacted part,
    in the order of their numbers; its contigs may have tracks and no chunk.
    """

    contigs: tuple[str, ...]
    contig: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    end: NDArray[np.int64]
    n_sites: NDArray[np.int64]
    has_mates: NDArray[np.bool_]
    tracks: tuple[TrackRun, ...] = ()

    def __len__(self) -> int:
        return len(self.contig)

    @staticmethod
    def from_rows(
        contigs: tuple[str, ...],
        rows: Sequence[tuple[int, int, int, int, int]],
        mates: Sequence[bool] | None = None,
        tracks: Sequence[TrackRun] = (),
    ) -> PartDirectory:
        """A directory from (contig, first, last, end, n_sites) of each chunk; ``mates``: which chunks have mates, by default none."""
        table = np.array(rows, np.int64).reshape(-1, 5)
        has_mates = np.array(mates, np.bool_) if mates is not None else np.zeros(len(table), np.bool_)
        contig, first, last, end, n_sites = (np.ascontiguousarray(column) for column in table.T)
        return PartDirectory(contigs, contig, first, last, end, n_sites, has_mates, tuple(tracks))

    def to_bytes(self) -> bytes:
        """The serialised form."""
        names = b"".join(len(raw).to_bytes(2, "little") + raw for raw in (name.encode() for name in self.contigs))
        rows = np.zeros(len(self), _DIRECTORY_ROW)
        for field, column in zip(
            ("contig", "first", "last", "end", "sites"), (self.contig, self.first, self.last, self.end, self.n_sites), strict=True
        ):
            rows[field] = column
        rows["contig"][self.has_mates] |= _HAS_MATES
        version = TRACKS_VERSION if self.tracks else MATES_VERSION if self.has_mates.any() else DIRECTORY_VERSION
        head = np.array([(version, 0, len(names), len(self.contigs), len(self))], _DIRECTORY_HEAD)
        return head.tobytes() + names + rows.tobytes() + np.array(list(self.tracks), _TRACK_ROW).tobytes()

    @staticmethod
    def from_bytes(data: bytes) -> PartDirectory:
        """The reverse of ``to_bytes``.

        Raises:
            IntegrityError: ``site_table_malformed``.
        """
        if len(data) < _DIRECTORY_HEAD.itemsize:
            raise malformed()
        head = np.frombuffer(data[: _DIRECTORY_HEAD.itemsize], _DIRECTORY_HEAD)[0]
        rows_at = _DIRECTORY_HEAD.itemsize + int(head["names"])
        n_chunks, n_contigs = int(head["chunks"]), int(head["contigs"])
        if (
            head["version"] not in (DIRECTORY_VERSION, MATES_VERSION, TRACKS_VERSION)
            or head["reserved"]
            or n_chunks > MAX_CHUNKS
            or n_contigs > MAX_CONTIGS
        ):
            raise malformed()
        tracks_at = rows_at + n_chunks * _DIRECTORY_ROW.itemsize
        if len(data) < tracks_at or (len(data) > tracks_at) != (head["version"] == TRACKS_VERSION):
            raise malformed()
        contigs = _names(data[_DIRECTORY_HEAD.itemsize : rows_at], n_contigs)
        rows = np.frombuffer(data[rows_at:tracks_at], _DIRECTORY_ROW)
        columns = [rows[field].astype(np.int64) for field in ("contig", "first", "last", "end", "sites")]
        contig, first, last, end, n_sites = columns
        has_mates = (contig & _HAS_MATES).astype(np.bool_) & (head["version"] != DIRECTORY_VERSION)
        contig[has_mates] ^= _HAS_MATES
        if n_chunks and not (
            int(contig.max()) < n_contigs
            and bool((first <= last).all() and (last <= MAX_POSITION).all())
            and bool((n_sites >= 1).all() and (n_sites <= MAX_SITES).all())
        ):
            raise malformed()
        return PartDirectory(contigs, contig, first, last, end, n_sites, has_mates, _track_runs(data[tracks_at:], n_contigs))


def find_chunks(directory: PartDirectory, regions: Sequence[Interval]) -> list[int]:
    """Ordinals, ascending, of the chunks that may hold a site overlapping one of the regions; contigs as the part spells them."""
    touched = directory.has_mates.copy()
    number = {name: i for i, name in enumerate(directory.contigs)}
    for region in regions:
        if region.contig in number:
            here = directory.contig == number[region.contig]
            touched |= here & (directory.first <= region.end) & (directory.end > region.start)  # positions are 1-based
    return np.flatnonzero(touched).tolist()


def find_contig(contigs: Sequence[str], name: str) -> str | None:
    """The part's own spelling of a contig that is written some way ("22", "chr22"); an exact match wins. None if absent."""
    if name in contigs:
        return name
    wanted = normal_contig(name)
    return next((c for c in contigs if normal_contig(c) == wanted), None)


class _ColumnReader:
    """Takes bounded pieces off unpacked columns."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> NDArray[np.uint8]:
        """uint8[size]: the next bytes. Raises IntegrityError ``site_table_malformed`` if fewer are left."""
        if size > self.left:
            raise malformed()
        self._at += size
        return self._data[self._at - size : self._at]

    def text(self, m: int) -> TextColumn:
        """The next m byte strings. Raises as ``take``."""
        lengths = self.take(m).astype(np.int64)
        long = np.flatnonzero(lengths == _LONG)
        lengths[long] = np.frombuffer(self.take(4 * len(long)).tobytes(), "<u4")
        offsets = np.zeros(m + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        if int(offsets[-1]) > self.left:
            raise malformed()
        return TextColumn(self.take(int(offsets[-1])), offsets)


def _text_bytes(column: TextColumn) -> tuple[bytes, bytes, bytes]:
    """Lengths as bytes, the long ones as u32, the text."""
    lengths = np.diff(column.offsets)
    short = np.minimum(lengths, _LONG).astype(np.uint8)
    long = lengths[lengths >= _LONG].astype("<u4")
    return short.tobytes(), long.tobytes(), column.data[column.offsets[0] : column.offsets[-1]].tobytes()


def _run_bytes(names: Sequence[bytes], sizes: Sequence[int]) -> bytes:
    """For each run u32 sites, u16 length, name."""
    return b"".join(
        size.to_bytes(4, "little") + len(name).to_bytes(2, "little") + name for name, size in zip(names, sizes, strict=True)
    )


def _runs(data: bytes, m: int) -> tuple[tuple[str, ...], list[int]]:
    names, sizes, at = [], [], 0
    while at < len(data):
        sizes.append(int.from_bytes(data[at : at + 4], "little"))
        end = at + 6 + int.from_bytes(data[at + 4 : at + 6], "little")
        if end > len(data):
            raise malformed()
        names.append(_name(data[at + 6 : end]))
        at = end
    if len(names) < 2 or min(sizes) < 1 or sum(sizes) != m or len(set(names)) != len(names):
        raise malformed()
    return tuple(names), sizes


def _planes(values: NDArray[np.uint32]) -> bytes:
    """All lowest bytes, then the next …: small steps compress to almost nothing above the first plane."""
    return np.ascontiguousarray(values.view(np.uint8).reshape(-1, 4).T).tobytes()


def _track_runs(data: bytes, n_contigs: int) -> tuple[TrackRun, ...]:
    if len(data) % _TRACK_ROW.itemsize:
        raise malformed()
    found = tuple(TrackRun(*row) for row in np.frombuffer(data, _TRACK_ROW).tolist())
    if any(run.contig >= n_contigs or not 0 < run.bins <= MAX_BINS - run.first for run in found):
        raise malformed()
    return found


def _names(data: bytes, count: int) -> tuple[str, ...]:
    names, at = [], 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + 2], "little")
        if at + 2 + size > len(data):
            raise malformed()
        names.append(_name(data[at + 2 : at + 2 + size]))
        at += 2 + size
    if at != len(data) or len(set(names)) != len(names):
        raise malformed()
    return tuple(names)


def _name(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise malformed() from None
