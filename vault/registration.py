"""Registering people, fifty thousand at a time: keys first, then rows, by columns and in the order of their indexes.

A crash leaves unused keys, and never a subject in the books without them. The database writes the keys without Python's lock, so
identities are sealed meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy.orm import Session as Transaction

from vault.crypto.custody import KeyPurpose
from vault.errors import UnavailableError
from vault.identities import Identity, seal_first
from vault.ids import ID_BYTES, AuditToken, DatasetId, SubjectId, draw
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
class DrawnSubjects:
    """Ids and keys for new people, kept nowhere yet; ``subjects`` in an order that says nothing."""

    subjects: Sequence[SubjectId]
    keys: Mapping[KeyPurpose, FreshKeys]

    def genotype_keys(self) -> dict[bytes, bytes]:
        """By subject."""
        fresh = self.keys[KeyPurpose.GENOTYPE]
        return dict(zip(fresh.owners, fresh.keys, strict=True))


@dataclass(frozen=True, repr=False)
class NewSubjects:
    """People who have keys and are not in the books yet."""

    drawn: DrawnSubjects
    tokens: Sequence[AuditToken]
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


def draw_subjects(session: Session, count: int) -> DrawnSubjects:
    """New people. Whoever registers them and fails destroys what may have been kept of their keys."""
    ids = [SubjectId(drawn) for drawn in draw(session.random, count, ID_BYTES)]
    return DrawnSubjects(ids, session.keybook.draw_subjects(ids))


def prepare(session: Session, drawn: DrawnSubjects, identities: Sequence[Identity]) -> NewSubjects:
    """Keep their keys, which are durable when this returns, and seal their identities, one for each in the order of ``drawn.subjects``."""
    with ThreadPoolExecutor(1, thread_name_prefix="keys") as beside:
        stored = beside.submit(session.keybook.store_subjects, drawn.keys)
        rows = _rows(session, drawn.keys[KeyPurpose.IDENTITY], dict(zip(drawn.subjects, identities, strict=True)))
        return NewSubjects(drawn, stored.result(), rows)


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
