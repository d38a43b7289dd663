"""The key book: wrapped keys in the key database, opened with the branches that the principal holds.

Every stored key belongs to an owner (subject, part, chunk table, project, the vault) and a purpose; the purpose says which
branch wraps it, so a principal whose slot lacks the branch cannot open it whatever the code does. Keys are looked up by owner,
never tried. On creation, keys are durable before anything that needs them is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import cast

from sqlalchemy import Table, bindparam, delete, func, select, update
from sqlalchemy.orm import aliased

from vault.crypto.context import SHORT_LENGTH, encode_context
from vault.crypto.key_wrapping import PURPOSE_BRANCH, KeyPurpose, WrapContext, unwrap_many, wrap_many, wrapping_key
from vault.crypto.keyring import Branch, Keyring
from vault.crypto.primitives import KEY_BYTES, AesGcm, hkdf_expand_sha256, hmac_sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError
from vault.ids import ID_BYTES, AuditToken, Clock, KeyId, RandomBytes, SubjectId, VaultId, draw
from vault.session.key_usage import EpochBook
from vault.storage.bulk_columns import Column, Value, insert_columns, rows_among
from vault.storage.database import Database, Transaction
from vault.storage.key_tables import ErasedRow, SubjectTokenRow, WrappedKeyRow

SUBJECT_PURPOSES = (KeyPurpose.GENOTYPE, KeyPurpose.IDENTITY, KeyPurpose.PSEUDONYM_SALT, KeyPurpose.AUDIT_SALT)
FIRST_VERSION = 1  # of a new subject's keys
DELETED_AT_ONCE = 10_000  # under the bound-parameter limits of both databases
HOLDING_KEYS = (WrappedKeyRow.__tablename__, SubjectTokenRow.__tablename__)


@dataclass(frozen=True)
class OpenKey:
    """A key and the name it is sealed under in blob headers."""

    key_id: KeyId
    version: int
    secret: Secret


@dataclass(frozen=True, repr=False)
class FreshKeys:
    """Keys just drawn, by columns in the order of their owners."""

    purpose: KeyPurpose
    version: int
    owners: Sequence[bytes]
    key_ids: Sequence[bytes]
    keys: Sequence[bytes]


@dataclass(frozen=True, repr=False)
class FreshSubjects:
    """What the key database is to hold of new subjects: all four keys, owners ascending, and in their order the audit tokens."""

    keys: Mapping[KeyPurpose, FreshKeys]
    tokens: Sequence[AuditToken]


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
        self._database = database
        self._refresh = refresh  # reads the keystore again, when a stored key names an epoch that is newer than this session
        self._keyring = keyring
        self._vault_id = vault_id
        self._clock = clock
        self._random = random
        self._keks: dict[tuple[Branch, int], AesGcm] = {}
        self.epochs = EpochBook(database, clock=clock)

    @property
    def dialect(self) -> str:
        """Of the key database: ``sqlite`` or ``postgresql``."""
        return self._database.dialect

    def create(self, purpose: KeyPurpose, owners: Sequence[bytes], *, version: int = 1) -> list[OpenKey]:
        """New random keys, one for each owner, durable when this returns."""
        made = self.draw(purpose, owners, version=version)
        self.store([made])
        return [OpenKey(KeyId(key_id), version, Secret(key)) for key_id, key in zip(made.key_ids, made.keys, strict=True)]

    def draw(self, purpose: KeyPurpose, owners: Sequence[bytes], *, version: int) -> FreshKeys:
        """New random keys, one for each owner, kept nowhere yet. Nothing that the books name may need them before they are stored."""
        return self._draw(purpose, owners, draw(self._random, len(owners), ID_BYTES), version)

    def store(self, drawn: Iterable[FreshKeys]) -> None:
        """Wrap and keep drawn keys, durable when this returns."""
        with self._database.write() as tx:
            for made in drawn:
                self._store(tx, made)

    def draw_subjects(self, subjects: Sequence[SubjectId]) -> FreshSubjects:
        """Everything that the key database has of new subjects, kept nowhere yet."""
        ordered = sorted(subjects)
        # Ids ascend with the rows, so that the table and its index are written from one end to the other.
        ids = iter(sorted(draw(self._random, len(SUBJECT_PURPOSES) * len(ordered), ID_BYTES)))
        drawn = ((purpose, list(islice(ids, len(ordered)))) for purpose in sorted(SUBJECT_PURPOSES))
        keys = {purpose: self._draw(purpose, ordered, key_ids, FIRST_VERSION) for purpose, key_ids in drawn}
        return FreshSubjects(keys, self._tokens_under(keys[KeyPurpose.AUDIT_SALT]))

    def store_subjects(self, fresh: FreshSubjects) -> None:
        """Wrap and keep drawn keys, and keep the tokens, durable when this returns. A transaction for each purpose: others write keys
        meanwhile.
        """
        if fresh.tokens:
            for drawn in fresh.keys.values():
                self.store([drawn])
            with self._database.write() as tx:
                _store_tokens(tx, fresh.keys[KeyPurpose.AUDIT_SALT], fresh.tokens)

    def open(self, purpose: KeyPurpose, owner: bytes, *, version: int | None = None) -> OpenKey:
        """The newest (or the named) version of one owner's key.

        Raises:
            IntegrityError: ``key_missing``: there is none (destroyed, or the key database is older than the books).
            UnavailableError: ``branch_closed``: this principal's slot does not hold the branch.
        """
        query = select(WrappedKeyRow).where(WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner)
        if version is not None:
            query = query.where(WrappedKeyRow.version == version)
        self._keyring.current(PURPOSE_BRANCH[purpose])
        with self._database.read() as tx:
            row = tx.scalars(query.order_by(WrappedKeyRow.version.desc()).limit(1)).first()
        if row is None:
            raise _missing(purpose)
        secret = unwrap_many(*self._shelf(purpose, row.epoch), [row.key_id], [row.owner], [row.wrapped])[0]
        return OpenKey(KeyId(row.key_id), row.version, Secret(secret))

    def open_many(self, purpose: KeyPurpose, owners: Iterable[bytes]) -> dict[bytes, bytes]:
        """Raw keys (newest version) of many owners; owners without a key are left out.

        Raw bytes, because a cohort's keys are used once each in a loop of a microsecond a key.
        """
        return {owner: key for owner, _, _, key in self._newest(purpose, owners)}

    def open_keys(self, purpose: KeyPurpose, owners: Iterable[bytes]) -> dict[bytes, OpenKey]:
        """As ``open_many``, with the key's name and version, for blobs; IntegrityError("key_missing") if an owner has none."""
        wanted = set(owners)
        found = self._newest(purpose, wanted)
        opened = {owner: OpenKey(KeyId(key_id), version, Secret(key)) for owner, version, key_id, key in found}
        if len(opened) != len(wanted):
            raise _missing(purpose)
        return opened

    def open_ids(self, purpose: KeyPurpose, key_ids: Iterable[bytes]) -> dict[bytes, Secret]:
        """Keys by their ids; IntegrityError("key_missing") when one is gone."""
        wanted = set(key_ids)
        self._keyring.current(PURPOSE_BRANCH[purpose])
        with self._database.read() as tx:
            rows = rows_among(tx, _STORED, WrappedKeyRow.key_id, list(wanted), purpose=purpose.value)
        if len(rows) != len(wanted):
            raise _missing(purpose)
        return {key_id: Secret(key) for _, _, key_id, key in self._unwrap(purpose, rows)}

    def destroy(self, purposes: Iterable[KeyPurpose], owners: Sequence[bytes], *, erasure_id: str | None = None) -> int:
        """Delete wrapped keys (all versions) and audit tokens of the owners, and remember which erasure asked for it.

        Returns how many keys there were; none is fine. Bytes are overwritten on disk.

        Raises:
            UnavailableError: ``database_busy``: a reader holds the write-ahead log; the keys are deleted, call again to be sure.
        """
        names, gone = [purpose.value for purpose in purposes], 0
        with self._database.write() as tx:
            for start in range(0, len(owners), DELETED_AT_ONCE):
                part = owners[start : start + DELETED_AT_ONCE]
                wrapped = delete(WrappedKeyRow).where(WrappedKeyRow.purpose.in_(names), WrappedKeyRow.owner.in_(part))
                gone += int(tx.execute(wrapped).rowcount)  # type: ignore[attr-defined]
                tx.execute(delete(SubjectTokenRow).where(SubjectTokenRow.subject_id.in_(part)))
            if erasure_id is not None and tx.get(ErasedRow, erasure_id) is None:
                tx.add(ErasedRow(erasure_id=erasure_id))
        self._database.checkpoint_wal(*HOLDING_KEYS)
        return gone

    def destroy_ids(self, key_ids: Sequence[bytes]) -> None:
        """Delete wrapped keys by their ids; those already gone are fine. Raises as ``destroy``."""
        with self._database.write() as tx:
            tx.execute(delete(WrappedKeyRow).where(WrappedKeyRow.key_id.in_(key_ids)))
        self._database.checkpoint_wal(*HOLDING_KEYS)

    def keyless(self, subjects: Iterable[SubjectId]) -> list[SubjectId]:
        """Those of the subjects that have no identity key: erased ones. Needs no branch."""
        wanted = list(subjects)
        query = select(WrappedKeyRow.owner).where(WrappedKeyRow.purpose == KeyPurpose.IDENTITY.value)
        with self._database.read() as tx:
            held = set(tx.scalars(query))
        return [subject for subject in wanted if subject not in held]

    def subjects(self) -> set[SubjectId]:
        """Whoever has a key of a person or an audit token, in the books or not. Needs no branch."""
        names = [purpose.value for purpose in SUBJECT_PURPOSES]
        with self._database.read() as tx:
            held = set(tx.scalars(select(WrappedKeyRow.owner).where(WrappedKeyRow.purpose.in_(names))))
            return {SubjectId(subject) for subject in held.union(tx.scalars(select(SubjectTokenRow.subject_id)))}

    def is_whole(self, subject: SubjectId) -> bool:
        """Whether a person has all keys and a token. Needs no branch."""
        keys = select(WrappedKeyRow.purpose).where(WrappedKeyRow.purpose.in_([p.value for p in SUBJECT_PURPOSES]))
        token = select(SubjectTokenRow.subject_id).where(SubjectTokenRow.subject_id == subject)
        with self._database.read() as tx:
            held = set(tx.scalars(keys.where(WrappedKeyRow.owner == subject)))
            return len(held) == len(SUBJECT_PURPOSES) and tx.scalars(token).first() is not None

    def newest_version(self, purpose: KeyPurpose, owner: bytes) -> int:
        """The newest version of an owner's key; 0 when there is none. Needs no branch."""
        place = (WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner)
        with self._database.read() as tx:
            return tx.scalar(select(func.max(WrappedKeyRow.version)).where(*place)) or 0

    def has_version(self, purpose: KeyPurpose, owner: bytes, version: int) -> bool:
        """Whether this version of an owner's key is held. Needs no branch."""
        place = (WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner, WrappedKeyRow.version == version)
        with self._database.read() as tx:
            return tx.scalar(select(WrappedKeyRow.key_id).where(*place)) is not None

    def missing_ids(self, key_ids: Iterable[bytes]) -> set[bytes]:
        """Those of the key ids that are not held. Needs no branch."""
        wanted = set(key_ids)
        with self._database.read() as tx:
            held = rows_among(tx, [WrappedKeyRow.key_id], WrappedKeyRow.key_id, list(wanted))
        return wanted.difference(key_id for (key_id,) in held)

    def destroy_older(self, purpose: KeyPurpose, owner: bytes, *, than: int) -> None:
        """Delete an owner's versions below ``than``. Raises as ``destroy``."""
        place = (WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner, WrappedKeyRow.version < than)
        with self._database.write() as tx:
            tx.execute(delete(WrappedKeyRow).where(*place))
        self._database.checkpoint_wal(*HOLDING_KEYS)

    def token_version(self) -> int:
        """The newest version of any subject's token; 0 when there are no subjects."""
        with self._database.read() as tx:
            return tx.scalar(select(func.max(SubjectTokenRow.version))) or 0

    def renew_tokens(self, version: int, *, limit: int) -> int:
        """A new audit salt and token for up to ``limit`` subjects that have none of this version; how many that were.

        Raises:
            UnavailableError: ``branch_closed``.
        """
        behind = select(SubjectTokenRow.subject_id).group_by(SubjectTokenRow.subject_id)
        with self._database.write() as tx:
            query = behind.having(func.max(SubjectTokenRow.version) < version).limit(limit)
            subjects = [SubjectId(subject) for subject in tx.scalars(query)]
            if subjects:
                ids = draw(self._random, len(subjects), ID_BYTES)
                salts = self._draw(KeyPurpose.AUDIT_SALT, subjects, ids, version)
                self._store(tx, salts)
                _store_tokens(tx, salts, self._tokens_under(salts))
        return len(subjects)

    def forget_old_tokens(self) -> int:
        """Destroy every audit salt and token but each subject's newest: older entries no longer link. How many tokens went."""
        tokens, salts = aliased(SubjectTokenRow), aliased(WrappedKeyRow)
        newest_token = select(func.max(tokens.version)).where(tokens.subject_id == SubjectTokenRow.subject_id).scalar_subquery()
        of_salts = (salts.purpose == KeyPurpose.AUDIT_SALT.value, salts.owner == WrappedKeyRow.owner)
        newest_salt = select(func.max(salts.version)).where(*of_salts).scalar_subquery()
        old_salts = (WrappedKeyRow.purpose == KeyPurpose.AUDIT_SALT.value, WrappedKeyRow.version < newest_salt)
        quietly = {"synchronize_session": False}
        with self._database.write() as tx:
            tx.execute(delete(WrappedKeyRow).where(*old_salts), execution_options=quietly)
            gone = tx.execute(delete(SubjectTokenRow).where(SubjectTokenRow.version < newest_token), execution_options=quietly)
        self._database.checkpoint_wal(*HOLDING_KEYS)
        return int(gone.rowcount)  # type: ignore[attr-defined]

    def rewrap(self, purpose: KeyPurpose, *, limit: int) -> int:
        """Wrap up to ``limit`` keys of a purpose anew under the newest epoch; how many that were. 0: all are.

        Raises:
            UnavailableError: ``branch_closed``; ``key_worn``; ``epoch_gone``. IntegrityError: ``seal_broken``.
        """
        branch = PURPOSE_BRANCH[purpose]
        epoch, _ = self._keyring.current(branch)
        table = cast("Table", WrappedKeyRow.__table__)
        with self._database.write() as tx:
            query = select(table).where(table.c.purpose == purpose.value, table.c.epoch != epoch)
            rows = tx.execute(query.limit(limit)).mappings().all()
            if not rows:
                return 0
            self.epochs.count(tx, branch, epoch, len(rows))
            for old in {row["epoch"] for row in rows}:
                mine = [row for row in rows if row["epoch"] == old]
                key_ids, owners = [row["key_id"] for row in mine], [row["owner"] for row in mine]
                keys = unwrap_many(*self._shelf(purpose, old), key_ids, owners, [row["wrapped"] for row in mine])
                wrapped = wrap_many(*self._shelf(purpose, epoch), key_ids, owners, keys, random=self._random)
                change = (
                    update(table)
                    .where(
                        table.c.purpose == purpose.value,
                        table.c.owner == bindparam("at_owner"),
                        table.c.version == bindparam("at_version"),
                    )
                    .values(epoch=epoch, wrapped=bindparam("seal"))
                )
                pairs = zip(mine, wrapped, strict=True)
                tx.connection().execute(
                    change, [{"at_owner": row["owner"], "at_version": row["version"], "seal": seal} for row, seal in pairs]
                )
        return len(rows)

    def erasures(self) -> frozenset[str]:
        """The erasures whose keys are gone from here."""
        with self._database.read() as tx:
            return frozenset(tx.scalars(select(ErasedRow.erasure_id)))

    def use(self, keyring: Keyring) -> None:
        """Go on with a keyring that has newer epochs."""
        self._keyring = keyring
        self._keks.clear()

    def refresh(self) -> None:
        """Go on with the newest keyring of the keystore."""
        if self._refresh is not None:
            self.use(self._refresh())

    def tokens(self, subjects: Iterable[SubjectId]) -> list[AuditToken]:
        """Audit tokens of the subjects, in the order of the tokens' text (an order that says nothing)."""
        wanted = set(subjects)
        found = {subject: token for subject, _, token in self._tokens(wanted)}
        if len(found) != len(wanted):
            raise IntegrityError("token_missing", "a subject has no audit token", hint="run genovault doctor")
        return sorted(found.values())

    def all_tokens(self, subjects: Iterable[SubjectId]) -> dict[SubjectId, list[AuditToken]]:
        """Every token that entries may name each subject by, oldest first; erased subjects are left out."""
        found: dict[SubjectId, list[AuditToken]] = {}
        for subject, _, token in self._tokens(subjects):
            found.setdefault(subject, []).append(token)
        return found

    def branch_key(self, branch: Branch, label: str, *, epoch: int | None = None) -> OpenKey:
        """A key of a branch itself, for blobs that belong to no owner (project declarations, panels)."""
        if epoch is not None and self._refresh is not None and epoch not in self._keyring.epochs(branch):
            self.use(self._refresh())
        number, secret = self._keyring.current(branch) if epoch is None else (epoch, self._keyring.epoch(branch, epoch))
        context = encode_context("genovault/branch-key/v1", self._vault_id, branch.value, number, label)
        key_id = hmac_sha256(self._vault_id, encode_context("genovault/branch-key-id/v1", branch.value, label))[:16]
        return OpenKey(KeyId(key_id), number, Secret(hkdf_expand_sha256(secret.reveal(), context, 32)))

    def _tokens(self, subjects: Iterable[SubjectId]) -> list[tuple[SubjectId, int, AuditToken]]:
        """(subject, version, token), older versions first."""
        columns = (SubjectTokenRow.subject_id, SubjectTokenRow.version, SubjectTokenRow.token)
        with self._database.read() as tx:
            rows = rows_among(tx, columns, SubjectTokenRow.subject_id, list(set(subjects)))
        rows.sort(key=_version)
        return rows

    def _newest(self, purpose: KeyPurpose, owners: Iterable[bytes]) -> Iterator[_Opened]:
        """The newest key of each owner that has one."""
        self._keyring.current(PURPOSE_BRANCH[purpose])
        with self._database.read() as tx:
            rows = rows_among(tx, _STORED, WrappedKeyRow.owner, list(set(owners)), purpose=purpose.value)
        rows.sort(key=_version)
        return self._unwrap(purpose, {row[0]: row for row in rows}.values())

    def _unwrap(self, purpose: KeyPurpose, rows: Collection[_Stored]) -> Iterator[_Opened]:
        """Opened keys of rows of ``_STORED``."""
        for epoch in {row[3] for row in rows}:
            mine = [row for row in rows if row[3] == epoch]
            owners, versions, key_ids, _, wrapped = zip(*mine, strict=True)
            keys = unwrap_many(*self._shelf(purpose, epoch), key_ids, owners, wrapped)
            yield from zip(owners, versions, key_ids, keys, strict=True)

    def _draw(self, purpose: KeyPurpose, owners: Sequence[bytes], key_ids: Sequence[bytes], version: int) -> FreshKeys:
        return FreshKeys(purpose, version, owners, key_ids, draw(self._random, len(owners), KEY_BYTES))

    def _store(self, tx: Transaction, made: FreshKeys) -> None:
        epoch, _ = self._keyring.current(PURPOSE_BRANCH[made.purpose])
        self.epochs.count(tx, PURPOSE_BRANCH[made.purpose], epoch, len(made.owners))
        columns: dict[str, Column | Value] = {
            "purpose": made.purpose.value,
            "owner": made.owners,
            "version": made.version,
            "key_id": made.key_ids,
            "epoch": epoch,
            "wrapped": wrap_many(*self._shelf(made.purpose, epoch), made.key_ids, made.owners, made.keys, random=self._random),
        }
        insert_columns(tx, WrappedKeyRow, columns)

    def _tokens_under(self, salts: FreshKeys) -> list[AuditToken]:
        """The owners' tokens under their salts; the <kid> in a token is the salt's version."""
        before = encode_context("genovault/subject-token/v1", self._vault_id)
        contexts = (before + SHORT_LENGTH[len(subject)] + subject for subject in salts.owners)
        digests = (hmac_sha256(salt, context).hex() for salt, context in zip(salts.keys, contexts, strict=True))
        return [AuditToken(f"hmac-sha256:{salts.version}:{digest}") for digest in digests]

    def _shelf(self, purpose: KeyPurpose, epoch: int) -> tuple[AesGcm, WrapContext]:
        branch = PURPOSE_BRANCH[purpose]
        if self._refresh is not None and epoch not in self._keyring.epochs(branch):
            self.use(self._refresh())
        if (branch, epoch) not in self._keks:
            self._keks[branch, epoch] = wrapping_key(self._keyring.epoch(branch, epoch), branch)
        return self._keks[branch, epoch], WrapContext(self._vault_id, epoch, purpose)


_STORED = (WrappedKeyRow.owner, WrappedKeyRow.version, WrappedKeyRow.key_id, WrappedKeyRow.epoch, WrappedKeyRow.wrapped)
_version = itemgetter(1)  # of a stored key or token

_Stored = tuple[bytes, int, bytes, int, bytes]  # the columns of _STORED
_Opened = tuple[bytes, int, bytes, bytes]  # owner, version, key id, key


def _store_tokens(tx: Transaction, salts: FreshKeys, tokens: Sequence[AuditToken]) -> None:
    insert_columns(tx, SubjectTokenRow, {"subject_id": salts.owners, "version": salts.version, "token": tokens})


def _missing(purpose: KeyPurpose) -> IntegrityError:
    return IntegrityError("key_missing", f"a {purpose.value} key is not in the key database", hint="run genovault doctor")
