"""Parts: one import's chunks, sealed and put while the file is still being read.

Objects that a part consists of (docs/formats/genotypes.md §1): for each chunk a sealed site table and one container per group of
subjects; one sealed directory; one sealed object of carrier counts. Their names are random. ``part_records`` are what the books keep; SQL and object stores are the
caller's. Nothing is shared between two parts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from vault.crypto.envelope import seal_blob
from vault.crypto.primitives import sha256
from vault.errors import UsageError
from vault.genotypes.codec.carrier_counts import CarrierCounts
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.mates import mates_of
from vault.genotypes.store.chunk_sealer import ChunkSealer, NewTableKey, Put
from vault.genotypes.store.part_counts import PartCarriers
from vault.genotypes.store.part_records import ChunkRecord, CountsRecord, Owner, PartRecord, Place, TrackRecord
from vault.genotypes.store.site_tables import PartDirectory, TrackRun
from vault.ids import RandomBytes

_WAITING = 2  # chunks that are being sealed or wait for it, while the next one is read


class PartWriter:
    """Writes one part. Use as a context manager: leaving it early drops what was not yet written; the objects already put are
    the caller's to sweep.

    ``places``: one for each of the chunks' people, in their order.

    Raises:
        UsageError: ``part_places``: no place, or groups and slots that do not run from 0 without a gap.
    """

    def __init__(
        self,
        owner: Owner,
        places: Sequence[Place],
        *,
        put: Put,
        new_table_key: NewTableKey,
        random: RandomBytes,
    ) -> None:
        self._owner, self._new_key, self._random = owner, new_table_key, random
        self._n = len(places)
        self._sealer = ChunkSealer(owner, places, put=put, new_table_key=new_table_key, random=random)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="part-sealer")
        self._contig, self._last = "", 0
        # what the sealing thread holds: directory and carrier counts so far
        self._contigs: dict[str, int] = {}
        self._rows: list[tuple[int, int, int, int, int]] = []
        self._mates: list[bool] = []
        self._counts: list[bytes] = []
        self._tracks: list[TrackRun] = []
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def write(self, chunks: Iterable[SiteChunk]) -> Iterator[ChunkRecord]:
        """Take the chunks; yield each one's record once its objects are put.

        While the next chunk is read, another thread seals and puts those before; at most a few wait.

        Raises:
            UsageError: ``part_places``: a chunk with another number of people. ``part_order``: positions that go back or a contig that
                comes back (readers of files refuse those, with the line).
            and whatever ``chunks``, ``put`` and ``new_table_key`` raise.
        """
        waiting: deque[Future[ChunkRecord]] = deque()
        seen: set[str] = set()
        for chunk in chunks:
            self._check(chunk, seen)
            waiting.append(self._thread.submit(self._write_chunk, chunk))
            while len(waiting) > _WAITING or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        self._ended = True

    def write_tracks(self, contig: str, bins: range, tracks: Sequence[Mapping[int, bytes]], keys: Sequence[bytes]) -> TrackRecord:
        """Seal the tracks of a run of bins of a contig, after ``write`` has come to its end; the record, once its objects are put.

        ``tracks``: of each of the people the encoded bins, to be sealed under ``keys``. Raises as ``directory``.
        """
        self.directory()
        number = self._contigs.setdefault(contig, len(self._contigs))
        self._tracks.append(TrackRun(number, bins.start, len(bins)))
        return self._sealer.seal_tracks(len(self._tracks) - 1, bins, tracks, keys)

    def directory(self) -> PartDirectory:
        """The part's directory, after ``write`` has come to its end.

        Raises:
            UsageError: ``part_unfinished``.
        """
        if not self._ended:
            raise UsageError("part_unfinished", "the part is not written to its end")
        return PartDirectory.from_rows(tuple(self._contigs), self._rows, self._mates, self._tracks)

    def finish(self) -> PartRecord:
        """Write directory and carrier counts, after ``write`` has come to its end; the part's record. Raises as ``directory``."""
        sealer, directory = self._sealer, self.directory()
        counts = self._finish_counts()
        key_id, key = self._new_key()
        data = seal_blob(key, self._owner.directory_binding(key_id), directory.to_bytes(), random=self._random)
        name = sealer.store("directory", data)
        return PartRecord(
            part_id=self._owner.part_id,
            n_subjects=self._n,
            n_sites=int(directory.n_sites.sum()),
            n_chunks=len(directory),
            total_bytes=sealer.stored_bytes,
            directory_name=name,
            directory_bytes=len(data),
            directory_sha256=sha256(data),
            directory_key_id=key_id,
            length_key_id=sealer.length_key_id,
            counts=counts,
        )

    def _finish_counts(self) -> CountsRecord:
        key_id, key = self._new_key()
        plain = PartCarriers(tuple(self._counts)).to_bytes()
        data = seal_blob(key, self._owner.counts_binding(key_id), plain, random=self._random)
        return CountsRecord(self._sealer.store("counts", data), len(data), sha256(data), key_id)

    def _check(self, chunk: SiteChunk, seen: set[str]) -> None:
        if len(chunk.encoded.lengths) != self._n:
            raise UsageError("part_places", "a chunk does not have one column for each place")
        pos = chunk.sites.pos
        if chunk.contig != self._contig:
            if chunk.contig in seen:
                raise UsageError("part_order", "a contig comes back after another one")
            seen.add(chunk.contig)
            self._contig, self._last = chunk.contig, 0
        if int(pos[0]) < self._last or (pos[1:] < pos[:-1]).any():
            raise UsageError("part_order", "positions go back within a contig")
        self._last = int(pos[-1])

    def _write_chunk(self, chunk: SiteChunk) -> ChunkRecord:
        sites = chunk.sites
        ordinal = len(self._rows)
        contig = self._contigs.setdefault(chunk.contig, len(self._contigs))
        self._rows.append((contig, int(sites.pos[0]), int(sites.pos[-1]), chunk.end, len(sites)))
        self._mates.append(len(mates_of(sites)) > 0)
        CarrierCounts.from_bytes(chunk.encoded.carriers)  # another process may have made them
        self._counts.append(chunk.encoded.carriers)
        return self._sealer.seal(ordinal, sites, chunk.encoded)
