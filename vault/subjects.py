"""The book of subjects: who is held, under random ids, with identities sealed apart from genotypes.

Every subject has four independent keys (genotype, identity, pseudonym salt, audit salt), made and durable before the subject is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import exc, func, select
from sqlalchemy.orm import Session as Transaction

from vault.audit.acts import Act, Outcome
from vault.crypto.custody import KeyPurpose
from vault.crypto.envelope import Binding, open_blob, seal_blob
from vault.errors import UnavailableError
from vault.ids import DatasetId, SubjectId, new_id
from vault.keybook import OpenKey
from vault.references import ReferenceIndex, batched, reference_rows, resolve
from vault.session import Session
from vault.sheets import Problem, rejected
from vault.storage.base import bulk_insert
from vault.storage.books import IdentityRow, ReferenceRow, SubjectRow
from vault.subject_sheet import IdentityRow as SheetRow
from vault.times import from_micros, to_micros

IDENTITY_FORMAT = "genovault/identity/1"


@dataclass(frozen=True)
class SubjectSummary:
    """One line of ``subject list``: nothing that names the person."""

    handle: str
    state: str
    created: str


@dataclass(frozen=True, repr=False)
class Identity:
    """What is known of a person. Every field but ``samples`` may be empty. No repr: it would print who somebody is."""

    samples: tuple[str, ...]
    mrn: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    country: str = ""
    diagnoses: tuple[str, ...] = ()
    pedigree: str = ""


@dataclass(frozen=True)
class NewSubject:
    """A subject to be made, with the dataset whose import registers it (None: a sheet names it)."""

    identity: Identity
    dataset: DatasetId | None = None


@dataclass(frozen=True)
class SheetReport:
    """What ``subject import`` did."""

    created: int
    updated: int


def import_sheet(session: Session, rows: Sequence[tuple[int, SheetRow]], *, update: bool) -> SheetReport:
    """Make a subject of every row (line number, parsed row), or with ``update`` attach its identity to the subject it names.

    All or nothing. A row collides when its MRN or a sample id already belongs to a subject and ``update`` is off, or when its
    references name different subjects, or a subject that an earlier line names; every colliding line is named.

    Raises:
        InputError: ``sheet_rejected`` with ``problems``. UnavailableError: ``changed_meanwhile``.
    """
    index = ReferenceIndex(session)
    with session.books.read() as tx:
        owners = _owners(tx, index, rows)
    problems = _collisions(rows, owners, update=update)
    if problems:
        raise rejected(problems)
    identities = [_identity(row) for _, row in rows]
    fresh = [NewSubject(i) for i, found in zip(identities, owners, strict=True) if not found]
    known = [(next(iter(found)), i) for i, found in zip(identities, owners, strict=True) if found]
    subjects = prepare(session, len(fresh))
    try:
        with session.books.write() as tx:
            add(tx, session, index, list(zip(subjects, fresh, strict=True)))
            for subject, identity in known:
                _replace(tx, session, index, subject, identity)
            session.append(
                tx,
                Act.SUBJECT_IMPORT,
                Outcome.DONE,
                subjects=[*subjects, *(s for s, _ in known)],
                counts={"created": len(fresh), "updated": len(known)},
            )
    except exc.IntegrityError:  # another process gave a name of the sheet to somebody since it was looked up
        raise UnavailableError(
            "changed_meanwhile", "somebody else imported one of these people", hint="repeat the command"
        ) from None
    return SheetReport(len(fresh), len(known))


def prepare(session: Session, count: int) -> list[SubjectId]:
    """Ids and durable keys for new subjects: keys come first, so a crash leaves unused keys and never a subject without one."""
    subjects = [SubjectId(new_id(session.random)) for _ in range(count)]
    session.keybook.create_subjects(subjects)
    return subjects


def add(tx: Transaction, session: Session, index: ReferenceIndex, new: Sequence[tuple[SubjectId, NewSubject]]) -> None:
    """Insert prepared subjects, their sealed identities and references, in the caller's transaction."""
    if not new:
        return
    index.require_current(tx)
    now = to_micros(session.clock())
    keys = session.keybook.open_keys(KeyPurpose.IDENTITY, [s for s, _ in new])
    bulk_insert(tx, SubjectRow, [{"subject_id": s, "state": "active", "created": now} for s, _ in new])
    sealed = [{"subject_id": s, "version": 1, "sealed": _seal(session, s, n.identity, 1, keys[s])} for s, n in new]
    bulk_insert(tx, IdentityRow, sealed)
    references = [
        {"digest": digest, "subject_id": s, "dataset_id": n.dataset} for s, n in new for digest in _digests(index, s, n.identity)
    ]
    bulk_insert(tx, ReferenceRow, references)


def subject_list(session: Session) -> list[SubjectSummary]:
    """Handles and states of all subjects, ordered by handle."""
    index = ReferenceIndex(session)
    with session.books.read() as tx:
        rows = tx.execute(select(SubjectRow.subject_id, SubjectRow.state, SubjectRow.created)).all()
    session.record(Act.SUBJECT_LIST, Outcome.DONE, counts={"subjects": len(rows)})
    listed = [
        SubjectSummary(index.handle(SubjectId(r.subject_id)), r.state, from_micros(r.created).date().isoformat()) for r in rows
    ]
    return sorted(listed, key=lambda s: s.handle)


def subject_show(session: Session, reference: str) -> tuple[SubjectSummary, Identity]:
    """One subject with the opened identity. The access is logged before it is shown."""
    subject = resolve(session, reference)
    identity = open_identities(session, [subject])[subject]
    with session.books.read() as tx:
        row = tx.get_one(SubjectRow, subject)
    session.record(Act.SUBJECT_SHOW, Outcome.DONE, subjects=[subject])
    return SubjectSummary(
        ReferenceIndex(session).handle(subject), row.state, from_micros(row.created).date().isoformat()
    ), identity


def open_identities(session: Session, subjects: Iterable[SubjectId]) -> dict[SubjectId, Identity]:
    """Opened identities of the subjects. Callers log the access."""
    wanted = list(subjects)
    keys = session.keybook.open_keys(KeyPurpose.IDENTITY, wanted)
    with session.books.read() as tx:
        rows = [
            row for part in batched(wanted) for row in tx.scalars(select(IdentityRow).where(IdentityRow.subject_id.in_(part)))
        ]
    opened = {}
    for row in rows:
        subject = SubjectId(row.subject_id)
        opened[subject] = _open(session, subject, row, keys[subject])
    return opened


def require_held(tx: Transaction, subjects: Sequence[SubjectId]) -> None:
    """Refuse to add anything to subjects that were erased meanwhile. Raises UnavailableError ``subject_erased``."""
    wanted = set(subjects)
    gone = tx.execute(select(SubjectRow.subject_id).where(SubjectRow.state.in_(("erasing", "erased")))).scalars()
    if not wanted.isdisjoint(gone):
        raise UnavailableError("subject_erased", "a person was erased meanwhile", hint="repeat the command")


def count(tx: Transaction) -> int:
    """Subjects held, whatever their state."""
    return tx.scalar(select(func.count()).select_from(SubjectRow)) or 0


def _collisions(rows: Sequence[tuple[int, SheetRow]], owners: Sequence[set[SubjectId]], *, update: bool) -> list[Problem]:
    problems, lines = [], dict[SubjectId, int]()
    for (line, _), found in zip(rows, owners, strict=True):
        if len(found) > 1:
            problems.append(Problem(line, "sample_id", "the sample ids and MRN belong to different subjects"))
        elif found and not update:
            problems.append(Problem(line, "sample_id", "already known; --update attaches identities"))
        elif found and (earlier := lines.setdefault(next(iter(found)), line)) != line:
            problems.append(Problem(line, "sample_id", f"the same subject as on line {earlier}"))
    return problems


def _owners(tx: Transaction, index: ReferenceIndex, rows: Sequence[tuple[int, SheetRow]]) -> list[set[SubjectId]]:
    """For each row the subjects that any of its references belongs to."""
    digests = [[index.digest(kind, value) for kind, value in _named(_identity(row))] for _, row in rows]
    found = reference_rows(tx, [d for row in digests for d in row])
    owner = {row.digest: SubjectId(row.subject_id) for row in found}
    return [{owner[d] for d in row if d in owner} for row in digests]


def _identity(row: SheetRow) -> Identity:
    return Identity(
        samples=row.samples,
        mrn=row.mrn,
        name=row.name,
        birth_date="" if row.birth_date is None else row.birth_date.isoformat(),
        sex=row.sex,
        country=row.country,
        diagnoses=row.diagnoses,
        pedigree=row.pedigree,
    )


def _named(identity: Identity) -> list[tuple[str, str]]:
    return [("sample", name) for name in identity.samples] + ([("mrn", identity.mrn)] if identity.mrn else [])


def _digests(index: ReferenceIndex, subject: SubjectId, identity: Identity) -> list[bytes]:
    return [index.digest(kind, value) for kind, value in [*_named(identity), ("id", index.handle(subject))]]


def _replace(tx: Transaction, session: Session, index: ReferenceIndex, subject: SubjectId, identity: Identity) -> None:
    """A new version of a known subject's identity; references it lacked are added, sample ids it had are kept."""
    index.require_current(tx)
    row = tx.get_one(IdentityRow, subject)
    key = session.keybook.open(KeyPurpose.IDENTITY, subject)
    old = _open(session, subject, row, key)
    samples = tuple(dict.fromkeys([*old.samples, *identity.samples]))
    merged = Identity(**{**vars(identity), "samples": samples})
    known = set(tx.scalars(select(ReferenceRow.digest).where(ReferenceRow.subject_id == subject)))
    tx.add_all(
        ReferenceRow(digest=digest, subject_id=subject, dataset_id=None)
        for digest in _digests(index, subject, merged)
        if digest not in known
    )
    row.version += 1
    row.sealed = _seal(session, subject, merged, row.version, key)


def _binding(session: Session, subject: SubjectId, version: int, key: OpenKey) -> Binding:
    return Binding(
        vault_id=session.vault_id,
        collection="identity",
        record_id=subject,
        subject_id=subject,
        record_version=version,
        key_id=key.key_id,
        key_version=key.version,
        content_type=IDENTITY_FORMAT,
    )


def _seal(session: Session, subject: SubjectId, identity: Identity, version: int, key: OpenKey) -> bytes:
    text = json.dumps(vars(identity), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return seal_blob(key.secret, _binding(session, subject, version, key), text.encode(), random=session.random)


def _open(session: Session, subject: SubjectId, row: IdentityRow, key: OpenKey) -> Identity:
    fields: Mapping[str, object] = json.loads(open_blob(key.secret, _binding(session, subject, row.version, key), row.sealed))
    return Identity(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})  # type: ignore[arg-type]
