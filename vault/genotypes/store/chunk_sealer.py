"""Sealing: encoded chunks into containers and site tables, put under new random names (docs/formats/genotypes.md §4, §5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from vault.crypto.envelope import seal_blob
from vault.crypto.primitives import sha256
from vault.crypto.secret import Secret
from vault.errors import UsageError
from vault.genotypes.codec.encoded_chunk import EncodedChunk
from vault.genotypes.codec.format_constants import Payload
from vault.genotypes.sites import Sites
from vault.genotypes.store.containers import ContainerRef, seal_container
from vault.genotypes.store.part_records import ChunkRecord, Owner, Place, TrackRecord
from vault.genotypes.store.site_tables import TRACKS_FROM, SiteTable
from vault.ids import KeyId, RandomBytes, new_id

Put = Callable[[str, bytes], None]
"""``put(name, data)``: durable when it returns; called from one thread of the writer's. Names are new each time."""

NewTableKey = Callable[[], tuple[KeyId, Secret]]
"""A fresh random 32-byte key and its id, already kept where the caller keeps such keys. Called as ``Put`` is."""


class ChunkSealer:
    """Seals encoded chunks of one owner and puts them under new random names.

    ``places``: one per subject of the chunks, in their order. Raises UsageError ``part_places`` as ``PartWriter`` does.
    """

    def __init__(
        self, owner: Owner, places: Sequence[Place], *, put: Put, new_table_key: NewTableKey, random: RandomBytes
    ) -> None:
        self._owner, self._put, self._new_key, self._random = owner, put, new_table_key, random
        self._groups = _by_group(places)
        self.length_key_id, self._length_key = new_table_key()
        self.stored_bytes = 0

    def seal(self, ordinal: int, sites: Sites, encoded: EncodedChunk) -> ChunkRecord:
        """One container for each group, then the site table."""
        refs, names = self._containers(ordinal, encoded)
        key_id, key = self._new_key()
        table = seal_blob(
            key,
            self._owner.table_binding(ordinal, 1, key_id),
            SiteTable(sites, encoded.coding).to_bytes(),
            random=self._random,
        )
        name = self.store("sites", table)
        return ChunkRecord(ordinal, len(sites), name, len(table), sha256(table), key_id, 1, refs, names)

    def seal_tracks(self, number: int, bins: range, tracks: Sequence[Mapping[int, bytes]], keys: Sequence[bytes]) -> TrackRecord:
        """One container for each group. ``tracks``: of each subject the encoded bins, under ``keys``; a bin without any is empty."""
        refs: list[ContainerRef] = []
        names: list[str] = []
        for group, (columns, _) in enumerate(self._groups):
            data, ref = self._container(
                [keys[c] for _ in bins for c in columns],
                [tracks[c].get(at, b"") for at in bins for c in columns],
                chunk=TRACKS_FROM + number,
                group=group,
            )
            names.append(self.store("tracks", data))
            refs.append(ref)
        return TrackRecord(number, tuple(refs), tuple(names))

    def store(self, kind: str, data: bytes) -> str:
        """Put an object under a new random name."""
        name = f"{self._owner.part_id.hex()}/{new_id(self._random).hex()}.{kind}"
        self._put(name, data)
        self.stored_bytes += len(data)
        return name

    def _containers(self, ordinal: int, encoded: EncodedChunk) -> tuple[tuple[ContainerRef, ...], tuple[str, ...]]:
        payloads = encoded.split()
        refs: list[ContainerRef] = []
        names: list[str] = []
        for group, (columns, keys) in enumerate(self._groups):
            data, ref = self._container(keys, [payloads[c] for c in columns], chunk=ordinal, group=group)
            names.append(self.store("blocks", data))
            refs.append(ref)
        return tuple(refs), tuple(names)

    def _container(
        self, keys: Sequence[bytes], payloads: Sequence[Payload], *, chunk: int, group: int
    ) -> tuple[bytes, ContainerRef]:
        return seal_container(
            keys,
            payloads,
            vault_id=self._owner.vault_id,
            dataset_id=self._owner.dataset_id,
            part_id=self._owner.part_id,
            chunk=chunk,
            group=group,
            length_key_id=self.length_key_id,
            length_key=self._length_key,
            random=self._random,
        )


def _by_group(places: Sequence[Place]) -> list[tuple[list[int], list[bytes]]]:
    """For each group its (sample columns, block keys) in slot order."""
    groups: dict[int, dict[int, int]] = {}
    for column, place in enumerate(places):
        groups.setdefault(place.group, {})[place.slot] = column
    complete = sum(map(len, groups.values())) == len(places) and set(groups) == set(range(len(groups)))
    if not groups or not complete or any(set(slots) != set(range(len(slots))) for slots in groups.values()):
        raise UsageError("part_places", "groups and slots must run from 0 without a gap, one place for each column")
    ordered = [[groups[g][slot] for slot in range(len(groups[g]))] for g in range(len(groups))]
    return [(columns, [places[c].block_key for c in columns]) for columns in ordered]
