"""Details: the part of an entry for auditors only, sealed to their public key (``docs/formats/audit.md`` §5).

Appending needs no secret of the vault. Each process draws a random session key, seals it to the audit-read public key (HPKE, RFC
9180) and seals details under it; the row with the sealed session key is written in the transaction of the first detail. Opening
needs the audit-read private key. The session id is public: the leaf has it as ``boot.id``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from sqlalchemy import bindparam, select

from vault.crypto.context import encode_context
from vault.crypto.envelope import Binding, Sealer, open_blob
from vault.crypto.primitives import KEY_BYTES, hpke_open, hpke_seal
from vault.crypto.secret import Secret
from vault.ids import ID_BYTES, Clock, RandomBytes
from vault.storage.audit_tables import AuditDetailRow, AuditSessionRow
from vault.storage.base import bulk_insert, insert_rows
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

_SESSION = Statement(select(AuditSessionRow.session_id).where(AuditSessionRow.session_id == bindparam("session_id")))


class DetailSession:
    """Detail key of one process, with its public id and running entry number. Thread-safe; a forked child needs its own."""

    def __init__(self, vault_id: bytes, audit_read_public: bytes, *, random: RandomBytes) -> None:
        self.session_id = random(ID_BYTES)
        self.audit_read_public = audit_read_public
        self.process = os.getpid()
        self.stored = False  # True once this session's row is known to be on disk
        self._vault_id = vault_id
        self._key = Secret(random(KEY_BYTES))
        self._sealer = Sealer(self._key, _binding(vault_id, self.session_id, b""), random=random)
        self._seq = 0
        self._lock = threading.Lock()

    def next_seq(self) -> int:
        """Number of the next entry that this process prepares, from 0."""
        with self._lock:
            self._seq += 1
            return self._seq - 1

    def store(self, tx: Transaction, details: Sequence[tuple[int, bytes, bytes]], *, clock: Clock) -> None:
        """Seal and write details (entry number, event id, salt ‖ detail) in the entries' transaction, with this session's row."""
        if not details:
            return
        self._store_itself(tx, clock)
        sealed = [(index, self.session_id, self.seal(event_id, salted)) for index, event_id, salted in details]
        insert_rows(tx, AuditDetailRow, ("idx", "session_id", "sealed"), sealed)

    def sealed_key(self) -> bytes:
        """The session key, HPKE-sealed to the audit-read public key."""
        return hpke_seal(self.audit_read_public, _info(self._vault_id, self.session_id), self._key.reveal())

    def seal(self, event_id: bytes, salted_detail: bytes) -> bytes:
        """Seal a salted detail as a blob bound to its 16-byte event id."""
        return self._sealer.seal(event_id, salted_detail)

    def _store_itself(self, tx: Transaction, clock: Clock) -> None:
        """Write this session's row if it is not stored."""
        # Looked up each time until a commit is known: the transaction that first wrote the row may have been rolled back.
        if self.stored or _SESSION.rows(tx, session_id=self.session_id):
            return
        row = {
            "session_id": self.session_id,
            "audit_read_public": self.audit_read_public,
            "sealed_key": self.sealed_key(),
            "created": to_micros(clock()),
        }
        bulk_insert(tx, AuditSessionRow, [row])


def open_session(private: Secret, sealed_key: bytes, *, vault_id: bytes, session_id: bytes) -> Secret:
    """Open a session's key with the audit-read private key. Raises IntegrityError as ``hpke_open``."""
    return Secret(hpke_open(private, _info(vault_id, session_id), sealed_key))


def open_detail(key: Secret, sealed: bytes, *, vault_id: bytes, session_id: bytes, event_id: bytes) -> bytes:
    """Open a detail with its session's key: salt[16] ‖ canonical JSON. Raises IntegrityError as ``open_blob``."""
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
