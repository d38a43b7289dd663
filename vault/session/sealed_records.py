"""Records of the books, sealed under a key of the books branch (docs/design/keys.md)."""

from __future__ import annotations

from vault.crypto.envelope import Binding, blob_key, open_blob, seal_blob
from vault.crypto.keyring import Branch
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
