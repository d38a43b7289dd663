"""Registration of new subjects, fifty thousand at a time, by columns and in the order of their indexes.

Rows and keys are two databases: a row is committed when the keys are durable, so a crash leaves unused keys and never a subject
in the books without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import UnavailableError
from vault.ids import ID_BYTES, AuditToken, DatasetId, SubjectId, draw
from vault.session.subject_keys import SUBJECT_PURPOSES, FreshSubjects
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import FreshKeys
from vault.storage.book_tables import IdentityRow, ReferenceRow, SubjectRow
from vault.storage.bulk_columns import insert_columns
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros
from vault.subjects import people_digests
from vault.subjects.identities import Identity, seal_first
from vault.subjects.references import ReferenceIndex


@dataclass(frozen=True, repr=False)
class _References:
    """Reference digests, ascending, with the subject of each, under one version of the index key."""

    version: int
    digests: Sequence[bytes]
    subjects: Sequence[SubjectId]


@dataclass(frozen=True, repr=False)
class _Rows:
    """Rows of the books, by columns; subjects ascend."""

    subjects: Sequence[SubjectId]
    identities: Sequence[Identity]
    sealed: Sequence[bytes]
    references: _References


@dataclass(frozen=True, repr=False)
class DrawnSubjects:
    """Ids, keys and tokens of new subjects, not stored yet; ``subjects`` in random order."""

    subjects: Sequence[SubjectId]
    fresh: FreshSubjects

    @property
    def tokens(self) -> Sequence[AuditToken]:
        """Audit tokens of the subjects."""
        return self.fresh.tokens

    def genotype_keys(self) -> dict[bytes, bytes]:
        """Genotype keys by subject."""
        drawn = self.fresh.keys[KeyPurpose.GENOTYPE]
        return dict(zip(drawn.owners, drawn.keys, strict=True))


def draw_subjects(vault: UnlockedVault, count: int) -> DrawnSubjects:
    """Draw new subjects, for ``registering``."""
    ids = [SubjectId(drawn) for drawn in draw(vault.random, count, ID_BYTES)]
    return DrawnSubjects(ids, vault.subject_keys.draw(ids))


@contextmanager
def registering(vault: UnlockedVault, drawn: DrawnSubjects, identities: Sequence[Identity]) -> Iterator[Registration]:
    """Register people while the block does other work; ``identities``: one for each, in the order of ``drawn.subjects``.

    One thread seals the identities while another keeps the keys, which a database does without Python's lock. Where the block
    fails, the keys are destroyed again, unless the books may name their owners.
    """
    with ThreadPoolExecutor(2, thread_name_prefix="registration") as beside:
        new = Registration(vault, beside, drawn, identities)
        try:
            yield new
        except BaseException as error:
            if isinstance(error, UnavailableError) and error.code == "database_unavailable":  # the commit's outcome is unknown
                raise
            beside.shutdown(cancel_futures=True)
            # They are in the books if it was interrupted behind the commit.
            if drawn.subjects and not _in_books(vault, drawn.subjects[0]):
                vault.keys.destroy(SUBJECT_PURPOSES, drawn.subjects)
            raise


class Registration:
    """Subjects being registered."""

    def __init__(self, vault: UnlockedVault, beside: Executor, drawn: DrawnSubjects, identities: Sequence[Identity]) -> None:
        self._vault, self._beside, self._subjects = vault, beside, drawn.subjects
        self._rows = beside.submit(_rows, vault, drawn, identities)
        self._kept = [beside.submit(vault.subject_keys.store, drawn.fresh)]

    def keep(self, others: Sequence[FreshKeys]) -> None:
        """Store further keys, of rows that go into the books in the same transaction."""
        self._kept.append(self._beside.submit(self._vault.keys.store, others))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a write transaction of the books that commits when all keys are durable; an error in storing them is raised here.

        Raises:
            UnavailableError: ``changed_meanwhile``: their keys are gone again.
        """
        # Books and keys may be one PostgreSQL database, which has one writer at a time.
        if self._vault.keys.dialect != "sqlite":
            self._wait()
        with self._vault.books.write() as tx:
            yield tx
            self._wait()
            # Keys of people who are in no book may be taken away (vault.operations.repair): of all of them at once, and not while this
            # transaction runs.
            if self._subjects and not self._vault.subject_keys.is_complete(self._subjects[0]):
                raise UnavailableError(
                    "changed_meanwhile", "these people's new keys were taken away meanwhile", hint="repeat the command"
                )

    def _wait(self) -> None:
        for kept in self._kept:
            kept.result()

    def add(self, tx: Transaction, *, dataset: DatasetId | None = None) -> None:
        """Insert them, their sealed identities and references, in a ``transaction``.

        ``dataset``: the one whose import registers them (None: a sheet names them).
        """
        rows = self._rows.result()
        if not rows.subjects:
            return
        index, references = ReferenceIndex(self._vault), rows.references
        index.require_current(tx)
        if references.version != index.version:  # an erasure renewed the key since
            references = _references(index, rows.subjects, rows.identities)
        now = to_micros(self._vault.clock())
        insert_columns(tx, SubjectRow, {"subject_id": rows.subjects, "state": "active", "created": now})
        insert_columns(tx, IdentityRow, {"subject_id": rows.subjects, "version": 1, "sealed": rows.sealed})
        people_digests.renew(tx, rows.subjects)
        columns = {"digest": references.digests, "subject_id": references.subjects}
        insert_columns(tx, ReferenceRow, {**columns, "dataset_id": dataset})


def _rows(vault: UnlockedVault, drawn: DrawnSubjects, identities: Sequence[Identity]) -> _Rows:
    keys, named = drawn.fresh.keys[KeyPurpose.IDENTITY], dict(zip(drawn.subjects, identities, strict=True))
    subjects = [SubjectId(owner) for owner in keys.owners]
    ordered = [named[subject] for subject in subjects]
    references = _references(ReferenceIndex(vault), subjects, ordered)
    return _Rows(subjects, ordered, seal_first(vault, keys, ordered), references)


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


def _in_books(vault: UnlockedVault, subject: SubjectId) -> bool:
    with vault.books.read() as tx:
        return tx.get(SubjectRow, subject) is not None
