"""Register of releases: views that left the vault or are about to.

staging    intent logged, files being written        recovery: remove the folder, log the abort; or keep it (``leftovers``)
committed  outcome logged, folder not yet visible    recovery: re-check consent, then finish, or log the abort
released   visible
aborted    nothing became visible
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, select, update

from vault.audit.actions import Outcome, ending
from vault.audit.log import Appended
from vault.audit.reports.records import record_of
from vault.errors import InputError, RefusedError
from vault.ids import ProjectId
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import RELEASE_UNFINISHED, ProjectRow, ReleaseRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, rfc3339, to_micros

SEALED = SealedRecord("release")
UNFINISHED = STAGING, COMMITTED = RELEASE_UNFINISHED
RELEASED, ABORTED = "released", "aborted"
STREAM, CUT = "stream", "cut"  # flags of the entries of a stream, and of an end that came before its end


@dataclass(frozen=True)
class ReleaseContent:
    """Sealed part of a release's record. Folders are empty for a view in memory.

    ``names``: version of the key that made its pseudonyms, 0 in records of before. ``places``: which parts held the calls of its people, as a digest in hex; empty for a view, and in records of before. ``bits``: mean and largest of ``ReleasedBits``, cumulative of ``released_sites``; none in
    records of before.
    ``leftover``: of an extract that may go on after a stop, until it is committed. ``streamed``: its bytes began to leave before its outcome.
    """

    asked: Mapping[str, object]
    obligations: Mapping[str, object]
    staged: str = ""
    output: str = ""
    manifest: str = ""  # manifest.json as it was signed
    places: str = ""
    names: int = 0
    bits: Mapping[str, float] = field(default_factory=dict)
    leftover: Mapping[str, Any] = field(default_factory=dict)
    streamed: bool = False
    spooled: bool = False  # a server keeps the folder for those whom it is for (``spool``)


@dataclass(frozen=True)
class Release:
    """A release, as recorded."""

    release_id: str
    request_id: str | None
    project_id: ProjectId
    project: str
    state: str
    intent_event: str
    outcome_index: int | None
    subject_set: bytes
    n_subjects: int
    n_sites: int
    created: str
    content: ReleaseContent

    @property
    def sealed_for(self) -> dict[str, str]:
        """As ``sealed_for`` says of what it holds."""
        return sealed_for(self.content.asked)


def sealed_for(asked: Mapping[str, object]) -> dict[str, str]:
    """Recipients whose keys a release is sealed to, each with the key's fingerprint; empty for one in the clear. ``asked``: of its content."""
    found = asked.get("sealed_for")
    return {str(name): str(mark) for name, mark in found.items()} if isinstance(found, Mapping) else {}


def new_id(vault: UnlockedVault) -> str:
    """Id of a release to be begun."""
    return f"rel-{vault.random(8).hex()}"


def left(vault: UnlockedVault, intents: Sequence[str]) -> set[str]:
    """Those of the intents of accesses, by their ids, of which the log says that they left; no column of a row can."""
    closings = vault.trail.log.closings(intents)
    said = {intent: [record_of(entry) for entry in entries] for intent, entries in closings.items()}
    return {
        intent
        for intent, closing in said.items()
        if ending(one.outcome for one in closing if one.refers == intent) == Outcome.DONE
    }


def all_left(vault: UnlockedVault) -> list[Release]:
    """Releases that left, newest first, whatever their states in the book; one of whose end the log does not tell by its sealed record."""
    found = list_all(vault)
    gone = left(vault, [one.intent_event for one in found])
    return [one for one in found if one.intent_event in gone or one.outcome_index is not None]


def begin(
    tx: Transaction,
    vault: UnlockedVault,
    release_id: str,
    *,
    project_id: ProjectId,
    request_id: str | None,
    intent: Appended,
    n_subjects: int,
    content: ReleaseContent,
) -> None:
    """Insert a release in state staging, in the transaction of its intent."""
    row = ReleaseRow(
        release_id=release_id,
        request_id=request_id,
        project_id=project_id,
        state=STAGING,
        version=1,
        intent_event=intent.event_id,
        outcome_index=None,
        manifest_sha256=None,
        subject_set=intent.subject_set,
        n_subjects=n_subjects,
        n_sites=0,
        sealed=b"",
        created=to_micros(vault.clock()),
    )
    row.sealed = _seal(vault, row, content)
    tx.add(row)
    tx.flush()


def renew(
    tx: Transaction, vault: UnlockedVault, release_id: str, content: ReleaseContent, *, intent: Appended | None = None
) -> None:
    """Record anew what is sealed of a release in the making; ``intent``: and by which entry it goes on. Raises RefusedError ``release_ended``."""
    row = tx.get_one(ReleaseRow, release_id)
    if row.state != STAGING:
        raise _ended()
    if intent is not None:
        row.intent_event, row.subject_set = intent.event_id, intent.subject_set
    row.version += 1
    row.sealed = _seal(vault, row, content)


def commit(
    tx: Transaction,
    vault: UnlockedVault,
    release_id: str,
    *,
    outcome: Appended,
    n_sites: int,
    content: ReleaseContent,
    manifest_sha256: bytes | None,
    state: str,
) -> None:
    """Record a release, in the transaction of its outcome.

    Raises:
        RefusedError: ``release_ended``: another process aborted it, taking this one for dead.
    """
    row = tx.get_one(ReleaseRow, release_id)
    if row.state != STAGING:
        raise _ended()
    row.state, row.outcome_index, row.n_sites, row.manifest_sha256 = state, outcome.index, n_sites, manifest_sha256
    row.version += 1
    row.sealed = _seal(vault, row, content)


def drop(tx: Transaction, release_id: str) -> None:
    """Mark a release aborted, in the transaction of its outcome."""
    tx.execute(update(ReleaseRow).where(ReleaseRow.release_id == release_id).values(state=ABORTED))


def mark(vault: UnlockedVault, release_id: str, state: str) -> None:
    """Move a release to a state that needs no entry of its own."""
    with vault.books.write() as tx:
        tx.execute(update(ReleaseRow).where(ReleaseRow.release_id == release_id).values(state=state))


def list_all(vault: UnlockedVault) -> list[Release]:
    """All releases, newest first."""
    return _query(vault)


def of_requests(vault: UnlockedVault, request_ids: Sequence[str]) -> list[Release]:
    """Releases of some requests, newest first."""
    return _query(vault, ReleaseRow.request_id.in_(list(request_ids)))


def load(vault: UnlockedVault, release_id: str) -> Release:
    """A release by its id. Raises InputError ``release_unknown``."""
    found = find(vault, release_id)
    if found is None:
        raise InputError("release_unknown", "there is no such release", hint="genovault release list")
    return found


def find(vault: UnlockedVault, release_id: str) -> Release | None:
    """A release by its id, if there is any."""
    return next(iter(_query(vault, ReleaseRow.release_id == release_id)), None)


def faults(vault: UnlockedVault) -> list[str]:
    """Releases whose records are not as they were sealed, a line each."""
    return row_faults(
        vault,
        ReleaseRow,
        lambda _, row: _opened(vault, row, ""),
        lambda row, _: f"the record of release {row.release_id} is not as it was sealed",
    )


def unfinished(vault: UnlockedVault) -> list[Release]:
    """Releases in state staging or committed, of any process."""
    return _query(vault, ReleaseRow.state.in_(UNFINISHED))


def content_of(vault: UnlockedVault, row: ReleaseRow) -> ReleaseContent:
    """Sealed part of a release's row. Raises IntegrityError ``release_altered``, ``seal_broken``."""
    return _opened(vault, row, "").content


def _ended() -> RefusedError:
    return RefusedError("release_ended", "this release was ended meanwhile", hint="ask again")


def _query(vault: UnlockedVault, *where: ColumnElement[bool]) -> list[Release]:
    query = select(ReleaseRow, ProjectRow.code).join(ProjectRow, ProjectRow.project_id == ReleaseRow.project_id)
    with vault.books.read() as tx:
        return [_opened(vault, row, code) for row, code in tx.execute(query.where(*where).order_by(ReleaseRow.created.desc()))]


def _seal(vault: UnlockedVault, row: ReleaseRow, content: ReleaseContent) -> bytes:
    return SEALED.seal(vault.records, row.release_id, asdict(content), standing=_standing(row), version=row.version)


def _standing(row: ReleaseRow) -> list[str | int]:
    """The clear columns, as they are sealed too; ``state`` is what the log says of the release."""
    digests = row.project_id, row.subject_set, row.manifest_sha256 or b""
    numbers = -1 if row.outcome_index is None else row.outcome_index, row.n_subjects, row.n_sites, row.created
    return [row.request_id or "", row.intent_event, *(digest.hex() for digest in digests), *numbers]


def _opened(vault: UnlockedVault, row: ReleaseRow, project: str) -> Release:
    """A release as its row has it. Raises IntegrityError ``release_altered``, ``seal_broken``."""
    content = SEALED.open(vault.records, row.release_id, row.sealed, version=row.version)
    if content.pop("standing", None) not in (None, _standing(row)):  # None: recorded before the columns were sealed
        raise altered(SEALED.collection)
    return Release(
        release_id=row.release_id,
        request_id=row.request_id,
        project_id=ProjectId(row.project_id),
        project=project,
        state=row.state,
        intent_event=row.intent_event,
        outcome_index=row.outcome_index,
        subject_set=row.subject_set,
        n_subjects=row.n_subjects,
        n_sites=row.n_sites,
        created=rfc3339(from_micros(row.created)),
        content=ReleaseContent(**content),
    )
