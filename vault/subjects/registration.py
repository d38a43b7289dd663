"""Registration of new subjects, fifty thousand at a time, by columns and in the order of their indexes.

Rows and keys are two databases: a row is committed when the keys are durable, so a crash leaves unused keys and never a subject
in the books without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select, update

from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import UnavailableError
from vault.ids import ID_BYTES, AuditToken, DatasetId, SubjectId, draw
from vault.session.subject_keys import SUBJECT_PURPOSES, FreshSubjects
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import FreshKeys
from vault.storage.book_tables import IdentityRow, ReferenceRow, SubjectRow, VaultRow
from vault.storage.bulk_columns import Column, Value, insert_columns
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros
from vault.subjects import people_digests, reference_keys
from vault.subjects.identities import Identity, named_by, seal_first
from vault.subjects.references import ReferenceIndex, reference_rows


@dataclass(frozen=True, repr=False)
class _References:
    """Reference digests, ascending, with the subject of each and the version of its key. ``newest``: version of the index when they were made."""

    newest: int
    digests: list[bytes]
    subjects: list[SubjectId]
    versions: list[int]


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
        # Here, because books and keys may be one database, which waits for its writer.
        placed = reference_keys.placed(vault, [1 + len(named_by(identity)) for identity in identities])
        self._rows = beside.submit(_rows, vault, drawn, identities, placed)
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
        if references.newest != index.version:  # somebody renewed or made keys since
            references = _references(index, rows.subjects, rows.identities, {})
        _require_new(tx, index, rows, references)
        now = to_micros(self._vault.clock())
        insert_columns(tx, SubjectRow, {"subject_id": rows.subjects, "state": "active", "created": now})
        insert_columns(tx, IdentityRow, {"subject_id": rows.subjects, "version": 1, "sealed": rows.sealed})
        people_digests.renew(tx, rows.subjects)
        columns: dict[str, Column | Value] = {"digest": references.digests, "subject_id": references.subjects}
        insert_columns(tx, ReferenceRow, {**columns, "dataset_id": dataset, "key_version": references.versions})
        if max(references.versions) > index.version:
            tx.execute(update(VaultRow).values(reference_version=max(references.versions)))


def _rows(vault: UnlockedVault, drawn: DrawnSubjects, identities: Sequence[Identity], placed: Sequence[int]) -> _Rows:
    keys, named = drawn.fresh.keys[KeyPurpose.IDENTITY], dict(zip(drawn.subjects, identities, strict=True))
    subjects = [SubjectId(owner) for owner in keys.owners]
    ordered = [named[subject] for subject in subjects]
    index, versions = ReferenceIndex(vault), dict(zip(drawn.subjects, placed, strict=True))
    still = set(placed).issubset(index.versions)  # else somebody renewed keys meanwhile
    references = _references(index, subjects, ordered, versions if still else {})
    return _Rows(subjects, ordered, seal_first(vault, keys, ordered), references)


def _references(
    index: ReferenceIndex, subjects: Sequence[SubjectId], identities: Sequence[Identity], versions: Mapping[SubjectId, int]
) -> _References:
    """Everybody's references, under the keys of ``versions``, else the newest."""
    under: dict[int, dict[SubjectId, Identity]] = {}
    for subject, identity in zip(subjects, identities, strict=True):
        under.setdefault(versions.get(subject, index.version), {})[subject] = identity
    rows = sorted((*pair, version) for version, people in under.items() for pair in index.of_people(people, version))
    return _References(index.version, [d for d, _, _ in rows], [s for _, s, _ in rows], [v for _, _, v in rows])


def _require_new(tx: Transaction, index: ReferenceIndex, rows: _Rows, references: _References) -> None:
    """Refuse names that others got meanwhile under another key than their new holder's; under the same one the books refuse them.

    Raises:
        UnavailableError: ``changed_meanwhile``.
    """
    own = dict(zip(references.subjects, references.versions, strict=True))
    for version in index.versions:
        strangers = {s: i for s, i in zip(rows.subjects, rows.identities, strict=True) if own[s] != version}
        if not strangers or tx.scalar(select(ReferenceRow.digest).where(ReferenceRow.key_version == version).limit(1)) is None:
            continue
        if reference_rows(tx, {digest for digest, _ in index.of_people(strangers, version)}):
            raise UnavailableError("changed_meanwhile", "somebody else imported one of these people", hint="repeat the command")


def _in_books(vault: UnlockedVault, subject: SubjectId) -> bool:
    with vault.books.read() as tx:
        return tx.get(SubjectRow, subject) is not None
