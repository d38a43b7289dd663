"""Accesses between their intent and their outcome: steps 2 to 4 and 7 of the gate."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from vault.access import holdings, leftovers, release_limits, release_names, releases
from vault.access.disclosure import released_sites
from vault.access.releases import ReleaseContent
from vault.access.scope import AccessScope
from vault.access.told import UNKNOWN_COMMIT
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.audit.log import Appended
from vault.consent import ledger, release_decisions
from vault.consent.cohort_decisions import Decided
from vault.crypto.primitives import sha256
from vault.errors import GenovaultError, RefusedError, UnavailableError
from vault.extracts.genotype_files import FileChoice
from vault.extracts.staging import Staging, discard_staged
from vault.gate import decision
from vault.gate.frozen_decisions import AskedScope, FrozenDecision
from vault.session.moments import Moment, moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction


@dataclass(frozen=True)
class Access:
    """One access between its intent (step 4) and its outcome (step 7). ``frozen``: the decision, with what is opened under it."""

    scope: AccessScope
    frozen: FrozenDecision = field(repr=False)
    release_id: str
    intent: Appended
    outcome: Action
    content: ReleaseContent
    flags: tuple[str, ...] = ()  # of its entries

    @property
    def decided(self) -> Decided:
        """The decision that the intent states."""
        return self.frozen.decided

    @property
    def limits(self) -> release_limits.ReleaseLimits:
        """Limits of what is permitted."""
        return self.frozen.limits


@dataclass(frozen=True)
class Destination:
    """Place and form in which an extract is written, and what is there of it already."""

    staging: Staging
    chosen: FileChoice
    left: leftovers.Leftover | None = None
    spooled: bool = False  # for a server to hand out


Bound = Callable[[Transaction, FrozenDecision, Moment], None]
"""Condition of an access beside what all have, as its decision turned out; raises RefusedError."""


def begin(
    vault: UnlockedVault,
    asked: AskedScope,
    release_id: str,
    intent: Action,
    outcome: Action,
    *,
    to: Destination | None = None,
    bound: Bound | None = None,
    flags: tuple[str, ...] = (),
) -> Access:
    """Steps 2 to 4: decide on each subject, apply the limits, and append intent and row of the release, in one transaction.

    A stopped extract goes on under an intent of its own; the one before is closed, if nothing says how it ended.

    Raises:
        RefusedError: as ``decision.decide`` and ``release_limits.limits``; ``extract_changed``. IntegrityError: as ``release_decisions.decide``.
    """
    scope = asked.scope
    with vault.books.write() as tx:
        when = moment(vault, tx)
        frozen = asked.decide(vault, tx, when)
        decided, limits = frozen.now(), frozen.limits
        if bound is not None:
            bound(tx, frozen, when)
        names = release_names.newest_version(vault, scope.project)
        said = {**scope.detail(), "profile": limits.rules.profile, "profile_sha256": limits.rules.sha256}
        content = ReleaseContent(said, decided.obligations.as_dict(), names=names)
        if to is not None:
            staging, places = to.staging, decided.members.places(decided.permitted)
            begun_as = leftovers.begun(vault, to.chosen, lambda: release_decisions.basis(vault, scope, decided, limits))
            content = replace(
                content,
                staged=str(staging.path),
                output=str(staging.output),
                places=places.hex(),
                leftover=begun_as,
                spooled=to.spooled,
            )
            if to.left is not None:
                content = leftovers.taken_up(to.left, content)
        subjects = list(decided.permitted)
        detail = {**said, **scope.recipient_detail(), "obligations": sorted(decided.obligations.names())}
        fields: dict[str, Any] = decision.access_fields(scope, release_id)
        left = None if to is None else to.left
        if left is not None:
            detail["goes_on"] = len(left.finished)
            if not vault.trail.log.closings([left.release.intent_event]):
                old = left.release.intent_event
                vault.trail.append(tx, outcome, Outcome.ABORTED, refers=old, reasons={"resumed": 1}, **fields)
        fields |= decision.decision_fields(decided.tally, decided.head, detail)
        begun = vault.trail.append(tx, intent, Outcome.INTENT, subjects=subjects, flags=(*when.flags, *flags), **fields)
        if left is not None:
            releases.renew(tx, vault, release_id, content, intent=begun)
        else:
            releases.begin(
                tx,
                vault,
                release_id,
                project_id=scope.project.project_id,
                request_id=scope.request_id,
                intent=begun,
                n_subjects=len(subjects),
                content=content,
            )
    return Access(scope, frozen, release_id, begun, outcome, content, flags)


def commit(
    vault: UnlockedVault, access: Access, content: ReleaseContent, *, n_sites: int, bits: released_sites.ToldBits
) -> Appended:
    """Step 7: re-check, then append the outcome and mark the release, in one transaction.

    Raises:
        RefusedError: ``calls_changed``, ``consent_changed``, ``project_changed``, ``request_denied``, ``release_ended``; ``too_many_bits``.
    """
    digest = sha256(content.manifest.encode()) if content.manifest else None
    counts = {"subjects": len(access.decided.permitted), "sites": n_sites}
    scope, limits = access.scope, (access.scope.project.declaration.disclosure.max_bits, access.decided.obligations.max_bits)
    with vault.books.write() as tx:
        head = _recheck(vault, tx, access, moment(vault, tx))
        left = released_sites.charge(
            vault, tx, scope.project, bits, release_id=access.release_id, dataset_id=scope.dataset.dataset_id, limits=limits
        )
        told = {"mean": round(bits.mean, 3), "largest": round(bits.largest, 3), "cumulative": left / 1000}
        content = replace(content, bits=told)
        outcome = vault.trail.append(
            tx,
            access.outcome,
            Outcome.DONE,
            refers=access.intent.event_id,
            counts=banded(counts),
            detail={"counts": counts, "bits": {name: math.ceil(value) for name, value in content.bits.items()}},
            consent=head.entry(),
            blobs=[digest] if digest else [],
            flags=access.flags,
            **decision.access_fields(scope, access.release_id),
        )
        releases.commit(
            tx,
            vault,
            access.release_id,
            outcome=outcome,
            n_sites=n_sites,
            content=content,
            manifest_sha256=digest,
            state=releases.COMMITTED if digest else releases.RELEASED,
        )
        holdings.note(tx, vault, scope, access.intent, access.release_id, names=content.names)
    return outcome


def recheck(vault: UnlockedVault, access: Access) -> ledger.Head:
    """Decide anew on an access that is under way; the ledger head that it rests on from now on. Raises RefusedError as ``commit``."""
    with vault.books.write() as tx:
        return _recheck(vault, tx, access, moment(vault, tx))


def hand_out(vault: UnlockedVault, access: Access) -> Access:
    """Record that bytes of a stream leave from now on, before its outcome: whatever ends it, they have left.

    Raises:
        RefusedError: ``release_ended``.
    """
    content = replace(access.content, streamed=True)
    with vault.books.write() as tx:
        releases.renew(tx, vault, access.release_id, content)
    return replace(access, content=content)


def cut(vault: UnlockedVault, access: Access, error: BaseException, *, n_sites: int, bits: released_sites.ToldBits) -> None:
    """Append that a stream of which bytes have left ended before its end, with what had been read for it by then.

    None where the commit may have happened or the process ends: recovery says so then.
    """
    access.frozen.drop()
    if isinstance(error, UnavailableError) and error.code in UNKNOWN_COMMIT:
        return
    code = error.code if isinstance(error, GenovaultError) else "interrupted"
    counts, scope = {"subjects": len(access.decided.permitted), "sites": n_sites}, access.scope
    with vault.books.write() as tx:
        released_sites.charge(
            vault, tx, scope.project, bits, release_id=access.release_id, dataset_id=scope.dataset.dataset_id, limits=()
        )
        outcome = vault.trail.append(
            tx,
            access.outcome,
            Outcome.DONE,
            refers=access.intent.event_id,
            counts=banded(counts),
            detail={"counts": counts},
            reasons={code: 1},
            flags=(*access.flags, releases.CUT),
            **decision.access_fields(scope, access.release_id),
        )
        releases.commit(
            tx,
            vault,
            access.release_id,
            outcome=outcome,
            n_sites=n_sites,
            content=access.content,
            manifest_sha256=None,
            state=releases.RELEASED,
        )


def _recheck(vault: UnlockedVault, tx: Transaction, access: Access, when: Moment) -> ledger.Head:
    """Decide anew, in the transaction that rests on it; return the ledger head that it rests on.

    Raises:
        RefusedError: ``calls_changed``, ``consent_changed``; as ``decision.decide`` and ``release_limits.limits``.
    """
    decided = access.decided
    if access.frozen.holds(tx, when):
        return access.frozen.now().head
    again = decision.decide(vault, tx, access.scope, when)
    if not again.members.keep(decided.permitted, of=decided.members):
        raise RefusedError("calls_changed", "calls were moved, replaced or removed while the view was made", hint="ask again")
    limits = release_decisions.limits(tx, access.scope, again, when, permitted=len(decided.permitted))
    # A locus excluded since the decision is a withdrawal too.
    if set(decided.permitted) - set(again.permitted) or again.obligations != decided.obligations or limits != access.limits:
        raise RefusedError("consent_changed", "a consent was taken back while the view was made", hint="ask again")
    return again.head


def log_failure(
    vault: UnlockedVault, access: Access, error: BaseException, *, to: Destination | None = None, going_on: bool = False
) -> bool:
    """Append a refused or failed outcome; none where the commit may have happened or the process ends: recovery reads what is durable.

    ``going_on``: contigs are finished. True if the extract may go on from there, because a store or a disk stopped it.
    """
    access.frozen.drop()
    if not isinstance(error, Exception) or (isinstance(error, UnavailableError) and error.code in UNKNOWN_COMMIT):
        return False
    kept = going_on and isinstance(error, UnavailableError)
    if to is not None and not kept:
        discard_staged(to.staging.path)
    if not kept:
        with suppress(UnavailableError):  # a reader holds the write-ahead log: the key is deleted, and overwritten later
            release_names.forget(vault, access.release_id)
    outcome = Outcome.REFUSED if isinstance(error, RefusedError) else Outcome.FAILED
    code = error.code if isinstance(error, GenovaultError) else "internal_error"
    with vault.books.write() as tx:
        fields = decision.access_fields(access.scope, access.release_id)
        vault.trail.append(tx, access.outcome, outcome, refers=access.intent.event_id, reasons={code: 1}, **fields)
        if not kept:
            releases.drop(tx, access.release_id)
    if to is not None and to.chosen.by_contig and not kept:
        leftovers.end_order(vault, access.release_id)
    return kept
