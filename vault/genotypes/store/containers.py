"""Containers: the sealed blocks of one group of subjects over one chunk, behind a sealed table of their lengths.

docs/formats/genotypes.md §4, docs/design/genotypes.md §5. A container is written once and never changed; a block opens with its
subject's block key alone, and only in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import zstandard
from numpy.typing import NDArray

from vault.crypto.context import encode_context
from vault.crypto.envelope import Binding, open_blob, seal_blob
from vault.crypto.primitives import TAG_BYTES, open_each, seal_each, sha256
from vault.crypto.secret import Secret
from vault.errors import GenovaultError, IntegrityError, UsageError
from vault.genotypes.codec.format_constants import Payload
from vault.genotypes.store.block_access import GroupAccess
from vault.ids import ContainerId, DatasetId, PartId, RandomBytes, VaultId, new_id

FORMAT = 1
NONCE_PREFIX_BYTES = 8
MAX_SLOTS = 1 << 24  # bounds what a length table may unpack to
CLOSE_BYTES = 64 * 1024  # two wanted blocks no further apart than this are read in one go

Read = Callable[[int, int], Payload]
"""``read(offset, length)``: that many bytes of the container (fewer only if it is shorter)."""


@dataclass(frozen=True)
class ContainerRef:
    """A container as the books keep it, with all that its seals are bound to. ``length_key_id``: key of its length table."""

    container_id: ContainerId
    nonce8: bytes
    vault_id: VaultId
    dataset_id: DatasetId
    part_id: PartId
    chunk: int
    group: int
    n_slots: int
    header_bytes: int
    total_bytes: int
    sha256: bytes
    length_key_id: bytes

    @cached_property
    def aad(self) -> bytes:
        """SHA-256 of the canonical context: the associated data of every block."""
        return sha256(
            encode_context(
                "genovault/container/v1",
                self.vault_id,
                self.dataset_id,
                self.part_id,
                self.chunk,
                self.group,
                FORMAT,
                self.container_id,
            )
        )

    def length_binding(self) -> Binding:
        """Binding of the sealed length table."""
        return Binding(
            vault_id=self.vault_id,
            collection="block-lengths",
            record_id=self.aad,
            key_id=self.length_key_id,
            key_version=1,
            content_type=f"genovault/block-lengths/{FORMAT}",
        )


def seal_container(
    block_keys: Sequence[bytes],
    payloads: Sequence[Payload],
    *,
    vault_id: VaultId,
    dataset_id: DatasetId,
    part_id: PartId,
    chunk: int,
    group: int,
    length_key_id: bytes,
    length_key: Secret,
    random: RandomBytes,
) -> tuple[bytes, ContainerRef]:
    """The container's bytes and what to remember of it. Keys and payloads in slot order.

    Raises:
        UsageError: ``container_slots``: no slots, too many, or as many keys as payloads there are not.
    """
    if len(block_keys) != len(payloads) or not 0 < len(payloads) <= MAX_SLOTS:
        raise UsageError("container_slots", "a container needs one key and one payload for each of its slots")
    draft = ContainerRef(
        container_id=ContainerId(new_id(random)),
        nonce8=random(NONCE_PREFIX_BYTES),
        vault_id=vault_id,
        dataset_id=dataset_id,
        part_id=part_id,
        chunk=chunk,
        group=group,
        n_slots=len(payloads),
        header_bytes=0,
        total_bytes=0,
        sha256=b"",
        length_key_id=length_key_id,
    )
    nonces = [draft.nonce8 + slot.to_bytes(4, "big") for slot in range(len(payloads))]
    blocks = seal_each(block_keys, nonces, payloads, draft.aad)
    lengths = np.fromiter(map(len, blocks), np.uint32, len(blocks))
    header = seal_blob(length_key, draft.length_binding(), _pack_lengths(lengths), random=random)
    data = b"".join([header, *blocks])
    return data, replace(draft, header_bytes=len(header), total_bytes=len(data), sha256=sha256(data))


def open_lengths(ref: ContainerRef, header: Payload, length_key: Secret) -> NDArray[np.int64]:
    """``start`` int64[n_slots + 1]: where each slot's block begins and the last one ends.

    Raises:
        IntegrityError: ``block_broken``.
    """
    try:
        lengths = _unpack_lengths(open_blob(length_key, ref.length_binding(), bytes(header)), ref.n_slots)
    except GenovaultError:
        raise container_broken(ref) from None
    start = np.zeros(ref.n_slots + 1, np.int64)
    np.cumsum(lengths, out=start[1:])
    start += ref.header_bytes
    if int(start[-1]) != ref.total_bytes or int(lengths.min()) < TAG_BYTES:
        raise container_broken(ref)
    return start


def open_blocks(
    ref: ContainerRef, read: Read, length_key: Secret, wanted: GroupAccess, *, start: NDArray[np.int64] | None = None
) -> tuple[list[bytes], NDArray[np.int64]]:
    """Payloads of the k slots asked for, in their order, and their lengths int64[k] in bytes.

    ``start``: what ``open_lengths`` gave earlier for this container, to save reading it again.

    Raises:
        IntegrityError: ``block_broken``: wrong key, or a container that is altered, truncated, swapped or replayed.
        UsageError: ``container_slots``: a slot lies outside the container.
    """
    slots = wanted.slots
    if not len(slots):
        return [], np.zeros(0, np.int64)
    if int(slots[-1]) >= ref.n_slots:
        raise UsageError("container_slots", "a slot lies outside the container")
    whole: Payload | None = None
    if start is None:
        if 4 * len(slots) >= ref.n_slots:
            whole = _read_exactly(ref, read, 0, ref.total_bytes)
        header = memoryview(whole)[: ref.header_bytes] if whole is not None else _read_exactly(ref, read, 0, ref.header_bytes)
        start = open_lengths(ref, header, length_key)
    begins, ends = start[slots], start[slots + 1]
    sealed = _sealed_blocks(ref, read, begins, ends, whole)
    prefix = ref.nonce8
    nonces = [prefix + number for number in wanted.numbers]
    try:
        return open_each(wanted.openers, nonces, sealed, ref.aad), ends - begins - TAG_BYTES
    except IntegrityError:
        raise container_broken(ref) from None


def container_broken(ref: ContainerRef) -> IntegrityError:
    """The one error of everything that a stored container can have wrong; it names the place, nothing of the content."""
    return IntegrityError(
        "block_broken",
        f"stored genotypes are not what was written: chunk {ref.chunk}, group {ref.group}",
        hint="restore the object from a backup, or import the dataset again",
    )


def _sealed_blocks(
    ref: ContainerRef, read: Read, begins: NDArray[np.int64], ends: NDArray[np.int64], whole: Payload | None
) -> list[Payload]:
    """The sealed blocks between the offsets ``begins`` and ``ends`` (int64[k], bytes), fetched in few contiguous reads."""
    if whole is not None:
        return [whole[a:b] for a, b in zip(begins.tolist(), ends.tolist(), strict=True)]
    (breaks,) = (begins[1:] - ends[:-1] > CLOSE_BYTES).nonzero()
    edges = [0, *(breaks + 1).tolist(), len(begins)]
    found: list[Payload] = []
    for a, b in pairwise(edges):
        offset = int(begins[a])
        data = _read_exactly(ref, read, offset, int(ends[b - 1]) - offset)
        found += [data[x:y] for x, y in zip((begins[a:b] - offset).tolist(), (ends[a:b] - offset).tolist(), strict=True)]
    return found


def _pack_lengths(lengths: NDArray[np.uint32]) -> bytes:
    """``format u8 ‖ zstd(four byte planes of the little-endian u32 lengths)``."""
    planes = np.ascontiguousarray(lengths.astype("<u4").view(np.uint8).reshape(-1, 4).T)
    return bytes([FORMAT]) + zstandard.ZstdCompressor(level=9).compress(planes.tobytes())


def _unpack_lengths(data: bytes, n_slots: int) -> NDArray[np.int64]:
    """int64[n_slots]: the reverse of ``_pack_lengths``. Raises IntegrityError ``block_broken``."""
    if not data or data[0] != FORMAT or n_slots > MAX_SLOTS:
        raise IntegrityError("block_broken", "a length table has an unknown format")
    try:
        if zstandard.frame_content_size(data[1:]) != 4 * n_slots:
            raise IntegrityError("block_broken", "a length table does not fit its container")
        planes = zstandard.ZstdDecompressor().decompress(data[1:], max_output_size=4 * n_slots, allow_extra_data=False)
    except zstandard.ZstdError:
        raise IntegrityError("block_broken", "a length table does not unpack") from None
    return np.ascontiguousarray(np.frombuffer(planes, np.uint8).reshape(4, n_slots).T).view("<u4").reshape(-1).astype(np.int64)


def _read_exactly(ref: ContainerRef, read: Read, offset: int, length: int) -> Payload:
    data = read(offset, length)
    if len(data) != length:
        raise container_broken(ref)
    return data
