"""Wrapped keys of the key database, opened with the branches that the principal holds.

Every stored key belongs to an owner (subject, part, chunk table, project, the vault) and a purpose; the purpose says which
branch wraps it, so a principal whose slot lacks the branch cannot open it whatever the code does. Keys are looked up by owner,
never tried. On creation, keys are durable before anything that needs them is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from sqlalchemy import ColumnElement, and_, delete, select, true
from sqlalchemy.orm import InstrumentedAttribute

from vault.crypto.context import encode_context
from vault.crypto.key_wrapping import PURPOSE_BRANCH, KeyPurpose, WrapContext, unwrap_many, wrap_many, wrapping_key
from vault.crypto.keyring import Branch, Keyring
from vault.crypto.primitives import KEY_BYTES, AesGcm, hkdf_expand_sha256, hmac_sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UnavailableError
from vault.ids import ID_BYTES, Clock, KeyId, RandomBytes, VaultId, draw
from vault.session.key_usage import EpochCounters
from vault.storage.bulk_columns import Column, Value, insert_columns, rows_among
from vault.storage.database import Database, Transaction
from vault.storage.key_tables import ErasedRow, SubjectTokenRow, WrappedKeyRow
from vault.storage.stored_types import largest

DELETED_AT_ONCE = 10_000  # under the bound-parameter limits of both databases
HOLDING_KEYS = (WrappedKeyRow.__tablename__, SubjectTokenRow.__tablename__)


@dataclass(frozen=True)
class OpenKey:
    """A key with its id and version, as blob headers name it."""

    key_id: KeyId
    version: int
    secret: Secret


@dataclass(frozen=True, repr=False)
class FreshKeys:
    """Drawn keys that are not stored yet, by columns, in the order of their owners."""

    purpose: KeyPurpose
    version: int
    owners: Sequence[bytes]
    key_ids: Sequence[bytes]
    keys: Sequence[bytes]


class WrappedKeys:
    """Opens, creates and destroys stored keys for one unlocked principal."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        vault_id: VaultId,
        *,
        clock: Clock,
        random: RandomBytes,
        refresh: Callable[[], Keyring] | None = None,
    ) -> None:
        self.database = database
        self._refresh = refresh  # reads the keystore again, for a stored key of an epoch newer than this keyring
        self._keyring = keyring
        self._vault_id = vault_id
        self._clock = clock
        self._random = random
        self._keks: dict[tuple[Branch, int], AesGcm] = {}
        self.epochs = EpochCounters(database, clock=clock)

    @property
    def dialect(self) -> str:
        """SQL dialect of the key database: ``sqlite`` or ``postgresql``."""
        return self.database.dialect

    def create(self, purpose: KeyPurpose, owners: Sequence[bytes], *, version: int = 1) -> list[OpenKey]:
        """Create random keys, one for each owner, durable on return. Raises as ``store``."""
        made = self.draw(purpose, owners, version=version)
        self.store([made])
        return [OpenKey(KeyId(key_id), version, Secret(key)) for key_id, key in zip(made.key_ids, made.keys, strict=True)]

    def draw(
        self, purpose: KeyPurpose, owners: Sequence[bytes], *, version: int, key_ids: Sequence[bytes] | None = None
    ) -> FreshKeys:
        """Draw random keys (and, unless given, their ids), one for each owner, without storing them.

        Nothing that the books name may need them before they are stored.
        """
        if key_ids is None:
            key_ids = draw(self._random, len(owners), ID_BYTES)
        return FreshKeys(purpose, version, owners, key_ids, draw(self._random, len(owners), KEY_BYTES))

    def store(self, drawn: Iterable[FreshKeys]) -> None:
        """Wrap and store drawn keys, durable on return. Raises as ``store_in``."""
        with self.database.write() as tx:
            for made in drawn:
                self.store_in(tx, made)

    def store_in(self, tx: Transaction, made: FreshKeys) -> None:
        """Wrap and store drawn keys in a transaction of the key database.

        Raises:
            UnavailableError: ``branch_closed``; ``epoch_closed``; ``key_worn``.
        """
        epoch = self.current_epoch(made.purpose)
        self.epochs.count(tx, PURPOSE_BRANCH[made.purpose], epoch, len(made.owners))
        columns: dict[str, Column | Value] = {
            "purpose": made.purpose.value,
            "owner": made.owners,
            "version": made.version,
            "key_id": made.key_ids,
            "epoch": epoch,
            "wrapped": wrap_many(*self.wrapping(made.purpose, epoch), made.key_ids, made.owners, made.keys, random=self._random),
        }
        insert_columns(tx, WrappedKeyRow, columns)

    def open(self, purpose: KeyPurpose, owner: bytes, *, version: int | None = None) -> OpenKey:
        """Open the newest (or the named) version of one owner's key.

        Raises:
            IntegrityError: ``key_missing``: there is none (destroyed, or the key database is older than the books).
            UnavailableError: ``branch_closed``: this principal's slot does not hold the branch.
        """
        query = select(WrappedKeyRow).where(WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner)
        if version is not None:
            query = query.where(WrappedKeyRow.version == version)
        self.current_epoch(purpose)  # refuse where the branch is closed
        with self.database.read() as tx:
            row = tx.scalars(query.order_by(WrappedKeyRow.version.desc()).limit(1)).first()
        if row is None:
            raise _missing(purpose)
        secret = unwrap_many(*self.wrapping(purpose, row.epoch), [row.key_id], [row.owner], [row.wrapped])[0]
        return OpenKey(KeyId(row.key_id), row.version, Secret(secret))

    def open_many(self, purpose: KeyPurpose, owners: Iterable[bytes]) -> dict[bytes, bytes]:
        """Open raw keys (newest version) of many owners; owners without a key are left out.

        Raw bytes, because a cohort's keys are used once each in a loop of a microsecond a key.
        """
        return {owner: key for owner, _, _, key in self._newest(purpose, owners)}

    def open_versions(self, purpose: KeyPurpose, owners: Iterable[bytes]) -> list[tuple[bytes, int, bytes]]:
        """(owner, version, raw key) of every version of the owners' keys, older versions first."""
        self.current_epoch(purpose)  # refuse where the branch is closed
        with self.database.read() as tx:
            rows = rows_among(tx, _STORED, WrappedKeyRow.owner, list(set(owners)), purpose=purpose.value)
        found = [(owner, version, key) for owner, version, _, key in self._unwrap(purpose, rows)] if rows else []
        return sorted(found, key=itemgetter(1))

    def opens(self, purpose: KeyPurpose) -> bool:
        """True if this principal holds the purpose's branch."""
        return self._keyring.has(PURPOSE_BRANCH[purpose])

    def open_keys(self, purpose: KeyPurpose, owners: Iterable[bytes]) -> dict[bytes, OpenKey]:
        """Open keys of many owners with id and version. Raises IntegrityError ``key_missing`` if an owner has none."""
        wanted = set(owners)
        found = self._newest(purpose, wanted)
        opened = {owner: OpenKey(KeyId(key_id), version, Secret(key)) for owner, version, key_id, key in found}
        if len(opened) != len(wanted):
            raise _missing(purpose)
        return opened

    def open_ids(self, purpose: KeyPurpose, key_ids: Iterable[bytes]) -> dict[bytes, Secret]:
        """Open keys by their ids. Raises IntegrityError ``key_missing`` if one is gone."""
        wanted = set(key_ids)
        self.current_epoch(purpose)  # refuse where the branch is closed
        with self.database.read() as tx:
            rows = rows_among(tx, _STORED, WrappedKeyRow.key_id, list(wanted), purpose=purpose.value)
        if len(rows) != len(wanted):
            raise _missing(purpose)
        return {key_id: Secret(key) for _, _, key_id, key in self._unwrap(purpose, rows)}

    def destroy(self, purposes: Iterable[KeyPurpose], owners: Sequence[bytes], *, erasure_id: str | None = None) -> int:
        """Delete wrapped keys (all versions) of the owners, with audit salts their tokens, and record the erasure, if one is named.

        Return the number of keys deleted; none is fine. Bytes are overwritten on disk.

        Raises:
            UnavailableError: ``database_busy``: a reader holds the write-ahead log; the keys are deleted, call again to be sure.
        """
        names, gone = [purpose.value for purpose in purposes], 0
        with self.database.write() as tx:
            for start in range(0, len(owners), DELETED_AT_ONCE):
                part = owners[start : start + DELETED_AT_ONCE]
                wrapped = delete(WrappedKeyRow).where(WrappedKeyRow.purpose.in_(names), WrappedKeyRow.owner.in_(part))
                gone += int(tx.execute(wrapped).rowcount)  # type: ignore[attr-defined]
                if KeyPurpose.AUDIT_SALT.value in names:
                    tx.execute(delete(SubjectTokenRow).where(SubjectTokenRow.subject_id.in_(part)))
            if erasure_id is not None and tx.get(ErasedRow, erasure_id) is None:
                tx.add(ErasedRow(erasure_id=erasure_id))
        self.database.checkpoint_wal(*HOLDING_KEYS)
        self._require_gone(WrappedKeyRow.purpose.in_(names), WrappedKeyRow.owner, owners)
        return gone

    def destroy_ids(self, key_ids: Sequence[bytes]) -> None:
        """Delete wrapped keys by their ids; those already gone are fine. Raises as ``destroy``."""
        with self.database.write() as tx:
            tx.execute(delete(WrappedKeyRow).where(WrappedKeyRow.key_id.in_(key_ids)))
        self.database.checkpoint_wal(*HOLDING_KEYS)
        self._require_gone(true(), WrappedKeyRow.key_id, key_ids)

    def newest_version(self, purpose: KeyPurpose, owner: bytes) -> int:
        """Newest version of an owner's key; 0 if there is none. Needs no branch."""
        place = (WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner)
        with self.database.read() as tx:
            return tx.scalar(select(largest(WrappedKeyRow.version)).where(*place)) or 0

    def ids_of(self, purpose: KeyPurpose, owner: bytes) -> list[bytes]:
        """Ids of all versions of an owner's key. Needs no branch."""
        place = (WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner)
        with self.database.read() as tx:
            return list(tx.scalars(select(WrappedKeyRow.key_id).where(*place)))

    def versions_of(self, purpose: KeyPurpose, owner: bytes) -> set[int]:
        """Versions of an owner's key that are held. Needs no branch."""
        place = (WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner)
        with self.database.read() as tx:
            return set(tx.scalars(select(WrappedKeyRow.version).where(*place)))

    def missing_ids(self, key_ids: Iterable[bytes]) -> set[bytes]:
        """Those of the key ids that are not held. Needs no branch."""
        wanted = set(key_ids)
        with self.database.read() as tx:
            held = rows_among(tx, [WrappedKeyRow.key_id], WrappedKeyRow.key_id, list(wanted))
        return wanted.difference(key_id for (key_id,) in held)

    def destroy_older(self, purpose: KeyPurpose, owner: bytes, *, than: int) -> None:
        """Delete an owner's versions below ``than``. Raises as ``destroy``."""
        self.destroy_versions(purpose, owner, [one for one in self.versions_of(purpose, owner) if one < than])

    def destroy_versions(self, purpose: KeyPurpose, owner: bytes, versions: Collection[int]) -> None:
        """Delete some versions of an owner's key; those already gone are fine. Raises as ``destroy``."""
        place = (WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner, WrappedKeyRow.version.in_(versions))
        with self.database.write() as tx:
            tx.execute(delete(WrappedKeyRow).where(*place))
        self.database.checkpoint_wal(*HOLDING_KEYS)
        self._require_gone(and_(*place), WrappedKeyRow.owner, [owner])

    def _require_gone(self, place: ColumnElement[bool], column: InstrumentedAttribute[bytes], values: Sequence[bytes]) -> None:
        """Read back, in another transaction, that nothing is left: a certificate says so."""
        with self.database.read() as tx:
            for start in range(0, len(values), DELETED_AT_ONCE):
                part = values[start : start + DELETED_AT_ONCE]
                if tx.scalar(select(WrappedKeyRow.key_id).where(place, column.in_(part)).limit(1)) is not None:
                    raise IntegrityError(
                        "key_not_destroyed", "the key database keeps what was deleted from it", hint="genovault doctor"
                    )

    def erasures(self) -> frozenset[str]:
        """Ids of erasures whose keys this database has destroyed."""
        with self.database.read() as tx:
            return frozenset(tx.scalars(select(ErasedRow.erasure_id)))

    def unopenable(self, purpose: KeyPurpose) -> int:
        """Number of stored keys of a purpose that do not open where they stand. Raises UnavailableError ``branch_closed``."""
        self.current_epoch(purpose)  # refuse where the branch is closed
        with self.database.read() as tx:
            stored = tx.execute(select(*_STORED).where(WrappedKeyRow.purpose == purpose.value))
            rows = [(owner, version, key_id, epoch, wrapped) for owner, version, key_id, epoch, wrapped in stored]
        try:
            for _ in self._unwrap(purpose, rows):
                pass
        except (IntegrityError, UnavailableError):
            return sum(not self._opens(purpose, row) for row in rows)
        return 0

    def _opens(self, purpose: KeyPurpose, row: _Stored) -> bool:
        try:
            return bool(list(self._unwrap(purpose, [row])))
        except (IntegrityError, UnavailableError):
            return False

    def use(self, keyring: Keyring) -> None:
        """Go on with a keyring that has newer epochs."""
        self._keyring = keyring
        self._keks.clear()

    def refresh(self) -> None:
        """Go on with the newest keyring of the keystore."""
        if self._refresh is not None:
            self.use(self._refresh())

    def current_epoch(self, purpose: KeyPurpose) -> int:
        """Newest epoch of a purpose's branch. Raises UnavailableError ``branch_closed``."""
        return self._keyring.current(PURPOSE_BRANCH[purpose])[0]

    def wrapping(self, purpose: KeyPurpose, epoch: int) -> tuple[AesGcm, WrapContext]:
        """Wrapping key and context of a purpose under an epoch. Raises UnavailableError ``branch_closed``, ``epoch_gone``."""
        branch = PURPOSE_BRANCH[purpose]
        if self._refresh is not None and epoch not in self._keyring.epochs(branch):
            self.use(self._refresh())
        if (branch, epoch) not in self._keks:
            self._keks[branch, epoch] = wrapping_key(self._keyring.epoch(branch, epoch), branch)
        return self._keks[branch, epoch], WrapContext(self._vault_id, epoch, purpose)

    def branch_key(self, branch: Branch, label: str, *, epoch: int | None = None) -> OpenKey:
        """Derive a key of a branch itself, for blobs that belong to no owner (project declarations, panels)."""
        if epoch is not None and self._refresh is not None and epoch not in self._keyring.epochs(branch):
            self.use(self._refresh())
        number, secret = self._keyring.current(branch) if epoch is None else (epoch, self._keyring.epoch(branch, epoch))
        context = encode_context("genovault/branch-key/v1", self._vault_id, branch.value, number, label)
        key_id = hmac_sha256(self._vault_id, encode_context("genovault/branch-key-id/v1", branch.value, label))[:16]
        return OpenKey(KeyId(key_id), number, Secret(hkdf_expand_sha256(secret.reveal(), context, 32)))

    def _newest(self, purpose: KeyPurpose, owners: Iterable[bytes]) -> Iterator[_Opened]:
        """Open the newest key of each owner that has one."""
        self.current_epoch(purpose)  # refuse where the branch is closed
        with self.database.read() as tx:
            rows = rows_among(tx, _STORED, WrappedKeyRow.owner, list(set(owners)), purpose=purpose.value)
        rows.sort(key=_version)
        return self._unwrap(purpose, {row[0]: row for row in rows}.values())

    def _unwrap(self, purpose: KeyPurpose, rows: Collection[_Stored]) -> Iterator[_Opened]:
        """Open keys of rows of ``_STORED``."""
        for epoch in {row[3] for row in rows}:
            mine = [row for row in rows if row[3] == epoch]
            owners, versions, key_ids, _, wrapped = zip(*mine, strict=True)
            keys = unwrap_many(*self.wrapping(purpose, epoch), key_ids, owners, wrapped)
            yield from zip(owners, versions, key_ids, keys, strict=True)


_STORED = (WrappedKeyRow.owner, WrappedKeyRow.version, WrappedKeyRow.key_id, WrappedKeyRow.epoch, WrappedKeyRow.wrapped)
_version = itemgetter(1)  # of a stored key

_Stored = tuple[bytes, int, bytes, int, bytes]  # the columns of _STORED
_Opened = tuple[bytes, int, bytes, bytes]  # owner, version, key id, key


def _missing(purpose: KeyPurpose) -> IntegrityError:
    return IntegrityError("key_missing", f"a {purpose.value} key is not in the key database", hint="run genovault doctor")
