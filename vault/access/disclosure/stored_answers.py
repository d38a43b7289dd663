"""Stored answers: the noisy number that was drawn once for an allele in a cohort, sealed.

The same question gets the same answer and is not charged again. A cohort with other people, other parts that hold their calls or other
masked places is another one, and so a new draw; but a request that was answered has its own answer, whoever came or left since. Answers
survive a withdrawal, not an erasure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import delete, select

from policies.disclosure.nats import Micronats
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.ids import DatasetId
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.disclosure_tables import StoredAnswerRow
from vault.storage.timestamps import to_micros

SEALED = SealedRecord("stored_answer")
TABLE = StoredAnswerRow.__tablename__


class Spelled(Protocol):
    """Item that a number is of, an allele or a criterion, by its one spelling."""

    @property
    def text(self) -> str:
        """The spelling."""
        ...


T = TypeVar("T", bound=Spelled)


@dataclass(frozen=True)
class StoredAnswer:
    """A number of carriers with noise, and the ε that it was drawn with."""

    noisy: int
    epsilon: Micronats


@dataclass(frozen=True)
class AnsweredCohort:
    """Cohort that a request was answered about: its digest, 32 bytes, and how many people it had."""

    digest: bytes
    people: int


def find(
    vault: UnlockedVault, tx: Transaction, cohort: bytes, asked: Iterable[T], *, dataset_id: DatasetId
) -> dict[T, StoredAnswer]:
    """Answers of a cohort that were drawn already, by what was asked. Raises IntegrityError ``stored_answer_altered``, ``seal_broken``."""
    wanted = {_id(cohort, one): one for one in asked}
    found: dict[T, StoredAnswer] = {}
    for row in tx.scalars(select(StoredAnswerRow).where(StoredAnswerRow.answer_id.in_(list(wanted)))):
        said = SEALED.open(vault.records, row.answer_id, row.sealed, standing=[dataset_id.hex(), row.drawn])
        found[wanted[row.answer_id]] = StoredAnswer(said["noisy"], said["epsilon"])
    return found


def keep(
    vault: UnlockedVault,
    tx: Transaction,
    cohort: bytes,
    drawn: Mapping[T, StoredAnswer],
    *,
    held: Collection[T],
    dataset_id: DatasetId,
) -> None:
    """Store new draws in the caller's write transaction; those of ``held``, which have less accuracy, are replaced."""
    now = to_micros(vault.clock())
    for asked, one in drawn.items():
        answer_id = _id(cohort, asked)
        said = {"noisy": one.noisy, "epsilon": one.epsilon}
        sealed = SEALED.seal(vault.records, answer_id, said, standing=[dataset_id.hex(), now])
        row = StoredAnswerRow(answer_id=answer_id, dataset_id=dataset_id, drawn=now, sealed=sealed)
        if asked in held:
            tx.merge(row)
        else:
            tx.add(row)


def keep_request(vault: UnlockedVault, tx: Transaction, request_id: str, about: AnsweredCohort, *, dataset_id: DatasetId) -> None:
    """Store which cohort a request was answered about, in the caller's write transaction."""
    answer_id, now = _request_id(request_id), to_micros(vault.clock())
    said = {"cohort": about.digest.hex(), "people": about.people}
    sealed = SEALED.seal(vault.records, answer_id, said, standing=[dataset_id.hex(), now])
    tx.merge(StoredAnswerRow(answer_id=answer_id, dataset_id=dataset_id, drawn=now, sealed=sealed))


def of_request(vault: UnlockedVault, tx: Transaction, request_id: str, *, dataset_id: DatasetId) -> AnsweredCohort | None:
    """The cohort that a request was answered about; None before, and once somebody of the dataset was erased. Raises as ``find``."""
    row = tx.get(StoredAnswerRow, _request_id(request_id))
    if row is None:
        return None
    said = SEALED.open(vault.records, row.answer_id, row.sealed, standing=[dataset_id.hex(), row.drawn])
    return AnsweredCohort(bytes.fromhex(said["cohort"]), said["people"])


def purge(tx: Transaction, datasets: Iterable[bytes]) -> None:
    """Delete every answer about these datasets: they are derived from somebody who is erased."""
    tx.execute(delete(StoredAnswerRow).where(StoredAnswerRow.dataset_id.in_(sorted(datasets))))


def faults(vault: UnlockedVault) -> list[str]:
    """Answers that are not as they were drawn, a line each."""

    def check(_: Transaction, row: StoredAnswerRow) -> None:
        SEALED.open(vault.records, row.answer_id, row.sealed, standing=[row.dataset_id.hex(), row.drawn])

    return row_faults(vault, StoredAnswerRow, check, lambda _, error: f"a stored answer: {error.message}")


def _id(cohort: bytes, asked: Spelled) -> bytes:
    return sha256(encode_context("genovault/stored-answer/v1", cohort, asked.text))


def _request_id(request_id: str) -> bytes:
    return sha256(encode_context("genovault/answered-request/v1", request_id))
