"""Re-keying of the blind index of references: a new key, and every reference hashed anew.

An old copy of the books keeps the digests of people who have been erased since; with the key they were made with, it would still
answer whether a known MRN was in it. So the key is replaced with every erasure. Keys come first, then one transaction swaps every
digest and says which version they are of, then the old version is destroyed; each step may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import delete, select, update

from vault.crypto.key_wrapping import KeyPurpose
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.base import bulk_insert
from vault.storage.book_tables import IdentityRow, ReferenceRow, VaultRow
from vault.storage.database import Transaction
from vault.subjects.identities import Identity, named_by, open_identities
from vault.subjects.references import KINDS, ReferenceIndex

Named = dict[SubjectId, tuple[int, Identity]]
"""Identities by subject, with the version that was read."""

_References = Sequence[tuple[str, SubjectId]]  # of one kind: values, and whose they are


def renew(vault: UnlockedVault) -> int:
    """Renew the index key and return the number of references. References that an identity no longer names are not carried over.

    Raises:
        UnavailableError: ``branch_closed``; IntegrityError: ``key_missing`` and what opening identities raises.
    """
    owner = vault.vault_id
    index = ReferenceIndex(vault)
    version = vault.keys.newest_version(KeyPurpose.REFERENCE_INDEX, owner)
    if version <= index.version:
        version += 1
        vault.keys.create(KeyPurpose.REFERENCE_INDEX, [owner], version=version)
    renewed = ReferenceIndex(vault, version=version)
    known = _read(vault, {})
    with vault.books.write() as tx:
        datasets = _registered_by(tx, vault, index)
        rows = [
            {"digest": digest, "subject_id": subject, "dataset_id": dataset}
            for kind, references in _references(index, _current(tx, vault, known)).items()
            for digest, subject, dataset in _digested(renewed, kind, references, datasets(kind, references))
        ]
        tx.execute(delete(ReferenceRow))
        bulk_insert(tx, ReferenceRow, rows)
        tx.execute(update(VaultRow).values(reference_version=version))
    vault.keys.destroy_older(KeyPurpose.REFERENCE_INDEX, owner, than=version)
    vault.books.checkpoint_wal(ReferenceRow.__tablename__)
    return len(rows)


def _digested(
    index: ReferenceIndex, kind: str, references: _References, datasets: Sequence[bytes | None]
) -> Iterator[tuple[bytes, SubjectId, bytes | None]]:
    subjects = (subject for _, subject in references)
    return zip(index.digests(kind, (value for value, _ in references)), subjects, datasets, strict=True)


def _registered_by(
    tx: Transaction, vault: UnlockedVault, index: ReferenceIndex
) -> Callable[[str, _References], list[bytes | None]]:
    """Datasets whose imports registered references of a kind. Books that were restored beside newer keys cannot be asked by digest any
    more: there, a person's references are all taken to come from where the first of them came.
    """
    rows = tx.execute(select(ReferenceRow.digest, ReferenceRow.subject_id, ReferenceRow.dataset_id)).all()
    held = vault.keys.has_version(KeyPurpose.REFERENCE_INDEX, vault.vault_id, index.version)
    by_digest = {row.digest: row.dataset_id for row in rows} if held else {}
    by_subject = {} if held else {row.subject_id: row.dataset_id for row in reversed(rows)}

    def registered(kind: str, references: _References) -> list[bytes | None]:
        if held:
            return [by_digest.get(digest) for digest in index.digests(kind, (value for value, _ in references))]
        return [by_subject.get(subject) for _, subject in references]

    return registered


def _read(vault: UnlockedVault, known: Named, only: list[SubjectId] | None = None) -> Named:
    """Opened identities, outside the write transaction because a large book takes seconds."""
    with vault.books.read() as tx:
        versions = {SubjectId(s): v for s, v in tx.execute(select(IdentityRow.subject_id, IdentityRow.version))}
    wanted = list(versions) if only is None else [subject for subject in only if subject in versions]
    opened = open_identities(vault, wanted)
    return {**known, **{subject: (versions[subject], opened[subject]) for subject in wanted}}


def _current(tx: Transaction, vault: UnlockedVault, known: Named) -> Named:
    """Identities read before, less those erased meanwhile, plus those added or changed."""
    now = {SubjectId(s): v for s, v in tx.execute(select(IdentityRow.subject_id, IdentityRow.version))}
    stale = [subject for subject, version in now.items() if subject not in known or known[subject][0] != version]
    fresh = _read(vault, known, stale) if stale else known
    return {subject: fresh[subject] for subject in now}


def _references(index: ReferenceIndex, known: Named) -> dict[str, list[tuple[str, SubjectId]]]:
    """Every reference of everybody, by kind: a cohort has many, and those of a kind are hashed together."""
    found: dict[str, list[tuple[str, SubjectId]]] = {kind: [] for kind in KINDS}
    for subject, (_, identity) in known.items():
        for kind, value in named_by(identity):
            found[kind].append((value, subject))
    found["id"] += zip(index.handles(known), known, strict=True)
    return found
