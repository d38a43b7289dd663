"""Details: what only auditors read of an entry, sealed by processes that cannot read it back.

Appending needs no secret of the vault. Each process draws a random session key, seals it (HPKE) to the audit-read public key,
and seals details under it; the row with the sealed session key goes into the transaction of the first detail. Opening needs the
audit-read private key. The session id is public: the leaf names it as ``boot.id``.
"""

from __future__ import annotations

import os
import threading

from vault.crypto.context import encode_context
from vault.crypto.envelope import Binding, open_blob, seal_blob
from vault.crypto.primitives import KEY_BYTES, hpke_open, hpke_seal
from vault.crypto.secret import Secret
from vault.ids import ID_BYTES, RandomBytes


class DetailSession:
    """One process's session: its id, key and running number. Thread-safe; a forked child needs its own."""

    def __init__(self, vault_id: bytes, audit_read_public: bytes, *, random: RandomBytes) -> None:
        self.session_id = random(ID_BYTES)
        self.audit_read_public = audit_read_public
        self.process = os.getpid()
        self._vault_id = vault_id
        self._random = random
        self._key = Secret(random(KEY_BYTES))
        self._seq = 0
        self._lock = threading.Lock()

    def next_seq(self) -> int:
        """The number of the next entry prepared here, from 0."""
        with self._lock:
            self._seq += 1
            return self._seq - 1

    def sealed_key(self) -> bytes:
        """The session key, sealed to the auditors."""
        return hpke_seal(self.audit_read_public, _info(self._vault_id, self.session_id), self._key.reveal())

    def seal(self, event_id: bytes, salted_detail: bytes) -> bytes:
        """A detail as a blob bound to its event."""
        return seal_blob(self._key, _binding(self._vault_id, self.session_id, event_id), salted_detail, random=self._random)


def open_detail(
    private: Secret, sealed_key: bytes, sealed: bytes, *, vault_id: bytes, session_id: bytes, event_id: bytes
) -> bytes:
    """``salt ‖ canonical JSON`` of a detail. Raises IntegrityError as ``hpke_open`` and ``open_blob`` do."""
    key = Secret(hpke_open(private, _info(vault_id, session_id), sealed_key))
    return open_blob(key, _binding(vault_id, session_id, event_id), sealed)


def _info(vault_id: bytes, session_id: bytes) -> bytes:
    return encode_context("genovault/audit-session/v1", vault_id, session_id)


def _binding(vault_id: bytes, session_id: bytes, event_id: bytes) -> Binding:
    return Binding(
        vault_id=vault_id,
        collection="audit-detail",
        record_id=event_id,
        key_id=session_id,
        key_version=1,
        content_type="application/json",
    )
