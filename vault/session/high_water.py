"""High-water marks: how far the books of a vault are known to have come, kept where the books are not.

They lie in the key database, under a MAC whose key every slot opens, and in the keystore, signed with it, as of its last change. An
opening compares the books with both, so that older books, or books of another incarnation of the vault, are refused; and it compares
the keys with what the books say of them. Only stores that were all put back to one moment pass: that takes an anchor, or a checkpoint
that somebody kept.

Marks are kept at each opening and closing, with each change of the keystore, of the places and of the anchors, and during long work
with a checkpoint, at most once in ``EVERY``. Books that a killed process left may be ahead of them, never behind.

    mac = HMAC-SHA256(key, context("genovault/high-water/v1", vault id, marks, epoch))        key: an epoch of log-append
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, NoReturn

from sqlalchemy import bindparam, delete, insert, select

from vault.audit.head_seal import EpochKey
from vault.audit.log_head import last_note, read_head, tree_at
from vault.crypto.context import encode_context
from vault.crypto.primitives import constant_time_equal, hmac_sha256
from vault.crypto.secret import Secret
from vault.errors import GenovaultError, IntegrityError
from vault.session.authentic_books import AuthenticBooks
from vault.storage.audit_tables import AuditOriginRow
from vault.storage.book_tables import ErasureRow, VaultRow
from vault.storage.compiled_statements import Statement
from vault.storage.database import Database, Transaction
from vault.storage.key_tables import ErasedRow, HighWaterRow

EVERY = timedelta(seconds=60)  # between marks that checkpoints of one process leave
NEWER_KEYS = "put the newest key database back; an older one may open whom the books know to be erased"
NEWER_BOOKS = "put the newest books back; if they are lost, genovault restore SRC beside these keys"

_VAULT = Statement(select(VaultRow.incarnation, VaultRow.origin, VaultRow.keystore_seq, VaultRow.settings))
_STORED = Statement(select(HighWaterRow.marks, HighWaterRow.epoch, HighWaterRow.mac))
_ORIGIN = Statement(select(AuditOriginRow.origin).where(AuditOriginRow.base == bindparam("base")))


@dataclass(frozen=True)
class Marks:
    """Extent of the books at one time."""

    incarnation: str  # hex
    origin: str  # of the newest log
    base: int  # its first entry's number
    size: int  # its entries
    root: str  # over them, hex
    checkpoint: str  # newest signed note of that log; empty before the first
    changes: int  # of the collections, all together
    state: str  # digest over the heads of the collections, hex
    erasures: int  # changes of the collection of erasures
    keystore_seq: int  # newest keystore

    @property
    def far(self) -> tuple[int, int]:
        """Entries and changes; both only grow."""
        return self.base + self.size, self.changes

    def to_text(self) -> str:
        """Canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def parse_marks(text: str) -> Marks:
    """Parse the marks of an authentic text. Raises IntegrityError ``marks_malformed``."""
    try:
        document: dict[str, Any] = json.loads(text)
        return Marks(**document)
    except (ValueError, TypeError):
        raise IntegrityError("marks_malformed", "the marks of this vault were written by another version") from None


class HighWater:
    """Reads, compares and keeps the marks of one vault.

    Args:
        append_key: the MAC's key; None in a vault that was not upgraded, which has no marks.
        keystore: the newest keystore's number and marks; with True, as it now lies on disk.
    """

    def __init__(
        self,
        books: AuthenticBooks,
        keys: Database,
        vault_id: bytes,
        *,
        append_key: EpochKey | None,
        keystore: Callable[[bool], tuple[int, str]],
    ) -> None:
        self._books = books
        self._keys = keys
        self._vault_id = vault_id
        self._append_key = append_key
        self._keystore = keystore

    def read(self) -> Marks | None:
        """The marks of the key database; None where there are none. Raises IntegrityError ``marks_altered``."""
        with self._keys.read() as tx:
            return self._stored(tx)

    def standing(self) -> Marks:
        """Extent of the books now. Raises IntegrityError as ``AuthenticBooks.read``."""
        with self._books.read() as tx:
            return self._standing(tx)

    def behind(self) -> bool:
        """True if the books are behind the marks, or of another incarnation. Raises as ``read`` and ``standing``."""
        before, now = self.read(), self.standing()
        return before is not None and (before.incarnation != now.incarnation or before.far > now.far)

    def keep(self) -> None:
        """Raise the marks of the key database to where the books are; marks that are further stay.

        Raises:
            IntegrityError: ``other_incarnation``; as ``read`` and ``standing``.
        """
        if self._append_key is None:
            return
        now, before = self.standing(), self.read()
        if before is not None and self._raised(before, now) == before:
            return
        with self._keys.write() as tx:
            before = self._stored(tx)
            self._store(tx, now if before is None else self._raised(before, now))

    def begin_anew(self) -> Marks:
        """Set the marks of the key database to where the books are, whatever they were: for a new incarnation."""
        now = self.standing()
        with self._keys.write() as tx:
            self._store(tx, now)
        return now

    def require_newest(self) -> str:
        """Compare books and keys with each other and with the keystore, then keep the marks; what the books hold of vault.json.

        Raises:
            IntegrityError: ``marks_missing``, ``marks_altered``; ``books_behind``: older books were put back; ``history_rewritten``;
                ``other_incarnation``; ``keys_behind``: older keys were put back; ``keystore_behind``.
        """
        if self._append_key is None:
            return ""
        kept = self.read()  # before the books, and the books last: what others do meanwhile only adds to them
        number, noted = self._keystore(False)
        if kept is None:
            raise IntegrityError(
                "marks_missing",
                "the key database does not say how far the books had come: somebody has removed that",
                hint="compare the log with an anchor or a checkpoint kept elsewhere, then genovault doctor --mend",
            )
        if kept.keystore_seq > number and kept.keystore_seq > self._keystore(True)[0]:
            raise IntegrityError("keystore_behind", "the keystore is older than the keys say", hint="restore the newest keystore")
        with self._books.read() as tx:
            now = self._standing(tx)
            settings = _VAULT.rows(tx)[0][3] or ""
            for marks in (kept, *([parse_marks(noted)] if noted else [])):
                self._require_reached(tx, now, marks)
            if now.keystore_seq > kept.keystore_seq:
                _older_keys()
        if now.erasures != kept.erasures:
            self._require_erased()
        if self._raised(kept, now) != kept:  # a killed process left books that are ahead
            self.keep()
        return settings

    def _require_reached(self, tx: Transaction, now: Marks, marks: Marks) -> None:
        """Hold the books against marks that were kept elsewhere."""
        if now.incarnation != marks.incarnation:
            raise IntegrityError(
                "other_incarnation",
                "books, keys and keystore are not of one incarnation of this vault: one of them is from before a restore, or from a copy",
                hint="put the parts that belong together back; genovault audit continue, if the others are lost",
            )
        ahead = marks.far[0] > now.far[0] or marks.changes > now.changes
        if ahead or (marks.changes == now.changes and marks.state != now.state):
            raise IntegrityError(
                "books_behind",
                f"the books are older than this vault has been: {now.far[0]} entries of the log, of {marks.far[0]} that were seen",
                hint=NEWER_BOOKS,
            )
        if not self._began_with(tx, now, marks):
            raise IntegrityError(
                "history_rewritten",
                f"the first {marks.size} entries of the audit log are not those that this vault has had",
                hint=NEWER_BOOKS,
            )

    def _began_with(self, tx: Transaction, now: Marks, marks: Marks) -> bool:
        """True if the log's first entries are those that the marks speak of."""
        if (now.origin, now.base, now.size) == (marks.origin, marks.base, marks.size):
            return now.root == marks.root
        origins = _ORIGIN.rows(tx, base=marks.base)
        return [marks.origin] == [row[0] for row in origins] and tree_at(tx, marks.base, marks.size).root().hex() == marks.root

    def _require_erased(self) -> None:
        """Refuse keys that do not know of an erasure which the books know to be done."""
        with self._books.read() as tx:
            done = set(tx.scalars(select(ErasureRow.erasure_id)))
        with self._keys.read() as tx:
            known = set(tx.scalars(select(ErasedRow.erasure_id)))
        if done - known:
            _older_keys()

    def _standing(self, tx: Transaction) -> Marks:
        incarnation, origin, keystore_seq, _ = _VAULT.rows(tx)[0]
        counters = self._books.counters(tx)
        head = read_head(tx)  # its MAC was checked with the counters, which it binds
        return Marks(
            incarnation=(incarnation or b"").hex(),
            origin=origin,
            base=head.base,
            size=head.tree.size,
            root=head.tree.root().hex(),
            checkpoint=last_note(tx, head.base) or "",
            changes=sum(counters.values()),
            state=(head.state or b"").hex(),
            erasures=counters.get(ErasureRow.__tablename__, 0),
            keystore_seq=keystore_seq,
        )

    def _raised(self, before: Marks, now: Marks) -> Marks:
        """The further of two marks; neither field goes back."""
        if before.incarnation != now.incarnation:
            raise IntegrityError(
                "other_incarnation", "the vault was restored meanwhile by somebody else", hint="open the vault again"
            )
        further = now if now.far >= before.far else before
        newest = max(before.keystore_seq, now.keystore_seq, self._keystore(False)[0])
        return replace(further, keystore_seq=newest, erasures=max(before.erasures, now.erasures))

    def _stored(self, tx: Transaction) -> Marks | None:
        rows = _STORED.rows(tx)
        if not rows or self._append_key is None:
            return None
        text, epoch, mac = rows[0]
        typed = len(rows) == 1 and (type(text), type(epoch), type(mac)) == (str, int, bytes)  # SQLite keeps whatever is written
        try:
            _, key = self._append_key(epoch)
            held = typed and constant_time_equal(self._mac(key, text, epoch), mac)
        except GenovaultError as error:
            if not isinstance(error, IntegrityError) and error.code != "epoch_gone":
                raise
            held = False
        if not held:
            raise IntegrityError(
                "marks_altered",
                "what the key database says of the books was not written by a session of this vault",
                hint="put the newest key database back",
            )
        return parse_marks(text)

    def _store(self, tx: Transaction, marks: Marks) -> None:
        if self._append_key is None:
            return
        epoch, key = self._append_key(None)
        text = marks.to_text()
        tx.execute(delete(HighWaterRow))
        tx.execute(insert(HighWaterRow), [{"id": 1, "marks": text, "epoch": epoch, "mac": self._mac(key, text, epoch)}])

    def _mac(self, key: Secret, text: str, epoch: int) -> bytes:
        return hmac_sha256(key.reveal(), encode_context("genovault/high-water/v1", self._vault_id, text, epoch))


def _older_keys() -> NoReturn:
    raise IntegrityError("keys_behind", "the key database is older than the books", hint=NEWER_KEYS)
