"""Records of the books, sealed under a key of the books branch (docs/design/keys.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vault.crypto.envelope import Binding, blob_key, open_blob, seal_blob
from vault.crypto.keyring import Branch
from vault.errors import IntegrityError
from vault.ids import KeyId, RandomBytes, VaultId
from vault.session.wrapped_keys import WrappedKeys


class SealedRecords:
    """Seals and opens records of the books branch, bound to vault, collection, record id and version."""

    def __init__(self, keys: WrappedKeys, vault_id: VaultId, *, random: RandomBytes) -> None:
        self._keys = keys
        self._vault_id = vault_id
        self._random = random

    def seal(self, collection: str, record_id: bytes, content: bytes, *, version: int = 1) -> bytes:
        """Seal a record under the newest epoch.

        Raises:
            UnavailableError: ``branch_closed`` without the books branch.
        """
        key = self._keys.branch_key(Branch.BOOKS, collection)
        binding = self._binding(collection, record_id, version, key.key_id, key.version)
        return seal_blob(key.secret, binding, content, random=self._random)

    def open(self, collection: str, record_id: bytes, sealed: bytes, *, version: int = 1) -> bytes:
        """Open a record under the epoch that its header names.

        Raises:
            UnavailableError: ``branch_closed``; ``epoch_gone``. IntegrityError: ``seal_broken``.
        """
        _, epoch = blob_key(sealed)
        key = self._keys.branch_key(Branch.BOOKS, collection, epoch=epoch)
        return open_blob(key.secret, self._binding(collection, record_id, version, key.key_id, epoch), sealed)

    def _binding(self, collection: str, record_id: bytes, version: int, key_id: KeyId, epoch: int) -> Binding:
        return Binding(
            vault_id=self._vault_id,
            collection=collection,
            record_id=record_id,
            record_version=version,
            key_id=key_id,
            key_version=epoch,
            content_type=f"genovault/{collection}/1",
        )


@dataclass(frozen=True)
class SealedRecord:
    """Sealed column of one collection's rows, as text that ``dumps`` makes and ``loads`` reads.

    Clear columns that decide are sealed with the content, under the name ``standing``, and compared when it is opened: an edited
    row does not open.
    """

    collection: str
    dumps: Callable[[Any], str] = json.dumps
    loads: Callable[[str], Any] = json.loads

    def seal(
        self, records: SealedRecords, record_id: bytes | str, content: Any, *, standing: object = None, version: int = 1
    ) -> bytes:
        """Seal a row's content, and beside it the clear columns ``standing``, where given."""
        whole = content if standing is None else {**content, "standing": standing}
        return records.seal(self.collection, _as_bytes(record_id), self.dumps(whole).encode(), version=version)

    def open(
        self, records: SealedRecords, record_id: bytes | str, sealed: bytes, *, standing: object = None, version: int = 1
    ) -> Any:
        """Open a row's content and compare the clear columns ``standing``, where given, with the sealed ones.

        Raises:
            IntegrityError: ``<collection>_altered``: they differ; ``seal_broken``. UnavailableError: as ``SealedRecords.open``.
        """
        content = self.loads(records.open(self.collection, _as_bytes(record_id), sealed, version=version).decode())
        if standing is not None and content["standing"] != standing:
            raise altered(self.collection)
        return content


def altered(collection: str) -> IntegrityError:
    """``<collection>_altered``: a row's clear columns are not those that were sealed."""
    return IntegrityError(f"{collection}_altered", f"a {collection} is not as it was recorded", hint="run genovault doctor")


def _as_bytes(record_id: bytes | str) -> bytes:
    return record_id.encode() if isinstance(record_id, str) else record_id
