"""The key book: wrapped keys in the key database, opened with the branches that the principal holds.

Every stored key belongs to an owner (subject, part, chunk table, project, the vault) and a purpose; the purpose says which
branch wraps it, so a principal whose slot lacks the branch cannot open it whatever the code does. Keys are looked up by owner,
never tried. On creation, keys are durable before anything that needs them is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.orm import Session

from vault.crypto.context import encode_context
from vault.crypto.custody import PURPOSE_BRANCH, KeyPurpose, Shelf, unwrap_many, wrap_many, wrapping_key
from vault.crypto.keyring import Branch, Keyring
from vault.crypto.primitives import AesGcm, hkdf_expand_sha256, hmac_sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UnavailableError
from vault.ids import AuditToken, Clock, KeyId, RandomBytes, SubjectId, VaultId
from vault.limits import MAX_KEK_WRAPS
from vault.storage.base import bulk_insert
from vault.storage.database import Database
from vault.storage.keys import BranchEpochRow, SubjectTokenRow, WrappedKeyRow
from vault.times import to_micros

SUBJECT_PURPOSES = (KeyPurpose.GENOTYPE, KeyPurpose.IDENTITY, KeyPurpose.PSEUDONYM_SALT, KeyPurpose.AUDIT_SALT)
TOKEN_KEY_ID = "1"  # noqa: S105 - the <kid> of audit tokens made from 32-byte salts, not a secret
SCAN_FROM = 500  # owners from which one ordered scan of a purpose is cheaper than looking each up


@dataclass(frozen=True)
class OpenKey:
    """A key and the name it is sealed under in blob headers."""

    key_id: KeyId
    version: int
    secret: Secret


class KeyBook:
    """Opens, creates and destroys stored keys for one unlocked principal."""

    def __init__(self, database: Database, keyring: Keyring, vault_id: VaultId, *, clock: Clock, random: RandomBytes) -> None:
        self._database = database
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
                    rows = [{"subject_id": subject, "token": self._token(subject, key.secret)} for subject, key in pairs]
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

    def destroy(self, purposes: Iterable[KeyPurpose], owners: Sequence[bytes]) -> int:
        """Delete wrapped keys (all versions) of the owners; returns how many there were. Bytes are overwritten on disk."""
        with self._database.write() as session:
            gone = session.execute(
                delete(WrappedKeyRow).where(
                    WrappedKeyRow.purpose.in_([p.value for p in purposes]), WrappedKeyRow.owner.in_(owners)
                )
            )
            session.execute(delete(SubjectTokenRow).where(SubjectTokenRow.subject_id.in_(owners)))
        self._database.checkpoint_wal()
        return int(gone.rowcount)  # type: ignore[attr-defined]

    def tokens(self, subjects: Iterable[SubjectId]) -> list[AuditToken]:
        """Audit tokens of the subjects, in the order of the tokens' text (an order that says nothing)."""
        wanted = set(subjects)
        query = select(SubjectTokenRow.subject_id, SubjectTokenRow.token)
        if len(wanted) < SCAN_FROM:
            query = query.where(SubjectTokenRow.subject_id.in_(wanted))
        with self._database.read() as session:
            found = [AuditToken(row.token) for row in session.execute(query) if row.subject_id in wanted]
        if len(found) != len(wanted):
            raise IntegrityError("token_missing", "a subject has no audit token", hint="run genovault doctor")
        return sorted(found)

    def branch_key(self, branch: Branch, label: str, *, epoch: int | None = None) -> OpenKey:
        """A key of a branch itself, for blobs that belong to no owner (project declarations, panels)."""
        number, secret = self._keyring.current(branch) if epoch is None else (epoch, self._keyring.epoch(branch, epoch))
        context = encode_context("genovault/branch-key/v1", self._vault_id, branch.value, number, label)
        key_id = hmac_sha256(self._vault_id, encode_context("genovault/branch-key-id/v1", branch.value, label))[:16]
        return OpenKey(KeyId(key_id), number, Secret(hkdf_expand_sha256(secret.reveal(), context, 32)))

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
        used = session.scalar(select(BranchEpochRow.wraps).where(*place))
        if used is None:
            session.add(BranchEpochRow(branch=branch.value, epoch=epoch, wraps=wraps, created=to_micros(self._clock())))
            return
        if used + wraps > MAX_KEK_WRAPS:
            raise UnavailableError("key_worn", f"the {branch.value} key has wrapped {used} keys", hint="genovault key rotate")
        session.execute(update(BranchEpochRow).where(*place).values(wraps=used + wraps))

    def _shelf(self, purpose: KeyPurpose, epoch: int) -> tuple[AesGcm, Shelf]:
        branch = PURPOSE_BRANCH[purpose]
        if (branch, epoch) not in self._keks:
            self._keks[branch, epoch] = wrapping_key(self._keyring.epoch(branch, epoch), branch)
        return self._keks[branch, epoch], Shelf(self._vault_id, epoch, purpose)

    def _token(self, subject: SubjectId, salt: Secret) -> AuditToken:
        context = encode_context("genovault/subject-token/v1", self._vault_id, subject)
        return AuditToken(f"hmac-sha256:{TOKEN_KEY_ID}:{hmac_sha256(salt.reveal(), context).hex()}")


def _missing(purpose: KeyPurpose) -> IntegrityError:
    return IntegrityError("key_missing", f"a {purpose.value} key is not in the key database", hint="run genovault doctor")
