"""Keys and audit tokens of subjects in the key database (docs/design/keys.md).

A subject has four keys, one for each of ``SUBJECT_PURPOSES``, and an audit token, by which log entries name the subject: the
HMAC of the subject id under the subject's audit salt. Without the salt, entries cannot be tied to the subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import aliased

from vault.crypto.context import SHORT_LENGTH, encode_context
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import hmac_sha256
from vault.errors import IntegrityError
from vault.ids import ID_BYTES, AuditToken, RandomBytes, SubjectId, VaultId, draw
from vault.session.wrapped_keys import HOLDING_KEYS, FreshKeys, WrappedKeys
from vault.storage.bulk_columns import FEW, insert_columns, rows_among
from vault.storage.database import Transaction
from vault.storage.key_tables import SubjectTokenRow, WrappedKeyRow
from vault.storage.stored_types import largest

SUBJECT_PURPOSES = (KeyPurpose.GENOTYPE, KeyPurpose.IDENTITY, KeyPurpose.PSEUDONYM_SALT, KeyPurpose.AUDIT_SALT)
FIRST_VERSION = 1  # of a new subject's keys
CHECKED_AT_MOST = 200_000  # tokens remembered as checked


@dataclass(frozen=True, repr=False)
class FreshSubjects:
    """Drawn keys of new subjects, owners ascending, and in their order the audit tokens."""

    keys: Mapping[KeyPurpose, FreshKeys]
    tokens: Sequence[AuditToken]


class _Named(NamedTuple):
    """People as last named: in which state of the tokens (newest version, number of all), and their tokens, of each and sorted."""

    newest: int | None
    number: int
    people: frozenset[SubjectId]
    of_each: dict[SubjectId, AuditToken]
    tokens: list[AuditToken]


class SubjectKeys:
    """Draws, stores and looks up subjects' keys and audit tokens for one unlocked principal."""

    def __init__(self, keys: WrappedKeys, vault_id: VaultId, *, random: RandomBytes) -> None:
        self._keys = keys
        self._database = keys.database
        self._vault_id = vault_id
        self._random = random
        self._checked: set[tuple[SubjectId, int, AuditToken]] = set()  # held against their salts
        # Newest version and number of all tokens when some people were last named, and theirs.
        self._named: _Named | None = None

    def draw(self, subjects: Sequence[SubjectId]) -> FreshSubjects:
        """Draw all keys and tokens of new subjects without storing them."""
        ordered = sorted(subjects)
        # Ids ascend with the rows, so that the table and its index are written from one end to the other.
        ids = iter(sorted(draw(self._random, len(SUBJECT_PURPOSES) * len(ordered), ID_BYTES)))
        drawn = ((purpose, list(islice(ids, len(ordered)))) for purpose in sorted(SUBJECT_PURPOSES))
        keys = {purpose: self._keys.draw(purpose, ordered, version=FIRST_VERSION, key_ids=key_ids) for purpose, key_ids in drawn}
        return FreshSubjects(keys, self._tokens_under(keys[KeyPurpose.AUDIT_SALT]))

    def store(self, fresh: FreshSubjects) -> None:
        """Wrap and store drawn keys and tokens, durable on return. Raises as ``WrappedKeys.store``.

        Each purpose has its own transaction: other processes store keys meanwhile.
        """
        if fresh.tokens:
            for drawn in fresh.keys.values():
                self._keys.store([drawn])
            with self._database.write() as tx:
                _store_tokens(tx, fresh.keys[KeyPurpose.AUDIT_SALT], fresh.tokens)

    def is_complete(self, subject: SubjectId) -> bool:
        """True if a subject has all four keys and a token. Needs no branch."""
        keys = select(WrappedKeyRow.purpose).where(WrappedKeyRow.purpose.in_([p.value for p in SUBJECT_PURPOSES]))
        token = select(SubjectTokenRow.subject_id).where(SubjectTokenRow.subject_id == subject)
        with self._database.read() as tx:
            held = set(tx.scalars(keys.where(WrappedKeyRow.owner == subject)))
            return len(held) == len(SUBJECT_PURPOSES) and tx.scalars(token).first() is not None

    def list_all(self) -> set[SubjectId]:
        """Every subject with a key or an audit token, in the books or not. Needs no branch."""
        names = [purpose.value for purpose in SUBJECT_PURPOSES]
        with self._database.read() as tx:
            held = set(tx.scalars(select(WrappedKeyRow.owner).where(WrappedKeyRow.purpose.in_(names))))
            return {SubjectId(subject) for subject in held.union(tx.scalars(select(SubjectTokenRow.subject_id)))}

    def keyless(self, subjects: Iterable[SubjectId]) -> list[SubjectId]:
        """Those of the subjects that have no identity key: erased ones. Needs no branch."""
        wanted = list(subjects)
        query = select(WrappedKeyRow.owner).where(WrappedKeyRow.purpose == KeyPurpose.IDENTITY.value)
        with self._database.read() as tx:
            held = set(tx.scalars(query))
        return [subject for subject in wanted if subject not in held]

    def tokens(self, subjects: Iterable[SubjectId]) -> list[AuditToken]:
        """Newest audit tokens of the subjects, sorted by text: the order says nothing of the subjects.

        Those last asked about are known, until a token is made or destroyed: the same people are named by several entries of an access.

        Raises:
            IntegrityError: ``token_missing``.
        """
        wanted = frozenset(subjects)
        if len(wanted) <= FEW:
            return sorted(self._newest(wanted).values())
        return list(self._last_named(wanted).tokens)

    def token_of_each(self, subjects: Iterable[SubjectId]) -> dict[SubjectId, AuditToken]:
        """Newest audit token of each subject, known as those of ``tokens`` are. Raises IntegrityError ``token_missing``."""
        wanted = frozenset(subjects)
        return self._newest(wanted) if len(wanted) <= FEW else dict(self._last_named(wanted).of_each)

    def _last_named(self, wanted: frozenset[SubjectId]) -> _Named:
        with self._database.read() as tx:  # each renewal adds rows, of a higher version; an erasure takes some away
            newest, number = tx.execute(select(largest(SubjectTokenRow.version), func.count()).select_from(SubjectTokenRow)).one()
        known = self._named
        if known is None or known[:3] != (newest, number, wanted):
            found = self._newest(wanted)
            known = self._named = _Named(newest, number, wanted, found, sorted(found.values()))
        return known

    def _newest(self, wanted: AbstractSet[SubjectId]) -> dict[SubjectId, AuditToken]:
        found = {subject: token for subject, _, token in self._tokens(wanted)}
        if len(found) != len(wanted):
            raise IntegrityError("token_missing", "a subject has no audit token", hint="run genovault doctor")
        return found

    def all_tokens(self, subjects: Iterable[SubjectId]) -> dict[SubjectId, list[AuditToken]]:
        """Every token that entries may name each subject by, oldest first; erased subjects are left out."""
        found: dict[SubjectId, list[AuditToken]] = {}
        # From the salts themselves where they open: a row that was taken out would hide what was disclosed.
        held = self._made(subjects) if self._keys.opens(KeyPurpose.AUDIT_SALT) else self._tokens(subjects)
        for subject, _, token in held:
            found.setdefault(subject, []).append(token)
        return found

    def owners_of(self, tokens: Iterable[AuditToken]) -> list[SubjectId]:
        """The subjects whom any of the tokens names; of erased ones none are left. Raises IntegrityError ``token_altered``."""
        columns = (SubjectTokenRow.subject_id, SubjectTokenRow.version, SubjectTokenRow.token)
        with self._database.read() as tx:
            rows = rows_among(tx, columns, SubjectTokenRow.token, list(set(tokens)))
        self._require_own(rows)
        return sorted({subject for subject, _, _ in rows})

    def misnumbered_tokens(self) -> int:
        """Number of tokens that name another version of the salt than their rows do."""
        with self._database.read() as tx:
            rows = tx.execute(select(SubjectTokenRow.version, SubjectTokenRow.token)).all()
        return sum(token.split(":")[1] != str(version) for version, token in rows)

    def token_version(self) -> int:
        """Newest version of any subject's token; 0 without subjects."""
        with self._database.read() as tx:
            return tx.scalar(select(largest(SubjectTokenRow.version))) or 0

    def renew_tokens(self, version: int, *, limit: int) -> int:
        """Make an audit salt and token for up to ``limit`` subjects that have none of this version; return their number.

        Raises:
            UnavailableError: ``branch_closed``.
        """
        behind = select(SubjectTokenRow.subject_id).group_by(SubjectTokenRow.subject_id)
        with self._database.write() as tx:
            query = behind.having(func.max(SubjectTokenRow.version) < version).limit(limit)
            subjects = [SubjectId(subject) for subject in tx.scalars(query)]
            if subjects:
                salts = self._keys.draw(KeyPurpose.AUDIT_SALT, subjects, version=version)
                self._keys.store_in(tx, salts)
                _store_tokens(tx, salts, self._tokens_under(salts))
        return len(subjects)

    def destroy_old_tokens(self) -> int:
        """Destroy every audit salt and token but each subject's newest: older entries no longer link. Return the number of tokens."""
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

    def _tokens(self, subjects: Iterable[SubjectId]) -> list[tuple[SubjectId, int, AuditToken]]:
        """(subject, version, token), older versions first."""
        columns = (SubjectTokenRow.subject_id, SubjectTokenRow.version, SubjectTokenRow.token)
        with self._database.read() as tx:
            rows = rows_among(tx, columns, SubjectTokenRow.subject_id, list(set(subjects)))
        rows.sort(key=itemgetter(1))
        self._require_own(rows)
        return rows

    def _made(self, subjects: Iterable[SubjectId]) -> list[tuple[SubjectId, int, AuditToken]]:
        """As ``_tokens``, made anew from the salts. Raises UnavailableError ``branch_closed``."""
        salts = self._keys.open_versions(KeyPurpose.AUDIT_SALT, subjects)
        before = encode_context("genovault/subject-token/v1", self._vault_id)
        return [
            (SubjectId(subject), version, _token(version, salt, before + SHORT_LENGTH[len(subject)] + subject))
            for subject, version, salt in salts
        ]

    def _require_own(self, rows: Sequence[tuple[SubjectId, int, AuditToken]]) -> None:
        """Hold tokens against their salts, once in a process: a token of another person would move what is logged to them.

        Who does not hold the salts (an auditor) names people by tokens and not by anything that leads to one.

        Raises:
            IntegrityError: ``token_altered``.
        """
        fresh = {(subject, version, token) for subject, version, token in rows} - self._checked
        if not fresh or not self._keys.opens(KeyPurpose.AUDIT_SALT):
            return
        if not fresh.issubset(self._made(subject for subject, _, _ in fresh)):
            raise IntegrityError(
                "token_altered",
                "the key database was edited: an audit token is not its person's",
                hint="put the newest key database back",
            )
        if len(self._checked) + len(fresh) > CHECKED_AT_MOST:
            self._checked.clear()
        self._checked.update(fresh)

    def _tokens_under(self, salts: FreshKeys) -> list[AuditToken]:
        """Audit tokens of the owners under their salts; the number in a token is the salt's version."""
        before = encode_context("genovault/subject-token/v1", self._vault_id)
        contexts = (before + SHORT_LENGTH[len(subject)] + subject for subject in salts.owners)
        return [_token(salts.version, salt, context) for salt, context in zip(salts.keys, contexts, strict=True)]


def _token(version: int, salt: bytes, context: bytes) -> AuditToken:
    return AuditToken(f"hmac-sha256:{version}:{hmac_sha256(salt, context).hex()}")


def _store_tokens(tx: Transaction, salts: FreshKeys, tokens: Sequence[AuditToken]) -> None:
    insert_columns(tx, SubjectTokenRow, {"subject_id": salts.owners, "version": salts.version, "token": tokens})
