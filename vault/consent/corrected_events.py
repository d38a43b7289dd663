"""The event that corrects another: what it says, and its sealed part (docs/design/consent.md §4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from policies.consent import ConsentEvent, CorrectionKind, Precision, QcState, SignerRole
from policies.errors import PolicyInputError
from policies.form_answers import preferences, restated
from policies.forms import Form
from policies.signers import with_facts
from policies.stated_times import LegalTime, Stated
from vault.consent import form_responses, forms, ledger, signatures
from vault.errors import InputError
from vault.ids import SubjectId, new_uuid7
from vault.session.unlocked_vault import UnlockedVault

EVIDENCE, CHANNEL, PREFERENCE = "evidence", "channel", "preference:"  # of a sealed part


@dataclass(frozen=True)
class Amendment:
    """Correct statement: a time, some of the answers, the signer, or the same once it is checked. Nothing: it was never said."""

    at: Stated | None = None
    answers: Mapping[str, str] = field(default_factory=dict)  # by question; the others stay
    signer: SignerRole | None = None
    signed_by: str = ""
    checked: bool = False  # it has passed the quality check that it waited for

    @property
    def kind(self) -> CorrectionKind:
        """Choice between an event that was otherwise and one that never was."""
        anything = self.at is not None or self.answers or self.signer is not None or self.signed_by or self.checked
        return CorrectionKind.RESTATED if anything else CorrectionKind.VOID


@dataclass(frozen=True)
class Wrong:
    """A wrongly recorded event with the history that it stands in, and its sealed part."""

    subject: SubjectId = field(repr=False)
    history: tuple[ConsentEvent, ...]
    event: ConsentEvent
    private: Mapping[str, str] = field(repr=False)


def never_said(vault: UnlockedVault, wrong: Wrong, *, evidence: str) -> ConsentEvent:
    """The event that takes another back. ``evidence``: SHA-256, or none."""
    now = vault.clock()
    return ConsentEvent(
        event_id=new_uuid7(vault.random, now),
        seq=0,
        legal_time=now,
        recorded_at=now,
        supersedes=wrong.event.event_id,
        recorded_by=vault.principal,
        evidence_hash=evidence,
        correction=CorrectionKind.VOID,
    )


def said_rightly(
    vault: UnlockedVault, wrong: Wrong, amendment: Amendment, *, evidence: str
) -> tuple[ConsentEvent, dict[str, str]]:
    """The event that says another rightly, with what is sealed of it; the evidence of the wrong one stays unless there is some.

    Raises:
        InputError: ``nothing_said``, ``bad_time``, ``bad_signer``, ``record_rejected``, ``form_unknown``.
    """
    event = wrong.event
    if event.correction is CorrectionKind.VOID:
        raise InputError(
            "nothing_said", "that event only takes another back", hint="without other options it is taken back itself"
        )
    stands = LegalTime(event.legal_time, Precision.DAY if event.dated else Precision.INSTANT)
    legal = signatures.stated(vault, amendment.at) or stands
    sealed = dict(wrong.private)
    held, channel = sealed.pop(EVIDENCE, ""), sealed.pop(CHANNEL, "")
    form = _form_of(vault, event)
    try:
        answers = restated(event, form, amendment.answers, legal.at)
        told = preferences(form, amendment.answers) if form is not None else ()
    except PolicyInputError as error:
        raise InputError(
            "record_rejected", f"the correction: {error}", hint="genovault consent forms --all names the questions"
        ) from None
    sealed |= {f"{PREFERENCE}{one.category}": one.value for one in told if one.question in amendment.answers}
    if amendment.signed_by:
        sealed[form_responses.SIGNED_BY] = amendment.signed_by
    now = vault.clock()
    made = replace(
        event,
        event_id=new_uuid7(vault.random, now),
        seq=0,
        legal_time=legal.at,
        precision=legal.precision,
        recorded_at=now,
        answers=answers,
        signer=amendment.signer or event.signer,
        qc=QcState.VALID,
        supersedes=event.event_id,
        recorded_by=vault.principal,
        evidence_hash=evidence or held,
        channel=channel,
        clock_behind=False,
        correction=CorrectionKind.RESTATED,
    )
    return _signed(vault, wrong, made, sealed.get(form_responses.SIGNED_BY, "")), sealed


def _signed(vault: UnlockedVault, wrong: Wrong, event: ConsentEvent, name: str) -> ConsentEvent:
    """The event, held against the dates of the person's life; a guardian's signature lapses by the birth date as it is known now."""
    others = tuple(one for one in wrong.history if one.event_id != event.supersedes)
    life = with_facts(signatures.life_of(vault, wrong.subject), others)
    if event.signer is not SignerRole.GUARDIAN:
        event = replace(event, lapses_at=None, signer_ref="")
    elif event.accepts:
        try:
            lapses = form_responses.lapse(event.signer, life, event.legal_time)
        except PolicyInputError as error:
            raise InputError("bad_signer", error.message, hint="genovault subject show REF tells the birth date") from None
        with vault.books.read() as tx:
            reference = form_responses.guardian(vault, tx, ledger.read(tx, vault), wrong.subject, name)
        event = replace(event, lapses_at=lapses, signer_ref=reference)
    signatures.require_possible(vault, life, event)
    return event


def _form_of(vault: UnlockedVault, event: ConsentEvent) -> Form | None:
    if event.form is None or not event.answers:
        return None
    return forms.find(vault, f"{event.form.form}@{event.form.version}")[0]
