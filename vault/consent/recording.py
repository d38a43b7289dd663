"""Recording of consent: answers, withdrawals and facts about a subject, and the history that they make.

A withdrawal is one call and acts at once: one transaction writes it to the ledger and the log before the call returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path

from sqlalchemy import select

from policies import consent, states
from policies.consent import ConsentEvent, Level, Precision, Status, Withdrawal
from policies.errors import PolicyInputError
from policies.standing import Standing, standing
from policies.stated_times import Stated
from vault.access import reference_data
from vault.audit.actions import Action, Outcome
from vault.consent import coverage, drop_lists, form_responses, forms, known_names, ledger, named_places, signatures
from vault.consent.drop_lists import Followed
from vault.consent.form_responses import FormResponse
from vault.consent.ledger import NewEvent
from vault.consent.proposals import Proposal, pending
from vault.consent.signatures import NOW_BY_THE_PERSON, Signature
from vault.consent.withdrawal_effect import Withdrawn, effect
from vault.errors import GenovaultError, InputError
from vault.files.column_maps import AS_WRITTEN, ColumnMap
from vault.files.csv_sheets import Row, Told, read_sheet
from vault.files.sheet_problems import MAP_HINT, Problem, SheetRejectedError
from vault.ids import SubjectId, new_uuid7
from vault.session.moments import moment
from vault.session.time_zone import instant_in, zone_of
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import SubjectRow
from vault.subjects import people_words
from vault.subjects.identities import open_identities
from vault.subjects.people_words import who
from vault.subjects.references import resolve

FOLLOWED_AT_ONCE = 50
"""People of one sheet for whom notices are opened and called off in its own transaction; those of a longer one are compared at once."""


@dataclass(frozen=True)
class AnswersReport:
    """Result of an import of answers. ``rows``: for each line of the sheet that was recorded, the number of its event in the ledger;
    ``usable``: how many of these people each plain purpose could use now (``coverage.PLAIN``), None where that could not be told;
    ``unchanged``: rows that say what the person's last event says, with the same stated time: nothing is recorded of them.
    """

    recorded: int
    form: str
    version: str
    rows: tuple[tuple[int, int], ...] = ()
    usable: tuple[tuple[str, int], ...] | None = None
    unchanged: int = 0


@dataclass(frozen=True)
class Noted:
    """An event as recorded, and the person in words."""

    event: ConsentEvent
    who: str = field(repr=False)


@dataclass(frozen=True)
class _Recorded:
    """An event as recorded, and what its person's recipients are to be told."""

    subject: SubjectId
    event: ConsentEvent
    followed: Followed


@dataclass(frozen=True)
class History:
    """Consent history of a subject: the known events, the standing they give, and their sealed parts by event id. ``who``: in words."""

    events: tuple[ConsentEvent, ...]
    standing: Standing
    private: Mapping[str, Mapping[str, str]]
    zone: tzinfo = UTC  # of the vault's days
    who: str = field(default="", repr=False)
    proposals: tuple[Proposal, ...] = ()  # corrections that wait for another steward


def import_answers(
    vault: UnlockedVault,
    source: Path | bytes,
    form_name: str,
    *,
    clock_checked: bool = False,
    as_written: bool = False,
    dry_run: bool = False,
    renames: ColumnMap = AS_WRITTEN,
    told: Told = lambda _: None,
) -> AnswersReport:
    """Record a sheet of answers to one form: all rows or none. ``dry_run``: check it only. ``renames``, ``told``: as ``read_sheet``.

    Raises:
        InputError: ``form_unknown``; ``sheet_rejected`` with every bad row. UnavailableError: as ``ledger.append``.
    """
    with vault.trail.attempting(Action.CONSENT_IMPORT):
        form, body = forms.find(vault, form_name)
        columns = form_responses.columns(form, vault.clock(), zone_of(vault))

        def checked(rows: Sequence[Row]) -> tuple[list[FormResponse], list[NewEvent]]:
            responses, found = form_responses.from_rows(vault, form, rows)
            with vault.books.read() as tx:
                new = form_responses.new_events(vault, tx, form, responses, bulk=True, as_written=as_written, found=found)
                return responses, new

        def further(rows: Sequence[Row]) -> Sequence[Problem]:
            try:
                checked(rows)
            except SheetRejectedError as error:
                return error.problems
            return ()

        sheet = read_sheet(source, columns=columns, renames=renames, told=told, unknown_hint=MAP_HINT, further=further)
        every, made = checked(sheet.rows)
        people = [item.subject for item in every]
        if dry_run:
            vault.trail.record(Action.CONSENT_SHOW, Outcome.DONE, subjects=people)
            with vault.books.read() as tx:
                said = form_responses.repeated(vault, tx, made)
            return AnswersReport(len(made) - sum(said), form.id, form.version, unchanged=sum(said))
        with vault.books.write() as tx:
            said = form_responses.repeated(vault, tx, made)
            responses = [item for item, again in zip(every, said, strict=True) if not again]
            new = [event for event, again in zip(made, said, strict=True) if not again]
            forms.store(tx, vault, form, body)
            head, recorded = ledger.append(tx, vault, new, clock_checked=clock_checked)
            vault.trail.append(
                tx,
                Action.CONSENT_IMPORT,
                Outcome.DONE,
                subjects=people,
                counts={"rows": len(new)} | ({"unchanged": len(made) - len(new)} if len(new) < len(made) else {}),
                consent=head.entry(added=len(new)) if new else head.entry(),
                detail={"form": form.id, "version": form.version, "wording": form.wording_sha256},
                flags=signatures.flags(recorded, clock_checked=clock_checked),
            )
            if len(new) <= FOLLOWED_AT_ONCE:
                for subject in sorted({item.subject for item in new}):
                    drop_lists.follow_quietly(vault, tx, subject)
    if len(new) > FOLLOWED_AT_ONCE:
        with suppress(GenovaultError):  # the answers stand already; the next run makes what is missing
            drop_lists.bring_up_to_date(vault)
    rows = tuple((item.line, event.seq) for item, event in zip(responses, recorded, strict=True))
    return AnswersReport(len(new), form.id, form.version, rows, _usable(vault, people), len(made) - len(new))


def _usable(vault: UnlockedVault, subjects: Sequence[SubjectId]) -> tuple[tuple[str, int], ...] | None:
    """As ``coverage.usable``. The answers stand already, so nothing that fails here is an error of theirs."""
    try:
        return coverage.usable(vault, subjects)
    except (GenovaultError, PolicyInputError):
        return None


def record(
    vault: UnlockedVault, reference: str, form_name: str, answers: Mapping[str, str], *, signature: Signature = NOW_BY_THE_PERSON
) -> Noted:
    """Record one subject's answers to a form, also where a sheet would be refused (``form_responses``).

    Raises:
        InputError: ``form_unknown``, ``subject_unknown``, ``subject_ambiguous``; ``sheet_rejected`` with every problem.
    """
    with vault.trail.attempting(Action.CONSENT_RECORD):
        form, body = forms.find(vault, form_name)
        subject = resolve(vault, reference)
        signed = signatures.checked(signature)
        item = FormResponse(
            subject=subject,
            identity=open_identities(vault, [subject])[subject],
            answers=answers,
            legal_time=signatures.stated(vault, signed.at),
            signer=signed.signer,
            signed_by=signed.signed_by,
            evidence=signed.evidence,
            channel=signed.channel,
            qc=signed.qc,
        )
        with vault.books.read() as tx:
            new = form_responses.new_events(vault, tx, form, [item], bulk=False, as_written=signed.as_written)
        with vault.books.write() as tx:
            forms.store(tx, vault, form, body)
            head, recorded = ledger.append(tx, vault, new, clock_checked=signed.clock_checked)
            vault.trail.append(
                tx,
                Action.CONSENT_RECORD,
                Outcome.DONE,
                subjects=[subject],
                consent=head.entry(added=1),
                detail={"form": form.id, "version": form.version, "wording": form.wording_sha256},
                flags=signatures.flags(recorded, clock_checked=signed.clock_checked),
            )
            drop_lists.follow_quietly(vault, tx, subject)
    return Noted(recorded[0], people_words.words(item.identity))


def withdraw(
    vault: UnlockedVault,
    reference: str,
    *,
    scope: str = "everything",
    level: Level = Level.NO_NEW_USE,
    signature: Signature = NOW_BY_THE_PERSON,
) -> Withdrawn:
    """Record a withdrawal; it acts from the moment this returns.

    Raises:
        InputError: ``withdrawal_malformed``, ``name_unknown``, ``place_unknown``, ``subject_unknown``, ``subject_ambiguous``, ``bad_time``, ``bad_evidence``.
    """
    with vault.trail.attempting(Action.CONSENT_WITHDRAW):
        withdrawal = Withdrawal(scope, level, named_places.of_scope(vault, scope))
        with vault.books.read() as tx:
            history = ledger.read(tx, vault).events_of(resolve(vault, reference))
        if not signature.as_written:
            known_names.require_scope(vault, consent.scope(scope), history)
    done = _record(vault, Action.CONSENT_WITHDRAW, reference, signature, withdrawal=withdrawal)
    return effect(vault, done.subject, history, done.event, at=vault.clock(), notices=done.followed.opened)


def note(vault: UnlockedVault, reference: str, status: Status, *, signature: Signature = NOW_BY_THE_PERSON) -> Noted:
    """Record a fact that bears on every decision: a death, loss of capacity, an emancipation.

    Raises:
        InputError: as ``withdraw``.
    """
    done = _record(vault, Action.CONSENT_RECORD, reference, signature, status=status)
    return Noted(done.event, who(vault, done.subject))


def restrict(vault: UnlockedVault, reference: str, *, lift: bool = False) -> Noted:
    """Restrict a subject's data to storage, or lift the restriction (GDPR Article 18)."""
    status = Status.RESTRICTION_LIFTED if lift else Status.RESTRICTED
    done = _record(vault, Action.SUBJECT_RESTRICT, reference, NOW_BY_THE_PERSON, status=status)
    return Noted(done.event, who(vault, done.subject))


def history(vault: UnlockedVault, reference: str, *, at: Stated | None = None, known_at: Stated | None = None) -> History:
    """Consent of a subject at the legal time ``at`` (default: now), from the events known at ``known_at`` (default: all).

    A day stands for its first instant.
    """
    with vault.trail.attempting(Action.CONSENT_SHOW):
        subject = resolve(vault, reference)
        at, known_at = instant_in(vault, at), instant_in(vault, known_at)
        with vault.books.read() as tx:
            book = ledger.read(tx, vault)
            private = ledger.private(vault, tx, book, subject)
            at = at or moment(vault, tx).at
        events = book.events_of(subject)
        known = tuple(e for e in events if known_at is None or e.recorded_at <= known_at)
        state = states.fold(events, known_at=known_at) if known_at else states.fold(events, head=book.head.seq)
        vault.trail.record(Action.CONSENT_SHOW, Outcome.DONE, subjects=[subject])
    shown = {e.event_id: private[e.seq] for e in known}
    waiting = () if known_at else tuple(pending(vault, [subject]))
    return History(known, standing(state, legal_at=at), shown, zone_of(vault), who(vault, subject), waiting)


def blank_sheet(vault: UnlockedVault, form_name: str, *, accept: bool) -> tuple[list[str], list[list[str]]]:
    """Header and rows of an ANSWERS.csv: every subject that has not answered the form; with ``accept``, accepting everything now.

    Subjects with a withdrawal from everything are left out, for a sheet must not ask them again, and those who have died.
    """
    with vault.trail.attempting(Action.SUBJECT_LIST):
        form, _ = forms.find(vault, form_name)
        with vault.books.read() as tx:
            book, ages, zone, now = ledger.read(tx, vault), reference_data.majority(tx), zone_of(vault), vault.clock()
            subjects = [SubjectId(s) for s in tx.scalars(select(SubjectRow.subject_id).where(SubjectRow.state == "active"))]
        skipped = book.who_answered(form.id) | book.who_withdrew() | book.who_died()
        wanted = [s for s in subjects if s not in skipped]
        opened = open_identities(vault, wanted)
        vault.trail.record(Action.SUBJECT_LIST, Outcome.DONE, counts={"subjects": len(wanted)})
    filled = form.accept_all() if accept else {}
    header = ["subject", "legal_time", *(q.id for q in form.questions), "signer", "evidence"]
    people = sorted((_named(opened[subject].samples, opened[subject].mrn), subject) for subject in wanted)
    given = [filled.get(question.id, "") for question in form.questions]

    def signer(subject: SubjectId) -> str:
        of_age = form_responses.life_dates(opened[subject], ages, zone).of_age
        return "" if not accept else "self" if of_age is None or of_age <= now else "guardian"

    return header, [[name, "", *given, signer(subject), ""] for name, subject in people]


def _record(
    vault: UnlockedVault,
    act: Action,
    reference: str,
    signature: Signature,
    *,
    withdrawal: Withdrawal | None = None,
    status: Status | None = None,
) -> _Recorded:
    with vault.trail.attempting(act):
        subject = resolve(vault, reference)
        signed = signatures.checked(signature)
        now, legal = vault.clock(), signatures.stated(vault, signed.at)
        try:
            event = ConsentEvent(
                event_id=new_uuid7(vault.random, now),
                seq=0,
                legal_time=legal.at if legal else now,
                precision=legal.precision if legal else Precision.INSTANT,
                recorded_at=now,
                withdrawal=withdrawal,
                status=status,
                signer=signed.signer,
                recorded_by=vault.principal,
                evidence_hash=signed.evidence,
                channel=signed.channel,
            )
        except PolicyInputError as error:
            raise InputError("withdrawal_malformed" if withdrawal else "record_malformed", str(error)) from None
        if legal is not None:
            signatures.require_possible(vault, signatures.life_of(vault, subject), event)
        private = {form_responses.SIGNED_BY: signed.signed_by} if signed.signed_by else {}
        with vault.books.write() as tx:
            new = NewEvent(subject, event, private, at_once=legal is None)
            head, recorded = ledger.append(tx, vault, [new], clock_checked=signed.clock_checked)
            flags = signatures.flags(recorded, clock_checked=signed.clock_checked)
            vault.trail.append(tx, act, Outcome.DONE, subjects=[subject], consent=head.entry(added=1), flags=flags)
            followed = drop_lists.follow_quietly(vault, tx, subject)
    return _Recorded(subject, recorded[0], followed)


def _named(samples: tuple[str, ...], mrn: str) -> str:
    return f"sample:{samples[0]}" if samples else f"mrn:{mrn}"
