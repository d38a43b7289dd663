"""The key book: wrapped keys in the key database, opened with the branches that the principal holds.

Every stored key belongs to an owner (subject, part, chunk table, project, the vault) and a purpose; the purpose says which
branch wraps it, so a principal whose slot lacks the branch cannot open it whatever the code does. Keys are looked up by owner,
never tried. On creation, keys are durable before anything that needs them is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import RowMapping, Table, bindparam, delete, func, select, update
from sqlalchemy.orm import Session, aliased

from vault.crypto.context import encode_context
from vault.crypto.custody import PURPOSE_BRANCH, KeyPurpose, Shelf, unwrap_many, wrap_many, wrapping_key
from vault.crypto.keyring import Branch, Keyring
from vault.crypto.primitives import AesGcm, hkdf_expand_sha256, hmac_sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UnavailableError, UsageError
from vault.ids import AuditToken, Clock, KeyId, RandomBytes, SubjectId, VaultId
from vault.limits import MAX_KEK_WRAPS
from vault.storage.base import bulk_insert
from vault.storage.database import Database
from vault.storage.keys import BranchEpochRow, ErasedRow, SubjectTokenRow, WrappedKeyRow
from vault.times import from_micros, to_micros

SUBJECT_PURPOSES = (KeyPurpose.GENOTYPE, KeyPurpose.IDENTITY, KeyPurpose.PSEUDONYM_SALT, KeyPurpose.AUDIT_SALT)
DELETED_AT_ONCE = 10_000  # under the bound-parameter limits of both databases
HOLDING_KEYS = (WrappedKeyRow.__tablename__, SubjectTokenRow.__tablename__)
SCAN_FROM = 500  # owners from which one ordered scan of a purpose is cheaper than looking each up


@dataclass(frozen=True)
class OpenKey:
    """A key and the name it is sealed under in blob headers."""

    key_id: KeyId
    version: int
    secret: Secret


@dataclass(frozen=True)
class EpochUse:
    """How much one epoch was used: ``wraps`` ever made, ``keys`` wrapped under it now."""

    branch: Branch
    epoch: int
    wraps: int
    keys: int
    closed: bool
    created: datetime


class KeyBook:
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

    def create(self, purpose: KeyPurpose, owners: Sequence[bytes], *, version: int = 1) -> list[OpenKey]:
        """New random keys, one for each owner, durable when this returns."""
        with self._database.write() as session:
            return self._create(session, purpose, owners, version)

    def create_subjects(self, subjects: Sequence[SubjectId]) -> None:
        """All four keys of new subjects and their audit tokens, durable when this returns."""
        with self._database.write() as session:
            for purpose in SUBJECT_PURPOSES:
                keys = self._create(session, purpose, subjects, 1)
                if purpose is KeyPurpose.AUDIT_SALT:
                    pairs = zip(subjects, keys, strict=True)
                    rows = [self._token_row(subject, key) for subject, key in pairs]
                    bulk_insert(session, SubjectTokenRow, rows)

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
        with self._database.read() as session:
            row = session.scalars(query.order_by(WrappedKeyRow.version.desc()).limit(1)).first()
        if row is None:
            raise _missing(purpose)
        secret = unwrap_many(*self._shelf(purpose, row.epoch), [(row.key_id, row.owner, row.wrapped)])[0]
        return OpenKey(KeyId(row.key_id), row.version, Secret(secret))

    def open_many(self, purpose: KeyPurpose, owners: Iterable[bytes]) -> dict[bytes, bytes]:
        """Raw keys (newest version) of many owners; owners without a key are left out.

        Raw bytes, because a cohort's keys are used once each in a loop of a microsecond a key.
        """
        return {row["owner"]: key for row, key in self._newest(purpose, set(owners))}

    def open_keys(self, purpose: KeyPurpose, owners: Iterable[bytes]) -> dict[bytes, OpenKey]:
        """As ``open_many``, with the key's name and version, for blobs; IntegrityError("key_missing") if an owner has none."""
        wanted = set(owners)
        opened = {
            row["owner"]: OpenKey(KeyId(row["key_id"]), row["version"], Secret(key)) for row, key in self._newest(purpose, wanted)
        }
        if len(opened) != len(wanted):
            raise _missing(purpose)
        return opened

    def open_ids(self, purpose: KeyPurpose, key_ids: Iterable[bytes]) -> dict[bytes, Secret]:
        """Keys by their ids; IntegrityError("key_missing") when one is gone."""
        wanted = set(key_ids)
        self._keyring.current(PURPOSE_BRANCH[purpose])
        with self._database.read() as session:
            query = select(WrappedKeyRow).where(WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.key_id.in_(wanted))
            rows = session.scalars(query).all()
        if len(rows) != len(wanted):
            raise _missing(purpose)
        opened = {
            row.key_id: unwrap_many(*self._shelf(purpose, row.epoch), [(row.key_id, row.owner, row.wrapped)]) for row in rows
        }
        return {key_id: Secret(keys[0]) for key_id, keys in opened.items()}

    def destroy(self, purposes: Iterable[KeyPurpose], owners: Sequence[bytes], *, erasure_id: str | None = None) -> int:
        """Delete wrapped keys (all versions) and audit tokens of the owners, and remember which erasure asked for it.

        Returns how many keys there were; none is fine. Bytes are overwritten on disk.

        Raises:
            UnavailableError: ``database_busy``: a reader holds the write-ahead log; the keys are deleted, call again to be sure.
        """
        names, gone = [purpose.value for purpose in purposes], 0
        with self._database.write() as session:
            for start in range(0, len(owners), DELETED_AT_ONCE):
                part = owners[start : start + DELETED_AT_ONCE]
                wrapped = delete(WrappedKeyRow).where(WrappedKeyRow.purpose.in_(names), WrappedKeyRow.owner.in_(part))
                gone += int(session.execute(wrapped).rowcount)  # type: ignore[attr-defined]
                session.execute(delete(SubjectTokenRow).where(SubjectTokenRow.subject_id.in_(part)))
            if erasure_id is not None and session.get(ErasedRow, erasure_id) is None:
                session.add(ErasedRow(erasure_id=erasure_id))
        self._database.checkpoint_wal(*HOLDING_KEYS)
        return gone

    def destroy_ids(self, key_ids: Sequence[bytes]) -> None:
        """Delete wrapped keys by their ids; those already gone are fine. Raises as ``destroy``."""
        with self._database.write() as session:
            session.execute(delete(WrappedKeyRow).where(WrappedKeyRow.key_id.in_(key_ids)))
        self._database.checkpoint_wal(*HOLDING_KEYS)

    def keyless(self, subjects: Iterable[SubjectId]) -> list[SubjectId]:
        """Those of the subjects that have no identity key: erased ones. Needs no branch."""
        wanted = list(subjects)
        query = select(WrappedKeyRow.owner).where(WrappedKeyRow.purpose == KeyPurpose.IDENTITY.value)
        with self._database.read() as session:
            held = set(session.scalars(query))
        return [subject for subject in wanted if subject not in held]

    def newest_version(self, purpose: KeyPurpose, owner: bytes) -> int:
        """The newest version of an owner's key; 0 when there is none. Needs no branch."""
        place = (WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner)
        with self._database.read() as session:
            return session.scalar(select(func.max(WrappedKeyRow.version)).where(*place)) or 0

    def has_version(self, purpose: KeyPurpose, owner: bytes, version: int) -> bool:
        """Whether this version of an owner's key is held. Needs no branch."""
        place = (WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner, WrappedKeyRow.version == version)
        with self._database.read() as session:
            return session.scalar(select(WrappedKeyRow.key_id).where(*place)) is not None

    def missing_ids(self, key_ids: Iterable[bytes]) -> set[bytes]:
        """Those of the key ids that are not held. Needs no branch."""
        with self._database.read() as session:
            return set(key_ids) - set(session.scalars(select(WrappedKeyRow.key_id)))

    def destroy_older(self, purpose: KeyPurpose, owner: bytes, *, than: int) -> None:
        """Delete an owner's versions below ``than``. Raises as ``destroy``."""
        place = (WrappedKeyRow.purpose == purpose.value, WrappedKeyRow.owner == owner, WrappedKeyRow.version < than)
        with self._database.write() as session:
            session.execute(delete(WrappedKeyRow).where(*place))
        self._database.checkpoint_wal(*HOLDING_KEYS)

    def token_version(self) -> int:
        """The newest version of any subject's token; 0 when there are no subjects."""
        with self._database.read() as session:
            return session.scalar(select(func.max(SubjectTokenRow.version))) or 0

    def renew_tokens(self, version: int, *, limit: int) -> int:
        """A new audit salt and token for up to ``limit`` subjects that have none of this version; how many that were.

        Raises:
            UnavailableError: ``branch_closed``.
        """
        behind = select(SubjectTokenRow.subject_id).group_by(SubjectTokenRow.subject_id)
        with self._database.write() as session:
            query = behind.having(func.max(SubjectTokenRow.version) < version).limit(limit)
            subjects = [SubjectId(subject) for subject in session.scalars(query)]
            if subjects:
                keys = self._create(session, KeyPurpose.AUDIT_SALT, subjects, version)
                bulk_insert(session, SubjectTokenRow, [self._token_row(s, k) for s, k in zip(subjects, keys, strict=True)])
        return len(subjects)

    def forget_old_tokens(self) -> int:
        """Destroy every audit salt and token but each subject's newest: older entries no longer link. How many tokens went."""
        tokens, salts = aliased(SubjectTokenRow), aliased(WrappedKeyRow)
        newest_token = select(func.max(tokens.version)).where(tokens.subject_id == SubjectTokenRow.subject_id).scalar_subquery()
        of_salts = (salts.purpose == KeyPurpose.AUDIT_SALT.value, salts.owner == WrappedKeyRow.owner)
        newest_salt = select(func.max(salts.version)).where(*of_salts).scalar_subquery()
        old_salts = (WrappedKeyRow.purpose == KeyPurpose.AUDIT_SALT.value, WrappedKeyRow.version < newest_salt)
        quietly = {"synchronize_session": False}
        with self._database.write() as session:
            session.execute(delete(WrappedKeyRow).where(*old_salts), execution_options=quietly)
            gone = session.execute(
                delete(SubjectTokenRow).where(SubjectTokenRow.version < newest_token), execution_options=quietly
            )
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
        with self._database.write() as session:
            query = select(table).where(table.c.purpose == purpose.value, table.c.epoch != epoch)
            rows = session.execute(query.limit(limit)).mappings().all()
            if not rows:
                return 0
            self._count(session, branch, epoch, len(rows))
            for old in {row["epoch"] for row in rows}:
                mine = [row for row in rows if row["epoch"] == old]
                keys = unwrap_many(*self._shelf(purpose, old), ((r["key_id"], r["owner"], r["wrapped"]) for r in mine))
                fresh = ((row["key_id"], row["owner"], key) for row, key in zip(mine, keys, strict=True))
                wrapped = wrap_many(*self._shelf(purpose, epoch), fresh, random=self._random)
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
                session.connection().execute(
                    change, [{"at_owner": row["owner"], "at_version": row["version"], "seal": seal} for row, seal in pairs]
                )
        return len(rows)

    def wraps(self) -> list[EpochUse]:
        """Use counters of every epoch that has wrapped keys, and how many keys are under it now. Needs no branch."""
        table = WrappedKeyRow.__table__
        with self._database.read() as session:
            held = session.execute(select(table.c.purpose, table.c.epoch, func.count()).group_by(table.c.purpose, table.c.epoch))
            keys: dict[tuple[str, int], int] = {}
            for purpose, epoch, n in held:
                place = PURPOSE_BRANCH[KeyPurpose(purpose)].value, epoch
                keys[place] = keys.get(place, 0) + n
            rows = session.scalars(select(BranchEpochRow).order_by(BranchEpochRow.branch, BranchEpochRow.epoch)).all()
        return [
            EpochUse(Branch(r.branch), r.epoch, r.wraps, keys.get((r.branch, r.epoch), 0), r.closed, from_micros(r.created))
            for r in rows
        ]

    def close_epoch(self, branch: Branch, epoch: int) -> None:
        """Let nothing more be wrapped under an epoch, whatever another process still holds.

        Raises:
            UsageError: ``epoch_in_use``: keys are wrapped under it.
        """
        purposes = [purpose.value for purpose, of in PURPOSE_BRANCH.items() if of is branch]
        with self._database.write() as session:
            query = select(func.count()).where(WrappedKeyRow.purpose.in_(purposes), WrappedKeyRow.epoch == epoch)
            if held := session.scalar(query):
                raise UsageError(
                    "epoch_in_use", f"{held} keys are wrapped under epoch {epoch} of {branch.value}", hint="genovault key rotate"
                )
            place = (BranchEpochRow.branch == branch.value, BranchEpochRow.epoch == epoch)
            if session.execute(update(BranchEpochRow).where(*place).values(closed=True)).rowcount == 0:  # type: ignore[attr-defined]
                now = to_micros(self._clock())
                session.add(BranchEpochRow(branch=branch.value, epoch=epoch, wraps=0, closed=True, created=now))

    def erasures(self) -> frozenset[str]:
        """The erasures whose keys are gone from here."""
        with self._database.read() as session:
            return frozenset(session.scalars(select(ErasedRow.erasure_id)))

    def use(self, keyring: Keyring) -> None:
        """Go on with a keyring that has newer epochs."""
        self._keyring = keyring
        self._keks.clear()

    def tokens(self, subjects: Iterable[SubjectId]) -> list[AuditToken]:
        """Audit tokens of the subjects, in the order of the tokens' text (an order that says nothing)."""
        wanted = set(subjects)
        found = {subject: tokens[-1] for subject, tokens in self._tokens(wanted).items()}
        if len(found) != len(wanted):
            raise IntegrityError("token_missing", "a subject has no audit token", hint="run genovault doctor")
        return sorted(found.values())

    def all_tokens(self, subjects: Iterable[SubjectId]) -> dict[SubjectId, list[AuditToken]]:
        """Every token that entries may name each subject by, oldest first; erased subjects are left out."""
        return self._tokens(set(subjects))

    def branch_key(self, branch: Branch, label: str, *, epoch: int | None = None) -> OpenKey:
        """A key of a branch itself, for blobs that belong to no owner (project declarations, panels)."""
        if epoch is not None and self._refresh is not None and epoch not in self._keyring.epochs(branch):
            self.use(self._refresh())
        number, secret = self._keyring.current(branch) if epoch is None else (epoch, self._keyring.epoch(branch, epoch))
        context = encode_context("genovault/branch-key/v1", self._vault_id, branch.value, number, label)
        key_id = hmac_sha256(self._vault_id, encode_context("genovault/branch-key-id/v1", branch.value, label))[:16]
        return OpenKey(KeyId(key_id), number, Secret(hkdf_expand_sha256(secret.reveal(), context, 32)))

    def _tokens(self, wanted: set[SubjectId]) -> dict[SubjectId, list[AuditToken]]:
        query = select(SubjectTokenRow.subject_id, SubjectTokenRow.token).order_by(SubjectTokenRow.version)
        if len(wanted) < SCAN_FROM:
            query = query.where(SubjectTokenRow.subject_id.in_(wanted))
        found: dict[SubjectId, list[AuditToken]] = {}
        with self._database.read() as session:
            for row in session.execute(query):
                if row.subject_id in wanted:
                    found.setdefault(SubjectId(row.subject_id), []).append(AuditToken(row.token))
        return found

    def _newest(self, purpose: KeyPurpose, wanted: set[bytes]) -> list[tuple[RowMapping, bytes]]:
        """The newest row of each wanted owner and its opened key."""
        table = WrappedKeyRow.__table__
        query = select(table).where(table.c.purpose == purpose.value).order_by(table.c.owner, table.c.version)
        if len(wanted) < SCAN_FROM:
            query = query.where(table.c.owner.in_(wanted))
        self._keyring.current(PURPOSE_BRANCH[purpose])
        with self._database.read() as session:
            newest = {row["owner"]: row for row in session.execute(query).mappings() if row["owner"] in wanted}
        opened: list[tuple[RowMapping, bytes]] = []
        for epoch in {row["epoch"] for row in newest.values()}:
            rows = [row for row in newest.values() if row["epoch"] == epoch]
            keys = unwrap_many(*self._shelf(purpose, epoch), ((r["key_id"], r["owner"], r["wrapped"]) for r in rows))
            opened.extend(zip(rows, keys, strict=True))
        return opened

    def _create(self, session: Session, purpose: KeyPurpose, owners: Sequence[bytes], version: int) -> list[OpenKey]:
        branch = PURPOSE_BRANCH[purpose]
        epoch, _ = self._keyring.current(branch)
        self._count(session, branch, epoch, len(owners))
        fresh = [(self._random(16), owner, self._random(32)) for owner in owners]
        wrapped = wrap_many(*self._shelf(purpose, epoch), fresh, random=self._random)
        rows = [
            {"purpose": purpose.value, "owner": owner, "version": version, "key_id": key_id, "epoch": epoch, "wrapped": seal}
            for (key_id, owner, _), seal in zip(fresh, wrapped, strict=True)
        ]
        bulk_insert(session, WrappedKeyRow, rows)
        return [OpenKey(KeyId(key_id), version, Secret(key)) for key_id, _, key in fresh]

    def _count(self, session: Session, branch: Branch, epoch: int, wraps: int) -> None:
        place = (BranchEpochRow.branch == branch.value, BranchEpochRow.epoch == epoch)
        found = session.execute(select(BranchEpochRow.wraps, BranchEpochRow.closed).where(*place)).first()
        if found is None:
            now = to_micros(self._clock())
            session.add(BranchEpochRow(branch=branch.value, epoch=epoch, wraps=wraps, closed=False, created=now))
            session.flush()
            return
        if found.closed:
            raise UnavailableError(
                "epoch_closed", f"epoch {epoch} of {branch.value} is no longer used", hint="open the vault again"
            )
        if found.wraps + wraps > MAX_KEK_WRAPS:
            raise UnavailableError(
                "key_worn", f"the {branch.value} key has wrapped {found.wraps} keys", hint="genovault key rotate"
            )
        session.execute(update(BranchEpochRow).where(*place).values(wraps=found.wraps + wraps))

    def _shelf(self, purpose: KeyPurpose, epoch: int) -> tuple[AesGcm, Shelf]:
        branch = PURPOSE_BRANCH[purpose]
        if self._refresh is not None and epoch not in self._keyring.epochs(branch):
            self.use(self._refresh())
        if (branch, epoch) not in self._keks:
            self._keks[branch, epoch] = wrapping_key(self._keyring.epoch(branch, epoch), branch)
        return self._keks[branch, epoch], Shelf(self._vault_id, epoch, purpose)

    def _token_row(self, subject: SubjectId, salt: OpenKey) -> dict[str, object]:
        """A subject's token under a salt; the <kid> in it is the salt's version."""
        context = encode_context("genovault/subject-token/v1", self._vault_id, subject)
        token = f"hmac-sha256:{salt.version}:{hmac_sha256(salt.secret.reveal(), context).hex()}"
        return {"subject_id": subject, "version": salt.version, "token": token}


def _missing(purpose: KeyPurpose) -> IntegrityError:
    return IntegrityError("key_missing", f"a {purpose.value} key is not in the key database", hint="run genovault doctor")
