"""The general sealed blob: committing, chunked, bound to its place (``docs/formats/keys.md`` §2).

::

    blob     = "GVB1" ‖ suite u8 = 1 ‖ key id 16 ‖ key version u32 ‖ salt 24 ‖ commitment 32 ‖ chunk 0 ‖ chunk 1 ‖ …
    derived  = HKDF-Expand-SHA512(key, label ‖ salt ‖ context, 76) = message key 32 ‖ base nonce 12 ‖ commitment 32
    chunk i  = AES-256-GCM(message key, base nonce XOR i, plaintext[16384 i : 16384 (i + 1)], no AAD)

The construction is C2SP chunked-encryption under our own label. The last chunk always holds less than 16,384 bytes of plaintext
and may be empty, so a blob cut at a chunk's edge does not open. The commitment is compared before anything is decrypted: a blob
opens under one key only. Genotype blocks do not use this format (``docs/formats/genotypes.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vault.crypto.context import SHORT_LENGTH, encode_context
from vault.crypto.primitives import NONCE_BYTES, TAG_BYTES, AesGcm, constant_time_equal, hkdf_expand_sha512
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UsageError
from vault.ids import RandomBytes, draw

MAGIC = b"GVB1"
SUITE = 1
LABEL = b"genovault/blob/v1+AES_256_GCM\x00"
HEADER_BYTES = 25  # magic 4, suite 1, key id 16, key version 4
SALT_BYTES = 24
COMMITMENT_BYTES = 32
PREFIX_BYTES = SALT_BYTES + COMMITMENT_BYTES
CHUNK_BYTES = 16_384  # plaintext in a chunk
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES

Read = Callable[[int, int], bytes]
"""``read(offset, length)``: that many bytes of a stored blob."""


@dataclass(frozen=True)
class Binding:
    """Context of a blob. Sealing and opening must agree on every field; only key id and version are written in the blob."""

    vault_id: bytes
    collection: str  # kind of record: "identity", "site-table" …
    record_id: bytes  # record within the collection
    key_id: bytes  # 16 bytes
    key_version: int  # u32
    content_type: str
    subject_id: bytes = b""
    record_version: int = 1
    genome_build: str = ""

    def context(self) -> bytes:
        """Canonical bytes bound into the derivation (``docs/formats/keys.md`` §2.2)."""
        before, after = self.around_record()
        return before + encode_context(self.record_id) + after

    def around_record(self) -> tuple[bytes, bytes]:
        """Encoded context before and after the record id and version."""
        return encode_context("genovault/blob/v1", self.vault_id, self.collection), encode_context(
            self.subject_id,
            self.record_version,
            self.key_id,
            self.key_version,
            self.content_type,
            self.genome_build,
            CHUNK_BYTES,
        )

    def header(self) -> bytes:
        """Header of a blob of this binding, 25 bytes.

        Raises:
            UsageError: ``binding_invalid``: the key id is not 16 bytes or the version not a u32.
        """
        if len(self.key_id) != 16 or not 0 <= self.key_version < 1 << 32:
            raise UsageError("binding_invalid", "a blob's key id has 16 bytes and its key version 32 bits")
        return MAGIC + bytes([SUITE]) + self.key_id + self.key_version.to_bytes(4, "big")


def seal_blob(key: Secret, binding: Binding, plaintext: bytes, *, random: RandomBytes) -> bytes:
    """Seal a blob: 97 bytes longer than the plaintext, and 16 more for each whole 16 KiB of it."""
    sealed = seal_chunks(key.reveal(), binding.context(), plaintext, salt=random(SALT_BYTES), label=LABEL)
    return binding.header() + sealed


class Sealer:
    """``seal_blob`` for many records whose bindings differ in nothing else: what they share is encoded once."""

    def __init__(self, key: Secret, binding: Binding, *, random: RandomBytes) -> None:
        self._key = key
        self._header = binding.header()
        self._before, self._after = binding.around_record()
        self._random = random

    def seal(self, record_id: bytes, plaintext: bytes) -> bytes:
        """As ``seal_blob`` with the binding of this record."""
        context = self._before + encode_context(record_id) + self._after
        return self._header + seal_chunks(self._key.reveal(), context, plaintext, salt=self._random(SALT_BYTES), label=LABEL)


class PersonalPlace(NamedTuple):
    """Part of a binding in which the records of many subjects differ, and the subject's key."""

    record_id: bytes  # up to 255 bytes
    subject_id: bytes  # up to 255 bytes
    key_id: bytes  # 16 bytes
    key: Secret  # 32 bytes


def seal_blobs(
    shared: Binding, places: Sequence[PersonalPlace], plaintexts: Iterable[bytes], *, random: RandomBytes
) -> list[bytes]:
    """As ``seal_blob`` for one record of each place; ``shared`` says the rest of the bindings, the version of all keys among it."""
    start, end = MAGIC + bytes([SUITE]), shared.header()[-4:]
    salts = draw(random, len(places), SALT_BYTES)
    return [
        b"".join((start, place.key_id, end, seal_chunks(place.key.reveal(), context, plaintext, salt=salt, label=LABEL)))
        for place, context, salt, plaintext in zip(places, _contexts(shared, places), salts, plaintexts, strict=True)
    ]


def open_blobs(shared: Binding, places: Sequence[PersonalPlace], blobs: Iterable[bytes]) -> list[bytes]:
    """As ``open_blob`` for one record of each place, sealed by ``seal_blobs`` or one by one. Raises as ``open_blob``."""
    start, end = MAGIC + bytes([SUITE]), shared.header()[-4:]
    opened = []
    for place, context, blob in zip(places, _contexts(shared, places), blobs, strict=True):
        if blob[:HEADER_BYTES] != start + place.key_id + end:
            blob_key(blob)
            raise _other_key()
        opened.append(open_chunks(place.key.reveal(), context, memoryview(blob)[HEADER_BYTES:], label=LABEL))
    return opened


def _contexts(shared: Binding, places: Iterable[PersonalPlace]) -> Iterator[bytes]:
    """``Binding.context()`` of each place, with what they share encoded once: this runs for each person of a cohort."""
    before = encode_context("genovault/blob/v1", shared.vault_id, shared.collection)
    version = encode_context(shared.record_version)
    after = encode_context(shared.key_version, shared.content_type, shared.genome_build, CHUNK_BYTES)
    length, join = SHORT_LENGTH, b"".join
    for record, subject, key_id, _ in places:
        own = (length[len(record)], record, length[len(subject)], subject, version, length[len(key_id)], key_id)
        yield join((before, *own, after))


def open_blob(key: Secret, binding: Binding, blob: bytes) -> bytes:
    """Open a blob that was sealed with this key for this binding.

    Raises:
        IntegrityError: ``blob_truncated``, ``blob_format_unknown``, ``blob_key_mismatch`` (the header names another key),
            ``commitment_mismatch`` (another key or another place), ``seal_broken`` (altered content).
    """
    _check_header(binding, blob[:HEADER_BYTES])
    return open_chunks(key.reveal(), binding.context(), memoryview(blob)[HEADER_BYTES:], label=LABEL)


def blob_key(blob: bytes) -> tuple[bytes, int]:
    """Read (key id, key version) from the header, to look the key up. A hint until ``open_blob`` has checked it.

    Raises:
        IntegrityError: ``blob_truncated``, ``blob_format_unknown``.
    """
    if len(blob) < HEADER_BYTES:
        raise _truncated()
    if blob[:4] != MAGIC or blob[4] != SUITE:
        raise IntegrityError("blob_format_unknown", "a sealed blob does not have a known format")
    return blob[5:21], int.from_bytes(blob[21:25], "big")


def open_range(key: Secret, binding: Binding, read: Read, *, size: int, start: int, stop: int) -> bytes:
    """Open plaintext bytes ``start`` to ``stop`` of a stored blob of ``size`` bytes, reading only the chunks it needs.

    The last chunk is opened first, because it alone authenticates the length.

    Raises:
        IntegrityError: as ``open_blob``.
        UsageError: ``range_outside_blob``.
    """
    prefix = _read_exactly(read, 0, HEADER_BYTES + PREFIX_BYTES)
    _check_header(binding, prefix[:HEADER_BYTES])
    chunks = _Chunks.derive(key.reveal(), binding.context(), salt=prefix[HEADER_BYTES : HEADER_BYTES + SALT_BYTES], label=LABEL)
    chunks.check_commitment(prefix[HEADER_BYTES + SALT_BYTES :])
    last, last_bytes = _last_chunk(size - HEADER_BYTES - PREFIX_BYTES)

    def sealed_chunk(index: int) -> bytes:
        length = last_bytes if index == last else SEALED_CHUNK_BYTES
        return _read_exactly(read, HEADER_BYTES + PREFIX_BYTES + index * SEALED_CHUNK_BYTES, length)

    tail = chunks.open(last, sealed_chunk(last))
    if not 0 <= start <= stop <= last * CHUNK_BYTES + len(tail):
        raise UsageError("range_outside_blob", "the range asked for is not inside the blob")
    if start == stop:
        return b""
    first = start // CHUNK_BYTES
    wanted = range(first, (stop - 1) // CHUNK_BYTES + 1)
    plain = b"".join(tail if index == last else chunks.open(index, sealed_chunk(index)) for index in wanted)
    return plain[start - first * CHUNK_BYTES : stop - first * CHUNK_BYTES]


def seal_chunks(key: bytes, context: bytes, plaintext: bytes, *, salt: bytes, label: bytes) -> bytes:
    """Seal as ``salt ‖ commitment ‖ chunks``. The salt must be new: it is an argument for the vectors of other labels."""
    if len(plaintext) < CHUNK_BYTES:
        derived = _derive(key, context, salt, label)
        return b"".join((salt, derived[44:], AesGcm(derived[:32]).seal(derived[32:44], plaintext, b"")))
    chunks = _Chunks.derive(key, context, salt=salt, label=label)
    view = memoryview(plaintext)
    parts = [salt, chunks.commitment]
    parts += [
        chunks.aead.seal(chunks.nonce(index), view[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES], b"")
        for index in range(len(plaintext) // CHUNK_BYTES + 1)
    ]
    return b"".join(parts)


def open_chunks(key: bytes, context: bytes, sealed: bytes | memoryview, *, label: bytes) -> bytes:
    """Open ``salt ‖ commitment ‖ chunks``. Raises as ``open_blob``."""
    last, last_bytes = _last_chunk(len(sealed) - PREFIX_BYTES)
    view = memoryview(sealed)
    chunks = _Chunks.derive(key, context, salt=bytes(view[:SALT_BYTES]), label=label)
    chunks.check_commitment(bytes(view[SALT_BYTES:PREFIX_BYTES]))
    body = view[PREFIX_BYTES:]
    if not last:
        return chunks.open(0, bytes(body))
    plaintext = bytearray(last * CHUNK_BYTES + last_bytes - TAG_BYTES)
    target = memoryview(plaintext)
    for index in range(last + 1):
        part = body[index * SEALED_CHUNK_BYTES : (index + 1) * SEALED_CHUNK_BYTES]
        chunks.aead.open_into(chunks.nonce(index), part, b"", target[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES])
    return bytes(plaintext)


@dataclass(frozen=True)
class _Chunks:
    """Keys of one derivation."""

    aead: AesGcm
    base_nonce: int
    commitment: bytes

    @classmethod
    def derive(cls, key: bytes, context: bytes, *, salt: bytes, label: bytes) -> _Chunks:
        derived = _derive(key, context, salt, label)
        return cls(AesGcm(derived[:32]), int.from_bytes(derived[32:44], "big"), derived[44:])

    def nonce(self, index: int) -> bytes:
        return (self.base_nonce ^ index).to_bytes(NONCE_BYTES, "big")

    def check_commitment(self, commitment: bytes) -> None:
        if not constant_time_equal(commitment, self.commitment):
            raise IntegrityError("commitment_mismatch", "a sealed blob does not belong to this key and place")

    def open(self, index: int, sealed: bytes) -> bytes:
        return self.aead.open(self.nonce(index), sealed, b"")


def _derive(key: bytes, context: bytes, salt: bytes, label: bytes) -> bytes:
    """Derive ``message key 32 ‖ base nonce 12 ‖ commitment 32``."""
    if len(key) != 32:
        raise UsageError("key_length", "a blob's key has 32 bytes")
    return hkdf_expand_sha512(key, label + salt + context, 76)


def _check_header(binding: Binding, header: bytes) -> None:
    """Check that the header has a known format and names the binding's key."""
    blob_key(header)
    if header != binding.header():
        raise _other_key()


def _other_key() -> IntegrityError:
    return IntegrityError("blob_key_mismatch", "a sealed blob names another key than its place does")


def _last_chunk(body_bytes: int) -> tuple[int, int]:
    """(index, sealed length) of the last chunk of a body; exactly one chunking is valid for each length."""
    last, last_bytes = divmod(body_bytes, SEALED_CHUNK_BYTES)
    if body_bytes < 0 or last_bytes < TAG_BYTES:
        raise _truncated()
    return last, last_bytes


def _read_exactly(read: Read, offset: int, length: int) -> bytes:
    data = read(offset, length)
    if len(data) != length:
        raise _truncated()
    return data


def _truncated() -> IntegrityError:
    return IntegrityError("blob_truncated", "a sealed blob is cut short")
