"""Subjects held, under random ids, with identities sealed apart from genotypes.

Every subject has four independent keys (genotype, identity, pseudonym salt, audit salt), made and durable before the subject is
(``vault.subjects.registration``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exc, func, select

from vault.audit.actions import Action, Outcome
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import UnavailableError
from vault.files.csv_sheets import Problem, rejected
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import IdentityRow, ReferenceRow, SubjectRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros
from vault.subjects import people_digests
from vault.subjects.identities import Identity, named_by, open_identities, open_identity, seal_identity
from vault.subjects.references import ReferenceIndex, reference_rows, resolve
from vault.subjects.registration import draw_subjects, registering
from vault.subjects.subject_sheet import SubjectSheetRow


@dataclass(frozen=True)
class SubjectSummary:
    """Line of ``subject list``, without identifying data."""

    handle: str
    state: str
    created: str


@dataclass(frozen=True)
class SheetReport:
    """Result of ``subject import``."""

    created: int
    updated: int


def import_sheet(vault: UnlockedVault, rows: Sequence[tuple[int, SubjectSheetRow]], *, update: bool) -> SheetReport:
    """Register a subject for every row (line number, parsed row), or with ``update`` attach its identity to the subject it names.

    All or nothing. A row collides when its MRN or a sample id already belongs to a subject and ``update`` is off, or when its
    references name different subjects, or a subject that an earlier line names; every colliding line is named.

    Raises:
        InputError: ``sheet_rejected`` with ``problems``. UnavailableError: ``changed_meanwhile``.
    """
    with vault.trail.attempting(Action.SUBJECT_IMPORT):
        return _imported(vault, rows, update=update)


def _imported(vault: UnlockedVault, rows: Sequence[tuple[int, SubjectSheetRow]], *, update: bool) -> SheetReport:
    index, identities = ReferenceIndex(vault), [_identity(row) for _, row in rows]
    with vault.books.read() as tx:
        owners = _owners(tx, index, identities)
    problems = _collisions(rows, owners, update=update)
    if problems:
        raise rejected(problems)
    known = [(next(iter(found)), i) for i, found in zip(identities, owners, strict=True) if found]
    unknown = [i for i, found in zip(identities, owners, strict=True) if not found]
    drawn = draw_subjects(vault, len(unknown))
    try:
        with registering(vault, drawn, unknown) as new, new.transaction() as tx:
            index.require_current(tx)
            new.add(tx)
            for subject, identity in known:
                _replace(tx, vault, index, subject, identity)
            vault.trail.append(
                tx,
                Action.SUBJECT_IMPORT,
                Outcome.DONE,
                subjects=[s for s, _ in known],
                tokens=drawn.tokens,
                counts={"created": len(unknown), "updated": len(known)},
            )
    except exc.IntegrityError:  # another process registered a name of the sheet since it was looked up
        raise UnavailableError(
            "changed_meanwhile", "somebody else imported one of these people", hint="repeat the command"
        ) from None
    return SheetReport(len(unknown), len(known))


def subject_list(vault: UnlockedVault) -> list[SubjectSummary]:
    """List handles and states of all subjects, ordered by handle."""
    with vault.trail.attempting(Action.SUBJECT_LIST):
        index = ReferenceIndex(vault)
        with vault.books.read() as tx:
            rows = tx.execute(select(SubjectRow.subject_id, SubjectRow.state, SubjectRow.created)).all()
        # a principal without the branch is refused before anything is logged as done
        handles = index.handles(SubjectId(row.subject_id) for row in rows)
        vault.trail.record(Action.SUBJECT_LIST, Outcome.DONE, counts={"subjects": len(rows)})
    days = (from_micros(row.created).date().isoformat() for row in rows)
    listed = [SubjectSummary(handle, row.state, day) for handle, row, day in zip(handles, rows, days, strict=True)]
    return sorted(listed, key=lambda s: s.handle)


def subject_show(vault: UnlockedVault, reference: str) -> tuple[SubjectSummary, Identity]:
    """Open one subject's identity; the access is logged before it is shown."""
    with vault.trail.attempting(Action.SUBJECT_SHOW):
        subject = resolve(vault, reference)
        identity = open_identities(vault, [subject])[subject]
        with vault.books.read() as tx:
            row = tx.get_one(SubjectRow, subject)
        vault.trail.record(Action.SUBJECT_SHOW, Outcome.DONE, subjects=[subject])
    return SubjectSummary(ReferenceIndex(vault).handle(subject), row.state, from_micros(row.created).date().isoformat()), identity


def require_held(tx: Transaction, subjects: Sequence[SubjectId]) -> None:
    """Refuse to add anything to subjects that were erased, or merged into another, meanwhile. Raises UnavailableError ``subject_erased``."""
    wanted = set(subjects)
    gone = tx.execute(select(SubjectRow.subject_id).where(SubjectRow.state != "active")).scalars()
    if not wanted.isdisjoint(gone):
        raise UnavailableError("subject_erased", "a person was erased or merged meanwhile", hint="repeat the command")


def count(tx: Transaction) -> int:
    """Subjects held, whatever their state."""
    return tx.scalar(select(func.count()).select_from(SubjectRow)) or 0


def _collisions(rows: Sequence[tuple[int, SubjectSheetRow]], owners: Sequence[set[SubjectId]], *, update: bool) -> list[Problem]:
    problems, lines = [], dict[SubjectId, int]()
    for (line, _), found in zip(rows, owners, strict=True):
        if len(found) > 1:
            problems.append(Problem(line, "sample_id", "the sample ids and MRN belong to different subjects"))
        elif found and not update:
            problems.append(Problem(line, "sample_id", "already known; --update attaches identities"))
        elif found and (earlier := lines.setdefault(next(iter(found)), line)) != line:
            problems.append(Problem(line, "sample_id", f"the same subject as on line {earlier}"))
    return problems


def _owners(tx: Transaction, index: ReferenceIndex, identities: Sequence[Identity]) -> list[set[SubjectId]]:
    """Subjects that any reference of each identity belongs to."""
    numbered = [(at, i.mrn) for at, i in enumerate(identities) if i.mrn]
    named = [(at, sample) for at, i in enumerate(identities) for sample in i.samples]
    lines: dict[bytes, int] = {}
    for kind, values in (("sample", named), ("mrn", numbered)):
        digests = index.digests(kind, [value for _, value in values])
        lines.update(zip(digests, [at for at, _ in values], strict=True))
    owners: list[set[SubjectId]] = [set() for _ in identities]
    for digest, subject, _ in reference_rows(tx, lines):
        owners[lines[digest]].add(SubjectId(subject))
    return owners


def _identity(row: SubjectSheetRow) -> Identity:
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


def _references(index: ReferenceIndex, subject: SubjectId, identity: Identity) -> list[bytes]:
    return [index.digest(kind, value) for kind, value in [*named_by(identity), ("id", index.handle(subject))]]


def _replace(tx: Transaction, vault: UnlockedVault, index: ReferenceIndex, subject: SubjectId, identity: Identity) -> None:
    """Add a version to a known subject's identity; references it lacked are added, sample ids it had are kept."""
    index.require_current(tx)
    people_digests.rows_of(tx, [subject])
    row = tx.get_one(IdentityRow, subject)
    key = vault.keys.open(KeyPurpose.IDENTITY, subject)
    old = open_identity(vault, subject, row.version, row.sealed, key)
    samples = tuple(dict.fromkeys([*old.samples, *identity.samples]))
    merged = identity._replace(samples=samples, also=old.also)
    known = set(tx.scalars(select(ReferenceRow.digest).where(ReferenceRow.subject_id == subject)))
    tx.add_all(
        ReferenceRow(digest=digest, subject_id=subject, dataset_id=None)
        for digest in _references(index, subject, merged)
        if digest not in known
    )
    row.version += 1
    row.sealed = seal_identity(vault, subject, merged, row.version, key)
    people_digests.renew(tx, [subject])
