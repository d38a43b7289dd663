"""Settling a panel's view for a cohort: the decision that it is made on, everybody's blocks opened behind an intent, and what it tells charged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vault.access import release_names
from vault.access.disclosure import released_sites
from vault.access.release_limits import ReleaseLimits
from vault.access.scope import AccessScope
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.audit.entry import ObjectRef
from vault.consent.cohort_decisions import Decided
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.gate import blocks, decision
from vault.gate.blocks import OpenPanel
from vault.gate.guards import Marks
from vault.genotypes.catalog import declared_assays
from vault.session.moments import Moment, moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.views.view import View

SETTLED_ON = ("dataset", "part", "personal_part", "erasure", "erasing_chunk")
"""Collections that the calls of a view rest on."""


@dataclass(frozen=True)
class DecidedOn:
    """A decision, and what it was made on."""

    decided: Decided
    limits: ReleaseLimits
    marks: Marks
    when: Moment
    until: datetime | None
    names: int
    people: bytes  # digest of everybody permitted, as entries name them


def decide(vault: UnlockedVault, tx: Transaction, scope: AccessScope) -> DecidedOn:
    """Decide on a panel's view, and what that rests on, as the transaction sees it. Raises as ``decision.decide`` and ``release_limits.limits``."""
    when = moment(vault, tx)
    decided, limits = decision.with_limits(vault, tx, scope, when)
    until = decision.holds_until(vault, tx, scope, decided, when)
    names, people = release_names.newest_version(vault, scope.project), vault.subject_keys.tokens(decided.permitted)
    return DecidedOn(decided, limits, vault.books.marks(tx), when, until, names, vault.trail.log.set_of(people))


def basis_of(scope: AccessScope, on: DecidedOn) -> bytes:
    """Digest of what settles a panel's view, 32 bytes: project, panel, names, people, what is hidden, and what the calls are read from."""
    names = [*SETTLED_ON, *(["linkage_decision"] if on.limits.rules.linkage is not None else [])]
    marks = [on.marks.get(name, (0, b"")) for name in names]
    hidden = repr((on.limits.hidden.masks, on.limits.hidden.only, on.limits.excluded, on.limits.rules)).encode()
    own = scope.project.project_id, scope.dataset.dataset_id, b"" if scope.panel is None else scope.panel.panel_id
    people = sha256(b"".join(on.decided.permitted))
    return sha256(
        encode_context("genovault/settled-panel/v1", *own, on.names, people, sha256(hidden), *(m for one in marks for m in one))
    )


def settle(vault: UnlockedVault, scope: AccessScope) -> tuple[DecidedOn, OpenPanel, View]:
    """Open everybody's blocks behind an intent, settle what the view shows, and charge it: what it was decided on, the panel, and the view.

    Raises:
        RefusedError: as ``decide``; ``too_many_bits``. IntegrityError: as ``blocks.settle_panel``.
    """
    code, panel_id = scope.project.code, b"" if scope.panel is None else scope.panel.panel_id
    about = ObjectRef("panel", panel_id.hex())
    with vault.trail.attempting(Action.PANEL_SETTLE, project=code) as attempt:
        with vault.books.write() as tx:
            on = decide(vault, tx, scope)
            decided = on.decided
            fields = decision.decision_fields(decided.tally, decided.head, scope.detail())
            intent = vault.trail.append(
                tx,
                Action.PANEL_SETTLE,
                Outcome.INTENT,
                subjects=list(decided.permitted),
                project=code,
                obj=about,
                flags=on.when.flags,
                **fields,
            )
            attempt.intent = intent.event_id
        under = release_names.naming(vault, scope.project, "")
        names = dict(zip(decided.permitted, release_names.names(vault, under, decided.permitted), strict=True))
        panel, view = blocks.settle_panel(vault, scope, on.limits, decided, names)
        with vault.books.write() as tx:
            left = _charge(vault, tx, scope, on, panel)
            counts = {"subjects": len(decided.permitted), "sites": len(view.sites)}
            detail = {"counts": counts, "bits": {"cumulative": -(-left // 1000)}}
            vault.trail.append(
                tx,
                Action.PANEL_SETTLE,
                Outcome.DONE,
                refers=intent.event_id,
                project=code,
                obj=about,
                counts=banded(counts),
                detail=detail,
            )
    return on, panel, view


def charged(vault: UnlockedVault, scope: AccessScope, on: DecidedOn, panel: OpenPanel) -> bool:
    """True if everything that the view tells is charged, and may leave; else charge it, which changes what the decision rests on.

    Raises:
        RefusedError: ``too_many_bits``.
    """
    with vault.books.read() as tx:
        if not released_sites.adds(vault, tx, scope.project, panel.bits, limits=_limits(scope, on)):
            return True
    with vault.books.write() as tx:
        _charge(vault, tx, scope, on, panel)
    return False


def _charge(vault: UnlockedVault, tx: Transaction, scope: AccessScope, on: DecidedOn, panel: OpenPanel) -> int:
    dataset_id, own = scope.dataset.dataset_id, f"rdp-{sha256(basis_of(scope, on))[:8].hex()}"
    return released_sites.charge(
        vault, tx, scope.project, panel.bits, release_id=own, dataset_id=dataset_id, limits=_limits(scope, on)
    )


def _limits(scope: AccessScope, on: DecidedOn) -> tuple[int | None, ...]:
    return scope.project.declaration.disclosure.max_bits, on.decided.obligations.max_bits


def rows_digest(vault: UnlockedVault, scope: AccessScope, decided: Decided, limits: ReleaseLimits) -> str:
    """Digest in hex of what settles the calls that a panel shows of somebody permitted, whoever else is: panel, parts, masks, rules."""
    assayed = declared_assays.of_dataset(vault, scope.dataset.dataset_id)
    panel, hidden = scope.panel, limits.hidden
    said = (
        f"{scope.project.project_id.hex()} {scope.dataset.dataset_id.hex()} {scope.dataset.assembly}",
        "" if panel is None else f"{panel.panel_id.hex()} {panel.version}",
        "".join(sorted(part.hex() for part in decided.members.parts)),
        repr(sorted(decided.obligations.as_dict().items())),
        repr((hidden.masks, hidden.only, hidden.assembly, limits.rules)),
        f"{assayed.everything} {assayed.text()}",
    )
    return sha256(b"".join(sha256(one.encode()) for one in said)).hex()
