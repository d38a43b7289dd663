"""The books, read only as whoever may change them left them.

The first statement of a transaction that names a collection (``collections``) digests the whole of it in that transaction and
compares it with its head, which is signed by its last changer and bound, with all the others, to the head of the log. A
transaction that leaves a collection changed signs its new head, if the role of whoever acts may change it
(``policies.authority``). So no module can read an unauthenticated row of what decides, or change one without a signature.

    state = digest over (name, counter, digest) of every head; it stands in the log's head, under its MAC (``audit.head_seal``)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Engine, delete, event, insert, select, update

from policies import authority
from vault.audit.head_seal import HeadSeal, SealedHead
from vault.crypto.context import encode_context
from vault.crypto.keystore_format import Document
from vault.crypto.primitives import SigningKey, sha256, verify_signature
from vault.errors import IntegrityError, RefusedError, UnavailableError
from vault.session.collections import COLLECTIONS, differing, named_in, state_digest
from vault.storage.audit_tables import AuditHeadRow
from vault.storage.book_tables import CollectionHeadRow, VaultRow
from vault.storage.database import Database, Transaction

WATCH = "genovault-watch"  # in a connection's info, while a watched transaction uses it
TOGETHER = "stewards"  # name of the head over all collections that stewards alone change
UNUPGRADED = frozenset({"consent_batch", "lease", "job"})  # what a vault of keystore format 1 may still change: withdrawals


@dataclass(frozen=True)
class Signatory:
    """Who acts: the key that signs what is left changed, and its role."""

    role: str
    key: SigningKey | None  # None: a slot of keystore format 1


@dataclass(frozen=True)
class _Head:
    counter: int
    digest: bytes
    listing_sha256: bytes
    signer: bytes
    signature: bytes


@dataclass
class _Watch:
    """One transaction: the heads as it found them, and the collections it has named."""

    connection: Connection
    heads: dict[str, _Head] | None = None
    keystore_seq: int = 0  # of the newest keystore that the books know of
    found: dict[str, bytes] = field(default_factory=dict)  # digest of each collection that was named, as it was found
    resting: bool = False  # while the watch itself reads


class AuthenticBooks(Database):
    """A vault's books. As ``Database``, whose transactions see only authentic collections; ``unwatched`` is the database bare."""

    def __init__(
        self,
        database: Database,
        vault_id: bytes,
        *,
        seal: HeadSeal | None,
        keystore: Callable[[bool], Document],
        signatory: Callable[[], Signatory],
    ) -> None:
        self.__dict__.update(vars(database))
        self.unwatched = database
        self._vault_id = vault_id
        self._seal = seal
        self._keystore = keystore
        self._signatory = signatory
        self._verified: set[tuple[str, _Head]] = set()  # whose signature was checked
        self._listeners: list[tuple[Engine, Callable[..., None]]] = [
            (engine, self._before) for engine in {self._reader, self._writer}
        ]
        for engine, listener in self._listeners:
            event.listen(engine, "before_cursor_execute", listener)

    @property
    def upgraded(self) -> bool:
        """True if what decides is signed; False in a vault of keystore format 1."""
        return self._seal is not None

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
            UnavailableError: ``upgrade_needed``.
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
        if self._seal is None:
            raise UnavailableError("upgrade_needed", "this vault is of an earlier format", hint="genovault upgrade")
        with super().write() as tx:
            heads: dict[str, _Head] = {}
            for name, collection in COLLECTIONS.items():
                heads[name] = self._signed(tx, name, 1, collection.rows(tx.connection()))
            heads[TOGETHER] = self._signed_together(tx, heads)
            self._bind(tx, heads, self._seal)

    def counters(self, tx: Transaction) -> dict[str, int]:
        """How often each collection was changed, as a transaction of these books sees it; empty where nothing is signed.

        Raises IntegrityError as ``read``.
        """
        watch: _Watch | None = tx.connection().info.get(WATCH)
        if self._seal is None or watch is None:
            return {}
        before, watch.resting = watch.resting, True
        try:
            return {name: head.counter for name, head in self._heads(watch, self._seal).items() if name in COLLECTIONS}
        finally:
            watch.resting = before

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
        fresh = named_in(statement) - watch.found.keys()
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
        rows = COLLECTIONS[name].rows(watch.connection)
        digest = COLLECTIONS[name].digest(rows)
        if self._seal is not None:
            head = self._heads(watch, self._seal).get(name)
            if head is None or head.digest != digest:
                raise altered(name, _difference(watch.connection, name, head, rows))
            self._require_signed(name, head, watch.keystore_seq)
        return digest

    def _heads(self, watch: _Watch, seal: HeadSeal) -> dict[str, _Head]:
        """The heads of all collections, bound to the head of the log."""
        if watch.heads is None:
            columns = (
                AuditHeadRow.base,
                AuditHeadRow.size,
                AuditHeadRow.stack,
                AuditHeadRow.state,
                AuditHeadRow.epoch,
                AuditHeadRow.mac,
            )
            row = watch.connection.execute(select(*columns)).first()
            if row is None:
                raise IntegrityError("log_head_missing", "the audit log has no head", hint="restore the vault from a backup")
            sealed = SealedHead(*row)
            seal.check(sealed)
            rows = watch.connection.execute(
                select(
                    CollectionHeadRow.name,
                    CollectionHeadRow.counter,
                    CollectionHeadRow.digest,
                    CollectionHeadRow.listing_sha256,
                    CollectionHeadRow.signer,
                    CollectionHeadRow.signature,
                )
            )
            heads = {row.name: _Head(*row[1:]) for row in rows}
            if sealed.state != _state(heads) or TOGETHER not in heads or heads[TOGETHER].digest != _together(heads):
                raise altered("collection_head")
            watch.heads, watch.keystore_seq = heads, watch.connection.execute(select(VaultRow.keystore_seq)).scalar() or 0
            self._require_signed(TOGETHER, heads[TOGETHER], watch.keystore_seq)
        return watch.heads

    def _require_signed(self, name: str, head: _Head, keystore_seq: int) -> None:
        if (name, head) in self._verified:
            return
        role, lasting = self._role_of(head.signer, keystore_seq)
        if role is None or not _may_change(role, name):
            raise altered(name)
        try:
            verify_signature(head.signer, head.signature, _signed_bytes(self._vault_id, name, head))
        except IntegrityError:
            raise altered(name) from None
        if lasting:
            self._verified.add((name, head))

    def _role_of(self, signer: bytes, keystore_seq: int) -> tuple[str | None, bool]:
        """The role of a signing key, None if it has none, and whether that lasts.

        A removed slot's key counts until the books know of the keystore that removed it, where what it signed was signed anew.
        """
        for again in (False, True):
            holder = self._keystore(again).holder(signer)
            if holder is not None and holder.removed is None:
                return holder.role.value, True
            if holder is not None and holder.removed is not None and keystore_seq < holder.removed:
                return holder.role.value, False
        return None, False

    def _sign_changes(self, tx: Transaction, watch: _Watch) -> None:
        watch.resting = True
        now = {name: COLLECTIONS[name].rows(watch.connection) for name in watch.found}
        changed = [name for name, rows in now.items() if COLLECTIONS[name].digest(rows) != watch.found[name]]
        if self._seal is None:
            if not UNUPGRADED.issuperset(changed):
                raise UnavailableError(
                    "upgrade_needed",
                    "this vault is of an earlier format: it can be read, and consent withdrawn",
                    hint="genovault upgrade",
                )
            return
        if not changed:
            return
        heads = dict(watch.heads or {})
        if "vault" in changed:  # the keystore's newest number among it: what removed slots signed is signed anew
            known = {slot.key for slot in self._keystore(False).slots}
            changed += [name for name, head in heads.items() if head.signer not in known and name not in changed]
        for name in sorted(set(changed) - {TOGETHER}):
            rows = now[name] if name in now else COLLECTIONS[name].rows(watch.connection)
            heads[name] = self._signed(tx, name, heads[name].counter + 1, rows)
        if not authority.STEWARDS_OWN.isdisjoint(changed) or TOGETHER in changed:
            heads[TOGETHER] = self._signed_together(tx, heads)
        self._bind(tx, heads, self._seal)

    def _signed(self, tx: Transaction, name: str, counter: int, rows: Sequence[tuple[Any, ...]]) -> _Head:
        collection = COLLECTIONS[name]
        return self._sign(tx, name, counter, collection.digest(rows), collection.listing(rows))

    def _signed_together(self, tx: Transaction, heads: Mapping[str, _Head]) -> _Head:
        before = heads.get(TOGETHER)
        return self._sign(tx, TOGETHER, 1 if before is None else before.counter + 1, _together(heads), b"")

    def _sign(self, tx: Transaction, name: str, counter: int, digest: bytes, listing: bytes) -> _Head:
        who = self._signatory()
        if who.key is None:
            raise UnavailableError(
                "slot_outdated", "this slot cannot sign", hint="ask an administrator for a new one: key add-slot"
            )
        if not _may_change(who.role, name):
            raise RefusedError("not_authorised", f"a {who.role} may not change this", hint="ask a steward")
        head = _Head(counter, digest, sha256(listing), who.key.public, b"")
        head = replace(head, signature=who.key.sign(_signed_bytes(self._vault_id, name, head)))
        tx.execute(delete(CollectionHeadRow).where(CollectionHeadRow.name == name))
        tx.execute(insert(CollectionHeadRow), [{"name": name, **vars(head), "listing": listing}])
        return head

    def _bind(self, tx: Transaction, heads: Mapping[str, _Head], seal: HeadSeal) -> None:
        row = tx.execute(select(AuditHeadRow.base, AuditHeadRow.size, AuditHeadRow.stack)).one()
        sealed = seal.sealed(row.base, row.size, row.stack, _state(heads))
        tx.execute(update(AuditHeadRow).values(state=sealed.state, epoch=sealed.epoch, mac=sealed.mac))


def altered(name: str, what: str | None = None) -> IntegrityError:
    """The error of a collection that is not as it was signed. ``what``: the record in which it differs, and how."""
    said = what or f"{name} is not as it was signed"
    return IntegrityError("collection_altered", f"the books were edited: {said}", hint="genovault doctor says what to restore")


def _difference(connection: Connection, name: str, head: _Head | None, found: Sequence[tuple[Any, ...]]) -> str | None:
    """The first record that was edited, by the listing that was signed; None if that listing is not authentic."""
    signed = connection.execute(select(CollectionHeadRow.listing).where(CollectionHeadRow.name == name)).scalar()
    if head is None or signed is None or sha256(signed) != head.listing_sha256:
        return None
    difference = differing(signed, COLLECTIONS[name].listing(found))
    return None if difference is None else f"record {difference[0]} of {name} was {difference[1]}"


def _state(heads: Mapping[str, _Head]) -> bytes:
    return state_digest({name: (head.counter, head.digest) for name, head in heads.items()})


def _together(heads: Mapping[str, _Head]) -> bytes:
    return _state({name: head for name, head in heads.items() if name in authority.STEWARDS_OWN})


def _may_change(role: str, name: str) -> bool:
    return role == authority.STEWARD if name == TOGETHER else authority.may_change(role, name)


def _signed_bytes(vault_id: bytes, name: str, head: _Head) -> bytes:
    return encode_context("genovault/collection-head/v1", vault_id, name, head.counter, head.digest, head.listing_sha256)
