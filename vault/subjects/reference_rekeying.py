"""Re-keying of the blind index of references: new keys in the place of some, and every reference under these hashed anew.

An old copy of the books keeps the digests of people who have been erased since; with the key they were made with, it would still
answer whether a known MRN was in it. So the keys that a person's references are under are replaced with every erasure; the others
(``reference_keys``) tell nothing of this person. Keys come first, then one transaction swaps the digests and names the newest key, then the
old ones are destroyed; each step may be repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, select, true, update

from vault.crypto.key_wrapping import KeyPurpose
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.base import bulk_insert
from vault.storage.book_tables import IdentityRow, ReferenceRow, SubjectRow, VaultRow
from vault.storage.bulk_columns import rows_among
from vault.storage.database import Transaction
from vault.subjects import reference_keys
from vault.subjects.identities import Identity, named_by, open_identities
from vault.subjects.references import COLUMNS, MANY, Reference, ReferenceIndex

Versions = Collection[int] | None
"""Versions of the index's key; None for all."""

Named = dict[SubjectId, tuple[int, Identity]]
"""Identities by subject, with the version that was read."""

_Row = dict[str, Any]


def versions_of(tx: Transaction, subject: SubjectId) -> tuple[int, ...]:
    """Versions of the keys that a person's references are under."""
    return tuple(sorted(set(tx.scalars(select(ReferenceRow.key_version).where(ReferenceRow.subject_id == subject)))))


def renew(vault: UnlockedVault, versions: Versions = None) -> int:
    """Renew these keys; the number of references that are under the new ones. References that an identity no longer names, and those of
    people who are being erased, are not carried over. Keys that nothing is under are destroyed, too.

    Raises:
        UnavailableError: ``branch_closed``; IntegrityError: ``key_missing`` and what opening identities raises.
    """
    index = ReferenceIndex(vault)
    with vault.books.read() as tx:
        known = _read(vault, _people(tx, versions))
    expected = sum(1 + len(named_by(identity)) for _, identity in known.values())
    fresh = reference_keys.create(vault, max(1, -(-expected // reference_keys.FULL)))
    renewed = ReferenceIndex(vault)
    with vault.books.write() as tx:
        people = _people(tx, versions)
        known |= _read(vault, {s: at for s, at in people.items() if s not in known or known[s][0] != at})
        held = _IndexRows.of(tx, list(people), versions)
        rows: dict[bytes, _Row] = {}
        ordered = sorted(people)  # ids were drawn at random
        share = max(1, -(-len(ordered) // len(fresh)))
        for at, version in enumerate(fresh):
            mine = {subject: known[subject][1] for subject in ordered[at * share : (at + 1) * share]}
            rows.update((row["digest"], row) for row in held.renewed(index, renewed, mine, version))
        tx.execute(delete(ReferenceRow).where(_under(versions)))
        bulk_insert(tx, ReferenceRow, [rows[digest] for digest in sorted(rows)])
        tx.execute(update(VaultRow).values(reference_version=fresh[-1]))
        used = {*tx.scalars(select(ReferenceRow.key_version).distinct()), fresh[-1]}
    unused = vault.keys.versions_of(KeyPurpose.REFERENCE_INDEX, vault.vault_id) - used
    gone = [version for version in unused if version < fresh[-1]]  # a newer one is somebody's who registers people
    vault.keys.destroy_versions(KeyPurpose.REFERENCE_INDEX, vault.vault_id, gone)
    vault.books.checkpoint_wal(ReferenceRow.__tablename__)
    return len(rows)


@dataclass(frozen=True)
class _IndexRows:
    """References of some people as the index has them. ``apart``: those of whom it has some under keys that stay."""

    rows: Sequence[Reference]
    apart: frozenset[bytes]

    @staticmethod
    def of(tx: Transaction, people: Sequence[SubjectId], versions: Versions) -> _IndexRows:
        if len(people) > MANY // 4:
            every = [Reference(*row) for row in tx.execute(select(*COLUMNS))]
        else:
            every = [Reference(*row) for row in rows_among(tx, COLUMNS, ReferenceRow.subject_id, people)]
        stale = [row for row in every if versions is None or row.key_version in versions]
        kept = frozenset(row.subject for row in every if versions is not None and row.key_version not in versions)
        return _IndexRows(stale, kept)

    def renewed(
        self, index: ReferenceIndex, renewed: ReferenceIndex, people: Mapping[SubjectId, Identity], version: int
    ) -> list[_Row]:
        """Rows of some people's references under a new key, each with the dataset whose import registered it.

        Books that were restored beside newer keys cannot be asked by digest any more: there, a person's references are all taken to come from
        where one of them came.
        """
        told: dict[bytes, bytes | None] = {}  # of digests that were there under the old key: the dataset
        guessed: dict[bytes, bytes | None] = {}
        mine: dict[int, list[Reference]] = {}
        for row in self.rows:
            if row.subject in people:
                mine.setdefault(row.key_version, []).append(row)
        for old, rows in mine.items():
            if old not in index.versions:
                guessed.update((row.subject, row.dataset) for row in rows)
                continue
            datasets = {row.digest: row.dataset for row in rows}
            some = {SubjectId(row.subject): people[SubjectId(row.subject)] for row in rows}
            pairs = zip(index.of_people(some, old), renewed.of_people(some, version), strict=True)
            told.update((new, datasets[was]) for (was, _), (new, _) in pairs if was in datasets)
        return [
            {
                "digest": digest,
                "subject_id": subject,
                "dataset_id": told.get(digest, guessed.get(subject)),
                "key_version": version,
            }
            for digest, subject in renewed.of_people(people, version)
            if digest in told or subject not in self.apart
        ]


def _under(versions: Versions) -> ColumnElement[bool]:
    return true() if versions is None else ReferenceRow.key_version.in_(versions)


def _people(tx: Transaction, versions: Versions) -> dict[SubjectId, int]:
    """People who are not being erased and have a reference under the keys, with the versions of their identities."""
    found = select(IdentityRow.subject_id, IdentityRow.version).join(SubjectRow).where(SubjectRow.state == "active")
    if versions is not None:
        found = found.where(IdentityRow.subject_id.in_(select(ReferenceRow.subject_id).where(_under(versions))))
    return {SubjectId(subject): version for subject, version in tx.execute(found)}


def _read(vault: UnlockedVault, people: Mapping[SubjectId, int]) -> Named:
    """Opened identities; of most, before the write transaction, because many take seconds."""
    opened = open_identities(vault, people) if people else {}
    return {subject: (version, opened[subject]) for subject, version in people.items()}
