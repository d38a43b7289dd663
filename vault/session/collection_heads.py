"""Heads of the collections: digest and signature of each, and their binding to the head of the log (``docs/formats/books.md`` §7).

state = digest over (name, counter, digest) of every head; it stands in the log's head, under its MAC (``audit.head_seal``)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from policies import authority
from vault.audit.head_seal import HeadSeal, SealedHead
from vault.crypto.context import encode_context
from vault.crypto.keystore_format import Document
from vault.crypto.primitives import SigningKey, sha256, verify_signature
from vault.errors import IntegrityError, RefusedError, UnavailableError
from vault.session.collections import Collection, differing, state_digest
from vault.storage.audit_tables import AuditHeadRow
from vault.storage.book_tables import CollectionHeadRow, VaultRow
from vault.storage.compiled_statements import fetched
from vault.storage.database import Transaction

TOGETHER = "stewards"  # name of the head over all collections that stewards alone change
SETTLED = "settled"  # of the head that says how far the consent ledger is a steward's word: its counter is the event's number
_BY_STEWARDS = frozenset({TOGETHER, SETTLED})


@dataclass(frozen=True)
class Signatory:
    """Acting principal: the key that signs what is left changed, and its role."""

    role: str
    key: SigningKey | None  # None: a slot of keystore format 1


@dataclass(frozen=True)
class CollectionHead:
    """Head of one collection."""

    counter: int
    digest: bytes
    listing_sha256: bytes
    signer: bytes
    signature: bytes


Heads = dict[str, CollectionHead]
_Rows = list[tuple[Any, ...]]

_LOG_HEAD = "SELECT base, size, stack, state, epoch, mac FROM audit_head"
_HEADS = "SELECT name, counter, digest, listing_sha256, signer, signature FROM collection_head"


class CollectionHeads:
    """Reads, checks and signs the heads of one vault's collections.

    Args:
        seal: MAC of the log's head.
        keystore: the keystore's document; True: read again, because another process may have changed it.
        signatory: who acts.
    """

    def __init__(
        self,
        vault_id: bytes,
        seal: HeadSeal,
        *,
        keystore: Callable[[bool], Document],
        signatory: Callable[[], Signatory],
    ) -> None:
        self._vault_id = vault_id
        self._seal = seal
        self._keystore = keystore
        self._signatory = signatory
        self._verified: set[tuple[str, CollectionHead]] = set()  # whose signature was checked
        self._bound: tuple[tuple[_Rows, _Rows], Heads] | None = None  # heads last found to be bound, and what they stood in

    def read(self, connection: Connection) -> tuple[Heads, int]:
        """Heads of all collections, bound to the head of the log, and the number of the newest keystore that the books know of.

        Raises:
            IntegrityError: ``log_head_missing``, ``log_head_unauthentic``, ``collection_altered``.
        """
        stored = fetched(connection, _LOG_HEAD), fetched(connection, _HEADS)
        known = self._bound
        if known is None or known[0] != stored:
            self._bound = known = stored, self._read(*stored)
        heads = known[1]
        keystore_seq = connection.execute(select(VaultRow.keystore_seq)).scalar() or 0
        for name in _BY_STEWARDS & heads.keys():
            self._require_signed(name, heads[name], keystore_seq)
        return heads, keystore_seq

    def state(self, connection: Connection) -> bytes | None:
        """Digest of all heads, as the head of the log has it. Raises IntegrityError as ``read``, of the log's head."""
        log_head = fetched(connection, _LOG_HEAD)
        if not log_head:
            raise IntegrityError("log_head_missing", "the audit log has no head", hint="restore the vault from a backup")
        sealed = SealedHead(*log_head[0])
        self._seal.check(sealed)
        return sealed.state

    def _read(self, log_head: _Rows, rows: _Rows) -> Heads:
        """Heads from what is stored. Raises as ``read``."""
        if not log_head:
            raise IntegrityError("log_head_missing", "the audit log has no head", hint="restore the vault from a backup")
        sealed = SealedHead(*log_head[0])
        self._seal.check(sealed)
        heads = {row[0]: CollectionHead(*row[1:]) for row in rows}
        if not all(isinstance(name, str) and _typed(head) for name, head in heads.items()):
            raise altered("collection_head")
        if sealed.state != _state(heads) or TOGETHER not in heads or heads[TOGETHER].digest != _together(heads):
            raise altered("collection_head")
        return heads

    def require(
        self, connection: Connection, collection: Collection, rows: Sequence[tuple[Any, ...]], heads: Heads, keystore_seq: int
    ) -> None:
        """Hold the rows of a collection against its head.

        Raises:
            IntegrityError: ``collection_altered``. UnavailableError: ``upgrade_needed``: the vault was last signed before the
                collection was one.
        """
        head = heads.get(collection.name)
        if head is None:  # the heads are authentic, so no session of this vault has signed it
            raise UnavailableError(
                "upgrade_needed", "this vault was made by an earlier program", hint="a steward opens it first: genovault status"
            )
        if head.digest != collection.digest(rows):
            raise altered(collection.name, _difference(connection, collection, head, rows))
        self._require_signed(collection.name, head, keystore_seq)

    def outdated(self, heads: Heads) -> list[str]:
        """Collections that a slot signed which the keystore no longer has: to be signed anew by whoever stands."""
        known = {slot.key for slot in self._keystore(False).slots}
        return [name for name, head in heads.items() if head.signer not in known]

    def sign(
        self,
        tx: Transaction,
        heads: Heads,
        changed: Mapping[Collection, Sequence[tuple[Any, ...]]],
        *,
        together: bool = False,
        settled: tuple[int, bytes] | None = None,
    ) -> None:
        """Sign the rows of changed collections, and bind all heads to the head of the log, in the caller's write transaction.

        Args:
            together: sign the stewards' state anew even if none of its collections changed, because an entry states its number.
            settled: last event and head of the consent ledger that a steward vouches for from now on.

        Raises:
            UnavailableError: ``slot_outdated``. RefusedError: ``not_authorised``.
        """
        heads = dict(heads)
        for collection in sorted(changed, key=lambda one: one.name):
            rows = changed[collection]
            self._sign(tx, heads, collection.name, collection.digest(rows), collection.listing(rows))
        outdated = _BY_STEWARDS.intersection(self.outdated(heads)) if self.acts_as_steward() else frozenset()
        if settled is None and SETTLED in outdated:
            settled = heads[SETTLED].counter, heads[SETTLED].digest
        if settled is not None:
            self._sign(tx, heads, SETTLED, settled[1], b"", counter=settled[0])
        stewards = not authority.STEWARDS_OWN.isdisjoint(one.name for one in changed)
        if together or stewards or settled is not None or TOGETHER in outdated:
            self._sign(tx, heads, TOGETHER, _together(heads), b"")
        row = tx.execute(select(AuditHeadRow.base, AuditHeadRow.size, AuditHeadRow.stack)).one()
        sealed = self._seal.sealed(row.base, row.size, row.stack, _state(heads))
        tx.execute(update(AuditHeadRow).values(state=sealed.state, epoch=sealed.epoch, mac=sealed.mac))

    def require_own_slot(self, keystore_seq: int) -> None:
        """Refuse to sign with a slot that the keystore, whose newest number the books know, no longer has: nobody would accept it.

        Raises UnavailableError ``slot_outdated``.
        """
        if keystore_seq > self._keystore(False).seq:
            self._keystore(True)

    def acts_as_steward(self) -> bool:
        """True if what is left changed now is signed by a steward."""
        return self._signatory().role == authority.STEWARD

    def _require_signed(self, name: str, head: CollectionHead, keystore_seq: int) -> None:
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

    def _sign(
        self, tx: Transaction, heads: Heads, name: str, digest: bytes, listing: bytes, *, counter: int | None = None
    ) -> None:
        """Sign one head as it now is and take it up into ``heads``; ``counter``: where it is no number of changes."""
        who = self._signatory()
        if who.key is None:
            raise UnavailableError(
                "slot_outdated", "this slot cannot sign", hint="ask an administrator for a new one: key add-slot"
            )
        if not _may_change(who.role, name):
            raise RefusedError("not_authorised", f"a {who.role} may not change this", hint="ask a steward")
        if counter is None:
            counter = heads[name].counter + 1 if name in heads else 1
        head = CollectionHead(counter, digest, sha256(listing), who.key.public, b"")
        head = replace(head, signature=who.key.sign(_signed_bytes(self._vault_id, name, head)))
        tx.execute(delete(CollectionHeadRow).where(CollectionHeadRow.name == name))
        tx.execute(insert(CollectionHeadRow), [{"name": name, **vars(head), "listing": listing}])
        heads[name] = head


def stated(connection: Connection, state: bytes | None) -> dict[str, tuple[int, bytes]]:
    """Counter and digest of every head, where they are those of a log head's state, which the caller has found authentic.

    Raises IntegrityError ``collection_altered``.
    """
    found = {name: (counter, digest) for name, counter, digest, *_ in fetched(connection, _HEADS)}
    if state is None or state_digest(found) != state:
        raise altered("collection_head")
    return found


def altered(name: str, what: str | None = None) -> IntegrityError:
    """The error of a collection that is not as it was signed. ``what``: the record in which it differs, and how."""
    said = what or f"{name} is not as it was signed"
    return IntegrityError("collection_altered", f"the books were edited: {said}", hint="genovault doctor says what to restore")


def _difference(
    connection: Connection, collection: Collection, head: CollectionHead, found: Sequence[tuple[Any, ...]]
) -> str | None:
    """The first record that was edited, by the listing that was signed; None if that listing is not authentic."""
    name = collection.name
    signed = connection.execute(select(CollectionHeadRow.listing).where(CollectionHeadRow.name == name)).scalar()
    if signed is None or sha256(signed) != head.listing_sha256:
        return None
    difference = differing(signed, collection.listing(found))
    return None if difference is None else f"record {difference[0]} of {name} was {difference[1]}"


def added_rows(
    connection: Connection, collection: Collection, head: CollectionHead, found: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Rows that the signed listing lacks, where the others are the whole of what was signed; none where they are not."""
    signed = connection.execute(select(CollectionHeadRow.listing).where(CollectionHeadRow.name == collection.name)).scalar_one()
    kept = [row for row in found if collection.listing([row]) in signed]
    return [row for row in found if row not in kept] if collection.digest(kept) == head.digest else []


def _typed(head: CollectionHead) -> bool:
    """True if each column holds what we store there: SQLite keeps whatever is written."""
    return [type(value) for value in vars(head).values()] == [int, bytes, bytes, bytes, bytes] and head.counter >= 0


def _state(heads: Heads) -> bytes:
    return state_digest({name: (head.counter, head.digest) for name, head in heads.items()})


def _together(heads: Heads) -> bytes:
    return _state({name: head for name, head in heads.items() if name in authority.STEWARDS_OWN or name == SETTLED})


def _may_change(role: str, name: str) -> bool:
    return role == authority.STEWARD if name in _BY_STEWARDS else authority.may_change(role, name)


def _signed_bytes(vault_id: bytes, name: str, head: CollectionHead) -> bytes:
    return encode_context("genovault/collection-head/v1", vault_id, name, head.counter, head.digest, head.listing_sha256)
