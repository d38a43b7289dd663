"""The books, read only as whoever may change them left them.

The first statement of a transaction that names a collection (``collections``) digests the whole of it in that transaction and
compares it with its head, which is signed by its last changer and bound, with all the others, to the head of the log. A
transaction that leaves a collection changed signs its new head, if the role of whoever acts may change it
(``policies.authority``). So no module can read an unauthenticated row of what decides, or change one without a signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, delete, event, inspect

from policies import authority
from vault.errors import IntegrityError, UnavailableError
from vault.session.collection_heads import SETTLED, TOGETHER, CollectionHeads, Heads, Signatory, added_rows
from vault.session.collections import COLLECTIONS, Collection, named_in, reads_only
from vault.storage import migrate
from vault.storage.base import Base
from vault.storage.database import Database, Transaction
from vault.storage.planted import require_sound_lookups

WATCH = "genovault-watch"  # in a connection's info, while a watched transaction uses it
UNUPGRADED = frozenset(
    {"consent_batch", "notice", "lease", "job"}
)  # what a vault of keystore format 1 may still change: withdrawals


@dataclass
class _Watch:
    """One transaction: the heads as it found them, and the collections it has named."""

    connection: Connection
    heads: Heads | None = None
    keystore_seq: int = 0  # of the newest keystore that the books know of
    found: dict[str, bytes] = field(default_factory=dict)  # digest of each collection that was named, as it was found
    written: set[str] = field(default_factory=set)  # collections that a statement has written to
    settled: tuple[int, bytes] | None = None  # last event and head of the consent ledger, where a steward vouches for it
    stated: bool = False  # an entry of this transaction states the number that its state will have
    resting: bool = False  # while the watch itself reads


class AuthenticBooks(Database):
    """A vault's books. As ``Database``, whose transactions see only authentic collections; ``unwatched`` is the database bare."""

    def __init__(self, database: Database, heads: CollectionHeads | None) -> None:
        self.__dict__.update(vars(database))
        self.unwatched = database
        self._signed_heads = heads  # None in a vault of keystore format 1
        self._listeners: list[tuple[Engine, Callable[..., None]]] = [
            (engine, self._before) for engine in {self._reader, self._writer}
        ]
        for engine, listener in self._listeners:
            event.listen(engine, "before_cursor_execute", listener)

    @property
    def upgraded(self) -> bool:
        """True if what decides is signed; False in a vault of keystore format 1."""
        return self._signed_heads is not None

    def close(self) -> None:
        """Return all connections and stop watching."""
        self.stop_watching()
        super().close()

    def stop_watching(self) -> None:
        """Leave the database to others, who may hold it open. Safe to repeat."""
        for engine, listener in self._listeners:
            event.remove(engine, "before_cursor_execute", listener)
        self._listeners = []

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """As ``Database.read``.

        Raises IntegrityError ``collection_altered``, ``log_head_unauthentic`` where a statement names what is not authentic.
        """
        with super().read() as tx, self._watching(tx):
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """As ``Database.write``; what was changed is signed before the commit.

        Raises:
            IntegrityError: as ``read``. RefusedError: ``not_authorised``: the role may not change it.
            UnavailableError: ``upgrade_needed``; ``slot_outdated``: the slot was removed since it was opened.
        """
        with super().write() as tx, self._watching(tx) as watch:
            yield tx
            tx.flush()
            self._sign_changes(tx, watch)

    def adopt(self) -> None:
        """Sign every collection as it stands: for a vault that is new, or upgraded after it was looked over.

        Raises:
            UnavailableError: ``upgrade_needed``; ``slot_outdated``. RefusedError: ``not_authorised``.
        """
        if self._signed_heads is None:
            raise UnavailableError("upgrade_needed", "this vault is of an earlier format", hint="genovault upgrade")
        with super().write() as tx:
            connection = tx.connection()
            every = {one: one.rows(connection) for one in COLLECTIONS.values()}
            self._signed_heads.sign(tx, {}, every, settled=_newest_of_ledger(every))

    def migrate(self, signatory: Signatory) -> None:
        """Bring the schema up to this program's. What was signed is checked as it was, and signed as it then is, in one transaction.

        Raises:
            UnavailableError: ``upgrade_needed``: whoever acts may not sign all that decides. IntegrityError: as ``read``.
        """
        if self._signed_heads is None:
            migrate.upgrade(self.unwatched, "books")
            return
        if signatory.role != authority.STEWARD or signatory.key is None:
            raise UnavailableError(
                "upgrade_needed", "this vault was made by an earlier program", hint="a steward opens it first: genovault status"
            )
        with super().write() as tx:
            if migrate.is_current_in(tx, "books"):  # another process was first
                return
            connection = tx.connection()
            heads, keystore_seq = self._signed_heads.read(connection)
            for name in heads.keys() & COLLECTIONS.keys():
                columns = {column["name"] for column in inspect(connection).get_columns(name)}
                earlier = COLLECTIONS[name].with_columns(columns)
                self._signed_heads.require(connection, earlier, earlier.rows(connection), heads, keystore_seq)
            migrate.upgrade_in(tx, "books")
            every = {one: one.rows(connection) for one in COLLECTIONS.values()}
            self._signed_heads.sign(tx, heads, every, settled=None if SETTLED in heads else _newest_of_ledger(every))

    def counters(self, tx: Transaction) -> dict[str, int]:
        """Number of changes of each collection, as a transaction of these books sees it; empty where nothing is signed.

        Raises IntegrityError as ``read``.
        """
        return {name: head.counter for name, head in self._heads_in(tx).items() if name in COLLECTIONS}

    def state(self) -> bytes | None:
        """Digest of all that decides, as the head of the log has it now; None where nothing is signed. While it is the same, so is all of that.

        Raises IntegrityError ``log_head_unauthentic``, ``log_head_missing``.
        """
        if self._signed_heads is None:
            return None
        with super().read() as tx:
            return self._signed_heads.state(tx.connection())

    def marks(self, tx: Transaction) -> dict[str, tuple[int, bytes]]:
        """Counter and digest of each head, as a transaction of these books sees them; empty where nothing is signed.

        While they stay as they are, so does all that the collections hold. Raises IntegrityError as ``read``.
        """
        return {name: (head.counter, head.digest) for name, head in self._heads_in(tx).items()}

    def state_to_be(self, tx: Transaction) -> int | None:
        """Number that the stewards' state will have when a transaction ends that has changed it; None for one that has not.

        Entries state it (``docs/formats/audit.md`` §2), so that a state that is put back contradicts the log.
        """
        tx.flush()
        watch: _Watch | None = tx.connection().info.get(WATCH)
        if self._signed_heads is None or watch is None or authority.STEWARDS_OWN.isdisjoint(watch.written):
            return None
        watch.stated = True
        return self.state_number(tx) + 1

    def state_number(self, tx: Transaction) -> int:
        """Number of the stewards' state, as a transaction of these books finds it; 0 where nothing is signed."""
        heads = self._heads_in(tx)
        return heads[TOGETHER].counter if heads else 0

    def settled(self, tx: Transaction) -> tuple[int, bytes] | None:
        """Last event and head of the consent ledger that a steward vouches for; None where none ever did, and nothing is signed.

        Whatever follows was signed by those who may record withdrawals alone.
        """
        watch: _Watch | None = tx.connection().info.get(WATCH)
        if watch is not None and watch.settled is not None:
            return watch.settled
        head = self._heads_in(tx).get(SETTLED)
        return None if head is None else (head.counter, head.digest)

    def settle(self, tx: Transaction, last_seq: int, head: bytes) -> None:
        """Vouch for the consent ledger up to an event, once all of it was looked over, if whoever acts is a steward."""
        watch: _Watch | None = tx.connection().info.get(WATCH)
        if self._signed_heads is not None and watch is not None and self._signed_heads.acts_as_steward():
            watch.settled = last_seq, head

    def altered(self) -> dict[str, str]:
        """Collections that are not as they were signed, sorted, and what was found; all where the heads are not authentic."""
        with super().read() as tx:
            watch = _Watch(tx.connection())
            found = {}
            for name in sorted(COLLECTIONS):
                try:
                    self._look(watch, name)
                except IntegrityError as error:
                    if error.code != "collection_altered" or watch.heads is None:
                        return dict.fromkeys(sorted(COLLECTIONS), error.message)
                    found[name] = error.message
        return found

    def take_out_added(self, name: str) -> int:
        """Delete the rows that were added to a collection without a signature, where all else of it is as it was signed.

        Return their number. Raises IntegrityError ``log_head_unauthentic``.
        """
        if self._signed_heads is None:
            return 0
        collection, table = COLLECTIONS[name], Base.metadata.tables[name]
        with super().write() as tx:
            connection = tx.connection()
            heads, _ = self._signed_heads.read(connection)
            added = added_rows(connection, collection, heads[name], collection.rows(connection))
            for row in added:
                connection.execute(delete(table).where(*(table.c[collection.columns[at]] == row[at] for at in collection.key)))
        return len(added)

    @contextmanager
    def _watching(self, tx: Transaction) -> Iterator[_Watch]:
        connection = tx.connection()
        watch = _Watch(connection)
        before = connection.info.get(WATCH)
        connection.info[WATCH] = watch
        try:
            yield watch
        finally:
            if before is None:
                connection.info.pop(WATCH, None)
            else:
                connection.info[WATCH] = before

    def _before(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        watch: _Watch | None = connection.info.get(WATCH)
        if watch is None or watch.resting:
            return
        named = named_in(statement)
        if named and not reads_only(statement):
            watch.written |= named
        fresh = named - watch.found.keys()
        if not fresh:
            return
        watch.resting = True
        try:
            for name in sorted(fresh):
                watch.found[name] = self._look(watch, name)
        finally:
            watch.resting = False

    def _look(self, watch: _Watch, name: str) -> bytes:
        """Digest a collection and hold it against its head; the digest. Raises IntegrityError as ``read``."""
        collection = COLLECTIONS[name]
        if collection.newest_by is None:  # of the ledger, whatever is read is chained
            require_sound_lookups(watch.connection, name)
        rows = collection.rows(watch.connection)
        if self._signed_heads is not None:
            heads = self._heads(watch, self._signed_heads)
            self._signed_heads.require(watch.connection, collection, rows, heads, watch.keystore_seq)
        return collection.digest(rows)

    def _heads_in(self, tx: Transaction) -> Heads:
        """Heads as a transaction of these books finds them; none where nothing is signed."""
        watch: _Watch | None = tx.connection().info.get(WATCH)
        if self._signed_heads is None or watch is None:
            return {}
        before, watch.resting = watch.resting, True
        try:
            return self._heads(watch, self._signed_heads)
        finally:
            watch.resting = before

    def _heads(self, watch: _Watch, signed: CollectionHeads) -> Heads:
        if watch.heads is None:
            watch.heads, watch.keystore_seq = signed.read(watch.connection)
        return watch.heads

    def _sign_changes(self, tx: Transaction, watch: _Watch) -> None:
        watch.resting = True
        changed: dict[Collection, list[tuple[Any, ...]]] = {}
        for name in watch.written:
            rows = COLLECTIONS[name].rows(watch.connection)
            if COLLECTIONS[name].digest(rows) != watch.found[name]:
                changed[COLLECTIONS[name]] = rows
        if self._signed_heads is None:
            if not UNUPGRADED.issuperset(one.name for one in changed):
                raise UnavailableError(
                    "upgrade_needed",
                    "this vault is of an earlier format: it can be read, and consent withdrawn",
                    hint="genovault upgrade",
                )
            return
        if not changed and not watch.stated and watch.settled is None:
            return
        heads = self._heads(watch, self._signed_heads)
        self._signed_heads.require_own_slot(watch.keystore_seq)
        if COLLECTIONS["vault"] in changed:  # the keystore's newest number among it: what removed slots signed is signed anew
            for name in self._signed_heads.outdated(heads):
                if name in COLLECTIONS:
                    changed.setdefault(COLLECTIONS[name], COLLECTIONS[name].rows(watch.connection))
        self._signed_heads.sign(tx, heads, changed, together=watch.stated, settled=watch.settled)


def _newest_of_ledger(every: Mapping[Collection, Sequence[tuple[Any, ...]]]) -> tuple[int, bytes]:
    """Last event and head of the consent ledger, of the rows of all collections; (0, zeros) where it is empty."""
    ledger = COLLECTIONS["consent_batch"]
    rows = [dict(zip(ledger.columns, row, strict=True)) for row in every[ledger]]
    return (rows[0]["last_seq"], rows[0]["head"]) if rows else (0, bytes(32))
