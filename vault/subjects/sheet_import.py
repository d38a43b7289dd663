"""Subject sheets taken into the book: people registered, and identities of known ones corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exc

from vault.audit.actions import Action, Outcome
from vault.errors import UnavailableError
from vault.files.sheet_problems import Problem, rejected
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.subjects import corrected_identity, identity_versions, suppressed
from vault.subjects.corrected_identity import Correction, FieldChange, corrected
from vault.subjects.identities import Identity, open_identities
from vault.subjects.references import ReferenceIndex, reference_rows, spellings
from vault.subjects.registration import draw_subjects, registering
from vault.subjects.subject_sheet import SubjectSheetRow


@dataclass(frozen=True)
class SheetReport:
    """Result of ``subject import``: people by what became of them, and (line, change) of everything that was replaced or added."""

    created: int
    updated: int
    unchanged: int = 0
    changes: tuple[tuple[int, FieldChange], ...] = ()


@dataclass(frozen=True)
class SheetOptions:
    """Options of taking a subject sheet.

    Args:
        update: rows of known people attach to these people's identities; else they are refused.
        clear: empty fields of columns that are there empty the identity's; else they say nothing.
        accept_suppressed: take rows of people who were erased and asked not to come back.
        accept_another: take rows that seem to be of another person than the one whom their references name.
        dry_run: change nothing.
        reason: why, kept with what is replaced.
    """

    update: bool = False
    clear: bool = False
    accept_another: bool = False
    accept_suppressed: bool = False
    dry_run: bool = False
    reason: str = ""


_SUPPRESSED = "names somebody who was erased and asked not to come back; --accept suppressed, if the person wants to"
AS_NEW = SheetOptions()


@dataclass(frozen=True, repr=False)
class _Known:
    """A row of a known subject: the identity as it was opened, and as it is to be."""

    line: int
    subject: SubjectId
    old: Identity
    new: Identity


def import_sheet(
    vault: UnlockedVault,
    rows: Sequence[tuple[int, SubjectSheetRow]],
    options: SheetOptions = AS_NEW,
) -> SheetReport:
    """Register a subject for every row (line number, parsed row), or with ``update`` attach its identity to the subject it names.

    All or nothing. A row collides when its MRN or a sample id already belongs to a subject and ``update`` is off, when its
    references name different subjects, or a subject that an earlier line names, or when it seems to be of another person than
    they name (``corrected_identity.another_person``); every colliding line is named. A record number that is replaced is no
    reference any more.

    Raises:
        InputError: ``sheet_rejected`` with ``problems``. UnavailableError: ``changed_meanwhile``.
    """
    with vault.trail.attempting(Action.SUBJECT_IMPORT):
        return _imported(vault, rows, options)


def _imported(vault: UnlockedVault, rows: Sequence[tuple[int, SubjectSheetRow]], options: SheetOptions) -> SheetReport:
    index, identities = ReferenceIndex(vault), [_identity(row) for _, row in rows]
    with vault.books.read() as tx:
        owners = _owners(tx, index, identities)
    problems = _collisions(rows, owners)
    known = _known(vault, rows, identities, owners, options)
    problems += _doubts(known, rows, options)
    if not options.accept_suppressed:
        added = _added(identities, owners, known, rows)
        problems += [Problem(rows[at][0], "sample_id", _SUPPRESSED) for at in suppressed.returning(vault, added)]
    if problems:
        raise rejected(problems)
    unknown = [i for i, found in zip(identities, owners, strict=True) if not found]
    changed = [one for one in known if one.new != one.old]
    changes = tuple((one.line, change) for one in known for change in corrected_identity.changes(one.old, one.new))
    report = SheetReport(len(unknown), len(changed), len(known) - len(changed), changes)
    if options.dry_run:
        vault.trail.record(Action.SUBJECT_SHOW, Outcome.DONE, subjects=[one.subject for one in known])
        return report
    drawn = draw_subjects(vault, len(unknown))
    try:
        with registering(vault, drawn, unknown) as new, new.transaction() as tx:
            index.require_current(tx)
            new.add(tx)
            for one in changed:
                identity_versions.replace(tx, vault, index, one.subject, old=one.old, new=one.new)
            vault.trail.append(
                tx,
                Action.SUBJECT_IMPORT,
                Outcome.DONE,
                subjects=[one.subject for one in known],
                tokens=drawn.tokens,
                counts={"created": report.created, "updated": report.updated},
                detail={"fields": dict(sorted(Counter(change.field for _, change in changes).items())), "reason": options.reason},
            )
    except exc.IntegrityError:  # another process registered a name of the sheet since it was looked up
        raise UnavailableError(
            "changed_meanwhile", "somebody else imported one of these people", hint="repeat the command"
        ) from None
    return report


def _known(
    vault: UnlockedVault,
    rows: Sequence[tuple[int, SubjectSheetRow]],
    identities: Sequence[Identity],
    owners: Sequence[set[SubjectId]],
    options: SheetOptions,
) -> list[_Known]:
    """Rows of people who are known, with their identities before and after."""
    whose = {at: next(iter(found)) for at, found in enumerate(owners) if len(found) == 1}
    held = open_identities(vault, whose.values()) if whose else {}
    correction = Correction(vault.clock().date(), vault.principal, options.reason)
    made = []
    for at, subject in whose.items():
        line, row = rows[at]
        cleared = row.blank if options.clear else frozenset[str]()
        made.append(_Known(line, subject, held[subject], corrected(held[subject], identities[at], correction, cleared=cleared)))
    return made


def _doubts(known: Sequence[_Known], rows: Sequence[tuple[int, SubjectSheetRow]], options: SheetOptions) -> list[Problem]:
    """Rows that cannot be told to be of the person whom they name, or are of known people without ``update``."""
    given, problems = {line: _identity(row) for line, row in rows}, []
    for one in known:
        another = "" if options.accept_another else corrected_identity.another_person(one.old, given[one.line])
        if another:
            column = "mrn" if set(one.old.samples).isdisjoint(given[one.line].samples) else "sample_id"
            cure = "correct theirs first, or --accept another_person if it is the same one"
            problems.append(Problem(one.line, column, f"{another}: {cure}"))
        elif not options.update:
            problems.append(Problem(one.line, "sample_id", "already known; --update attaches identities"))
    return problems


def _added(
    identities: Sequence[Identity],
    owners: Sequence[set[SubjectId]],
    known: Sequence[_Known],
    rows: Sequence[tuple[int, SubjectSheetRow]],
) -> list[Identity]:
    """Names in each row that are nobody's yet."""
    before = {one.line: one.old for one in known}
    found = []
    for (line, _), identity, owner in zip(rows, identities, owners, strict=True):
        old = before.get(line)
        samples = tuple(name for name in identity.samples if old is None or name not in old.samples)
        mrn = identity.mrn if old is None or identity.mrn != old.mrn else ""
        found.append(Identity(samples, mrn) if old is not None or not owner else Identity(()))
    return found


def _collisions(rows: Sequence[tuple[int, SubjectSheetRow]], owners: Sequence[set[SubjectId]]) -> list[Problem]:
    problems, lines = [], dict[SubjectId, int]()
    for (line, _), found in zip(rows, owners, strict=True):
        if len(found) > 1:
            problems.append(Problem(line, "sample_id", "the sample ids and MRN belong to different subjects"))
        elif found and (earlier := lines.setdefault(next(iter(found)), line)) != line:
            problems.append(Problem(line, "sample_id", f"the same subject as on line {earlier}"))
    return problems


def _owners(tx: Transaction, index: ReferenceIndex, identities: Sequence[Identity]) -> list[set[SubjectId]]:
    """Subjects that any reference of each identity belongs to."""
    numbered = [(at, i.mrn) for at, i in enumerate(identities) if i.mrn]
    named = [(at, sample) for at, i in enumerate(identities) for sample in i.samples]
    lines: dict[bytes, int] = {}
    for kind, values in (("sample", named), ("mrn", numbered)):
        forms = {form: at for at, value in values for form in spellings(value)}
        lines.update((digest, forms[form]) for digest, form in index.forms(kind, list(forms)).items())
    owners: list[set[SubjectId]] = [set() for _ in identities]
    for row in reference_rows(tx, lines):
        owners[lines[row.digest]].add(SubjectId(row.subject))
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
