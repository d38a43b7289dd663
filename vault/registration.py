"""Registering people, fifty thousand at a time: keys first, then rows, by columns and in the order of their indexes.

A crash leaves unused keys and never a subject or a block without one. The database writes the keys without Python's lock, so identities
are sealed meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy.orm import Session as Transaction

from vault.crypto.custody import KeyPurpose
from vault.errors import UnavailableError
from vault.identities import Identity, seal_first
from vault.ids import ID_BYTES, DatasetId, SubjectId, draw
from vault.keybook import FreshKeys
from vault.references import ReferenceIndex
from vault.session import Session
from vault.storage.books import IdentityRow, ReferenceRow, SubjectRow
from vault.storage.packed import insert_columns
from vault.times import to_micros


@dataclass(frozen=True, repr=False)
class _References:
    """Digests, ascending, with whose each is, under one version of the index key."""

    version: int
    digests: Sequence[bytes]
    subjects: Sequence[SubjectId]


@dataclass(frozen=True, repr=False)
class _Rows:
    """What goes into the books, by columns; subjects ascend."""

    subjects: Sequence[SubjectId]
    identities: Sequence[Identity]
    sealed: Sequence[bytes]
    references: _References


@dataclass(frozen=True, repr=False)
class NewSubjects:
    """People who have keys and are not in the books yet: ``subjects`` in the order that their identities were given in."""

    subjects: Sequence[SubjectId]
    genotype_keys: Mapping[bytes, bytes]
    rows: _Rows

    def add(self, tx: Transaction, session: Session, *, dataset: DatasetId | None = None) -> None:
        """Insert them, their sealed identities and references, in the caller's transaction.

        ``dataset``: the one whose import registers them (None: a sheet names them).

        Raises:
            UnavailableError: ``changed_meanwhile``: their keys are gone again.
        """
        rows = self.rows
        if not rows.subjects:
            return
        # Keys of people who are in no book may be taken away (vault.mending), of all of them at once, and not while this transaction runs.
        if not session.keybook.is_whole(rows.subjects[0]):
            raise UnavailableError(
                "changed_meanwhile", "these people's new keys were taken away meanwhile", hint="repeat the command"
            )
        index, references = ReferenceIndex(session), rows.references
        index.require_current(tx)
        if references.version != index.version:  # somebody was erased since
            references = _references(index, rows.subjects, rows.identities)
        now = to_micros(session.clock())
        insert_columns(tx, SubjectRow, {"subject_id": rows.subjects, "state": "active", "created": now})
        insert_columns(tx, IdentityRow, {"subject_id": rows.subjects, "version": 1, "sealed": rows.sealed})
        columns = {"digest": references.digests, "subject_id": references.subjects}
        insert_columns(tx, ReferenceRow, {**columns, "dataset_id": dataset})


def prepare(session: Session, identities: Sequence[Identity]) -> NewSubjects:
    """New people with keys, which are durable when this returns; keys of people who are then not added stay unused."""
    ids = [SubjectId(drawn) for drawn in draw(session.random, len(identities), ID_BYTES)]
    keys = session.keybook.draw_subjects(ids)
    genotypes = keys[KeyPurpose.GENOTYPE]
    with ThreadPoolExecutor(1, thread_name_prefix="registration") as beside:
        stored = beside.submit(session.keybook.store_subjects, keys)
        rows = _rows(session, keys[KeyPurpose.IDENTITY], dict(zip(ids, identities, strict=True)))
        stored.result()
    return NewSubjects(ids, dict(zip(genotypes.owners, genotypes.keys, strict=True)), rows)


def _rows(session: Session, keys: FreshKeys, named: Mapping[SubjectId, Identity]) -> _Rows:
    subjects = [SubjectId(owner) for owner in keys.owners]
    identities = [named[subject] for subject in subjects]
    references = _references(ReferenceIndex(session), subjects, identities)
    return _Rows(subjects, identities, seal_first(session, keys, identities), references)


def _references(index: ReferenceIndex, subjects: Sequence[SubjectId], identities: Sequence[Identity]) -> _References:
    people = list(zip(subjects, identities, strict=True))
    whose = [subject for subject, identity in people for _ in identity.samples]
    digests = index.digests("sample", (name for identity in identities for name in identity.samples))
    whose += [subject for subject, identity in people if identity.mrn]
    digests += index.digests("mrn", (identity.mrn for identity in identities if identity.mrn))
    whose += subjects
    digests += index.digests("id", index.handles(subjects))
    order = sorted(range(len(digests)), key=digests.__getitem__)
    return _References(index.version, [digests[at] for at in order], [whose[at] for at in order])
