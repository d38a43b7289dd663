"""Raises of budgets: given by two stewards, each by their own signature.

What a budget may spend is worked out from the signatures, so a row that was edited raises nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from policies.disclosure import nats
from policies.disclosure.budgets import MOST_RAISED, BudgetScope, owner_of
from policies.disclosure.nats import Micronats
from vault.access import projects, second_steward
from vault.audit.actions import Action, Outcome
from vault.crypto.context import encode_context
from vault.crypto.keyring import Branch
from vault.crypto.primitives import sha256
from vault.errors import InputError
from vault.files.yaml_documents import declared
from vault.genotypes.catalog import datasets
from vault.ids import DatasetId
from vault.session import proposal_entries
from vault.session.approvals import Approval
from vault.session.caches import Cache
from vault.session.reasons import require_reason
from vault.session.row_faults import row_faults
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction
from vault.storage.disclosure_tables import BudgetRaiseRow
from vault.storage.timestamps import from_micros

KIND = "budget"
HELD_AGAINST = "budget_raise", "approval", "principal", "vault"
"""Collections that a raise rests on; ``vault`` tells which keystore is the newest."""
MOST_KEPT = 63
_ANY = Statement(select(BudgetRaiseRow.number).limit(1))
_GRANTED: Cache[dict[object, dict[BudgetScope, Micronats]]] = Cache(dict)


@dataclass(frozen=True)
class Raised:
    """A raise that was signed. ``settled`` False: another steward has to give it."""

    scope: BudgetScope
    nats: Micronats
    settled: bool
    proposed_by: str | None


@dataclass(frozen=True)
class ProposedRaise:
    """A raise that waits for another steward. ``content``: the digest that was signed, 32 bytes."""

    project: str
    scope: BudgetScope
    dataset: str
    nats: Micronats
    reason: str
    proposed_by: str
    proposed: datetime
    content: bytes


def raise_budget(
    vault: UnlockedVault,
    code: str,
    given: str,
    *,
    reason: str,
    scope: BudgetScope = BudgetScope.PROJECT,
    dataset: str | None = None,
) -> Raised:
    """Raise a project's budget, or its organisation's or the world's, of a dataset's family. With several stewards the first proposes.

    Args:
        given: nats to add, as a person types them. dataset: None: the only one that the project has.

    Raises:
        InputError: ``document_rejected``: no number of nats; ``raise_too_large``; ``dataset_needed``; ``dataset_unknown``;
            ``reason_missing``. RefusedError: ``self_confirmation``. UnavailableError: as ``approvals.sign``.
    """
    with vault.trail.attempting(Action.BUDGET_RAISE):
        said = require_reason(reason)
        amount = declared(lambda: nats.parse(given, place="nats"), name="the raise")
        if not 0 < amount <= MOST_RAISED:
            raise InputError("raise_too_large", f"a raise is above 0 and at most {MOST_RAISED // nats.UNIT} nats")
        project = projects.load(vault, code)
        owner = owner_of(scope, project=project.code, organisation=project.declaration.purpose.organisation.id)
        held = datasets.by_name(vault, dataset or _only(project)).dataset_id
        with vault.books.write() as tx:
            number = 1 + len(_rows(tx, scope, owner))
            approval = _approval(scope, owner, number, held, amount)
            agreed = second_steward.sign(vault, tx, approval, two=second_steward.needed(tx))
            tx.flush()
            if agreed.settled:
                tx.add(_row(vault, agreed, (scope, owner, number, held, amount)))
                tx.flush()
            detail = {"scope": scope.value, "owner": owner, "nats": nats.text(amount), "reason": said}
            flags = agreed.flags if agreed.settled else ("proposed",)
            vault.trail.append(tx, Action.BUDGET_RAISE, Outcome.DONE, project=code, flags=flags, detail=detail)
    return Raised(scope, amount, agreed.settled, agreed.proposed_by)


def waiting(vault: UnlockedVault) -> list[ProposedRaise]:
    """Raises that another steward can still give, the oldest first. Callers log the look. Empty for a role that does not read the log's details."""
    if not vault.keyring.has(Branch.AUDIT_READ):
        return []
    with vault.books.read() as tx:
        signatures = second_steward.proposals(vault, tx, Action.BUDGET_RAISE, KIND)
        rows = [(one.principal, (one.ref, one.content), from_micros(one.signed)) for one in signatures]
    held = {one.name: one.dataset_id for one in datasets.all_named(vault)} if rows else {}
    found = []
    for principal, digests, signed in rows:
        for leaf, said in proposal_entries.made_by(vault, Action.BUDGET_RAISE, principal, signed):
            scope, owner, amount = BudgetScope(said["scope"]), said["owner"], nats.parse(said["nats"], place="nats")
            with vault.books.read() as tx:
                number = 1 + len(_rows(tx, scope, owner))
            asked = {name: _approval(scope, owner, number, one, amount) for name, one in held.items()}
            of = next((name for name, one in asked.items() if (one.ref, one.content) == digests), None)
            if of is not None:
                made = ProposedRaise(leaf["project"], scope, of, amount, said["reason"], principal, signed, digests[1])
                found.append(made)
                break
    return sorted(found, key=lambda one: one.proposed)


def granted(
    vault: UnlockedVault, tx: Transaction, owners: Mapping[BudgetScope, str], family: Collection[bytes]
) -> dict[BudgetScope, Micronats]:
    """Amount added to each owner's budget of a family, held against the signatures, once while the books have the same raises, approvals and
    principals. Not for a transaction that changes them.

    Raises:
        IntegrityError: ``approval_missing``.
    """
    marks, known = vault.books.marks(tx), vault.caches.get(_GRANTED)
    basis = tuple(sorted(owners.items())), frozenset(family), tuple(marks.get(name) for name in HELD_AGAINST)
    if marks and basis in known:
        return dict(known[basis])
    found = dict.fromkeys(owners, 0)
    if _ANY.rows(tx):
        for scope, owner in owners.items():
            found[scope] = sum(_required(vault, tx, row) for row in _rows(tx, scope, owner) if row.dataset_id in family)
    vault.caches.put(_GRANTED, {**dict(list(known.items())[-MOST_KEPT:]), basis: dict(found)})
    return found


def faults(vault: UnlockedVault) -> list[str]:
    """Raises that are not as two stewards signed them, a line each."""
    return row_faults(
        vault,
        BudgetRaiseRow,
        lambda tx, row: _required(vault, tx, row),
        lambda row, error: f"raise {row.number} of the {row.scope} budget: {error.message}",
    )


def _only(project: projects.Project) -> str:
    names = project.declaration.datasets
    if len(names) != 1:
        raise InputError("dataset_needed", f"project {project.code} has several datasets", hint=f"--dataset {'|'.join(names)}")
    return names[0]


def _required(vault: UnlockedVault, tx: Transaction, row: BudgetRaiseRow) -> Micronats:
    approval = _approval(BudgetScope(row.scope), row.owner, row.number, DatasetId(row.dataset_id), row.nats)
    approved, proposed = (row.approved_by, row.approved), (row.proposed_by, row.proposed)
    second_steward.require(vault, tx, approval, approved=approved, proposed=proposed)
    return row.nats


def _row(
    vault: UnlockedVault, agreed: second_steward.Agreement, said: tuple[BudgetScope, str, int, DatasetId, Micronats]
) -> BudgetRaiseRow:
    scope, owner, number, dataset_id, amount = said
    return BudgetRaiseRow(
        scope=scope.value,
        owner=owner,
        number=number,
        dataset_id=dataset_id,
        nats=amount,
        proposed_by=agreed.proposed_by,
        proposed=agreed.proposed,
        approved_by=vault.principal,
        approved=agreed.approved,
    )


def _rows(tx: Transaction, scope: BudgetScope, owner: str) -> list[BudgetRaiseRow]:
    mine = BudgetRaiseRow.scope == scope.value, BudgetRaiseRow.owner == owner
    return list(tx.scalars(select(BudgetRaiseRow).where(*mine).order_by(BudgetRaiseRow.number)))


def _approval(scope: BudgetScope, owner: str, number: int, dataset_id: DatasetId, amount: Micronats) -> Approval:
    """The raise with this number of one owner's budget: what two stewards sign."""
    ref = sha256(encode_context("genovault/budget-raise/v1", scope.value, owner, number))
    return Approval(Action.BUDGET_RAISE, KIND, ref, sha256(encode_context("genovault/budget-raised/v1", ref, dataset_id, amount)))
