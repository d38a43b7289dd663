"""Signatures under answers, withdrawals and facts: their times and evidence, held against the clock and the person's life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from policies import signers
from policies.consent import ConsentEvent, QcState, SignerRole
from policies.errors import PolicyInputError
from policies.signers import LifeDates
from policies.stated_times import LegalTime, Stated, legal_time
from vault.access import reference_data
from vault.consent import form_responses
from vault.errors import InputError
from vault.files.evidence_files import digest_of
from vault.ids import SubjectId
from vault.session.time_zone import zone_of
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.identities import open_identities


@dataclass(frozen=True)
class Signature:
    """Signature under a form, a withdrawal or a fact: signer, time (``at`` None: now) and evidence."""

    at: Stated | None = None  # a day is one of the vault's time zone
    signer: SignerRole = SignerRole.SELF
    signed_by: str = ""
    evidence: str = ""  # a SHA-256, or the path of a file whose digest is stored
    channel: str = ""
    qc: QcState = QcState.VALID
    clock_checked: bool = False  # the clock is right, the time of the ledger's last event is not
    as_written: bool = False  # names that nothing here has are meant letter by letter


NOW_BY_THE_PERSON = Signature()


def checked(signature: Signature) -> Signature:
    """Signature with its evidence as a digest. Raises InputError ``bad_evidence``."""
    return replace(signature, evidence=digest_of(signature.evidence)) if signature.evidence else signature


def stated(vault: UnlockedVault, given: Stated | None) -> LegalTime | None:
    """A stated time as the ledger keeps it; None for none. Raises InputError ``bad_time``."""
    if given is None:
        return None
    try:
        return legal_time(given, zone=zone_of(vault), now=vault.clock())
    except PolicyInputError as error:
        future = error.code == "in_the_future"
        message = "nobody can have signed in the future" if future else error.message
        raise InputError("bad_time", message, hint="check the date, and this machine's clock") from None


def life_of(vault: UnlockedVault, subject: SubjectId) -> LifeDates:
    """Dates of the person's life by the identity, which is opened. Callers log the access."""
    with vault.books.read() as tx:
        ages = reference_data.majority(tx)
    return form_responses.life_dates(open_identities(vault, [subject])[subject], ages, zone_of(vault))


def require_possible(vault: UnlockedVault, life: LifeDates, event: ConsentEvent) -> None:
    """Hold an event against the dates of the person's life. Raises InputError ``bad_time``."""
    try:
        signers.require_possible(event, life, zone=zone_of(vault))
    except PolicyInputError as error:
        place = "signer" if error.place == "signer" else "time"
        message = error.message if place == "signer" else f"the time {error.message}"
        raise InputError(f"bad_{place}", message, hint="check the date and the person") from None


def flags(recorded: Sequence[ConsentEvent], *, clock_checked: bool) -> tuple[str, ...]:
    """Flags of the entry about events just recorded."""
    behind = any(event.clock_behind for event in recorded)
    return (*(["clock_behind"] if behind else []), *(["clock_checked"] if clock_checked else []))
