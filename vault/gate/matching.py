"""Matching in place: a pack's criteria are answered inside, and names of those who match leave in place of genotypes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from policies.criteria.packs import CriteriaPack
from policies.disclosure.nats import Micronats
from policies.disclosure.noise import Price
from policies.purposes import PseudonymScope, RequestKind
from vault import match_counting
from vault.access import askable, criteria_packs, publication, release_names, releases
from vault.access.disclosure import questions
from vault.access.release_names import StreamColumns
from vault.access.scope import AccessScope, scope_of_matching
from vault.access.told import told
from vault.audit.actions import Action
from vault.audit.bands import spoken
from vault.crypto.context import encode_context, fitting
from vault.crypto.primitives import sha256
from vault.gate import accesses, blocks, frozen_decisions
from vault.gate.accesses import Access
from vault.gate.blocks import Lent
from vault.gate.frozen_decisions import AskedScope
from vault.ids import Pseudonym
from vault.match_counting import CriteriaCounts
from vault.session.process_lock import process_lock
from vault.session.unlocked_vault import UnlockedVault

COUNTED = RequestKind.MATCHING, RequestKind.COUNTS
PACK, COHORT = "criteria pack", "matched cohort"  # what is kept with a decision


@dataclass(frozen=True)
class MatchedPeople:
    """Pseudonyms of those whom a criterion holds for, and of how many people it is unknown, as a band."""

    id: str
    matched: tuple[Pseudonym, ...]
    unknown_band: str


@dataclass(frozen=True)
class MatchAnswer:
    """Answers to a pack's criteria. ``bits``: ``view`` of the person of whom this answer tells most, ``cumulative`` of all that left to the organisation."""

    criteria: tuple[MatchedPeople, ...]
    bits: Mapping[str, float]
    receipt: str

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON values."""
        return {**asdict(self), "criteria": [{**asdict(one), "matched": list(one.matched)} for one in self.criteria]}


def match(vault: UnlockedVault, *, project: str, dataset: str, panel: str, criteria: str) -> MatchAnswer:
    """Tell whom of a project's cohort each criterion of an approved pack holds for, under the project's pseudonyms.

    The access is a view of the panel in all but what leaves: who takes part, what is masked and whether phase is known are those of a view.

    Raises:
        InputError: ``criteria_label``; as ``view``. RefusedError: ``criteria_unknown``, ``criteria_not_approved``, ``too_many_bits``; as ``view``.
        IntegrityError: as ``view`` and ``criteria_packs.require``. UnavailableError: as ``view``.
    """
    with vault.trail.attempting(Action.MATCH_INTENT):
        criteria_packs.read_version(criteria)

    return told(
        vault,
        lambda: _match(vault, project, dataset, panel, criteria),
        form=lambda: _require_form(vault, project, dataset, panel, criteria),
    )


def _match(vault: UnlockedVault, project: str, dataset: str, panel: str, criteria: str) -> MatchAnswer:
    from vault.views.matches import matches  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

    with vault.trail.attempting(Action.MATCH_INTENT):
        asked = _question(vault, project, dataset, panel, criteria=criteria, kinds=(RequestKind.MATCHING,))
        release_id = releases.new_id(vault)
    with process_lock(vault.folder, release_id):
        with vault.trail.attempting(Action.MATCH_INTENT):
            access = accesses.begin(vault, asked, release_id, Action.MATCH_INTENT, Action.MATCH_OUTCOME)
        try:
            view = blocks.open_view(vault, access, at_once=True, columns=_columns(vault, access)).view()
            pack = access.frozen.once(PACK, lambda: _pack(vault, access.scope))
            found = matches(view, pack, cohort=access.frozen.once(COHORT, lambda: _cohort(access)))
            outcome = accesses.commit(vault, access, access.content, n_sites=0, bits=found)
        except BaseException as error:
            accesses.log_failure(vault, access, error)
            raise
    bits = releases.load(vault, release_id).content.bits
    draws = np.frombuffer(vault.random(8 * len(found.pseudonyms)), np.uint64)  # an order for this answer, that tells nothing
    return MatchAnswer(
        criteria=tuple(MatchedPeople(one.criterion, found.names(one, draws), spoken(one.unknown)) for one in found.answers),
        bits={"view": bits["largest"], "cumulative": bits["cumulative"]},
        receipt=publication.receive(vault, outcome.index),
    )


def match_counts(
    vault: UnlockedVault,
    *,
    project: str,
    dataset: str,
    panel: str,
    criteria: str,
    epsilon: str | None = None,
    accuracy: int | None = None,
) -> CriteriaCounts:
    """Tell of how many people of a project's cohort each criterion of an approved pack holds, by noisy numbers that are charged.

    Raises:
        InputError: as ``match``; ``document_rejected``: of the accuracy. RefusedError, IntegrityError, UnavailableError: as ``match``, but for
            bits, and as ``questions.of_project`` and ``counting.settle``.
    """
    amount = _amount(vault, criteria, epsilon, accuracy)

    def counted() -> CriteriaCounts:
        with vault.trail.attempting(Action.COUNTS_ANSWER):
            asked = _question(vault, project, dataset, panel, criteria=criteria, kinds=COUNTED)
            pack = asked.kept.once(PACK, lambda: _pack(vault, asked.scope)) if asked.kept else _pack(vault, asked.scope)
            own = questions.of_project(asked.scope.project, amount)
        lent = Lent(vault, asked)
        return match_counting.answer(vault, asked.scope, pack, own, decide=lent.decide, open_calls=lent.open_calls)

    return told(vault, counted, form=lambda: _require_form(vault, project, dataset, panel, criteria))


def match_price(
    vault: UnlockedVault,
    *,
    project: str,
    dataset: str,
    panel: str,
    criteria: str,
    epsilon: str | None = None,
    accuracy: int | None = None,
) -> Price:
    """Price of ``match_counts``, if none of its criteria was answered before. Raises as ``match_counts``, but for what people and budgets refuse."""
    amount = _amount(vault, criteria, epsilon, accuracy)

    def priced() -> Price:
        with vault.trail.attempting(Action.COUNTS_ANSWER):
            scope = _scope(vault, project, dataset, panel, criteria=criteria, kinds=COUNTED)
            pack = _pack(vault, scope)
            return Price(questions.of_project(scope.project, amount), len({pack.meaning(one) for one in pack.criteria}))

    return told(vault, priced, form=lambda: _require_form(vault, project, dataset, panel, criteria))


def _amount(vault: UnlockedVault, criteria: str, epsilon: str | None, accuracy: int | None) -> Micronats:
    """The ε that is said, 0 without one. What is no question is told to everybody."""
    with vault.trail.attempting(Action.COUNTS_ANSWER):
        criteria_packs.read_version(criteria)
        return questions.accuracy(epsilon=epsilon, within=accuracy)


def _scope(
    vault: UnlockedVault, project: str, dataset: str, panel: str, *, criteria: str, kinds: tuple[RequestKind, ...]
) -> AccessScope:
    return scope_of_matching(vault, project=project, dataset=dataset, panel=panel, criteria=criteria, kinds=kinds)


def _question(
    vault: UnlockedVault, project: str, dataset: str, panel: str, *, criteria: str, kinds: tuple[RequestKind, ...]
) -> AskedScope:
    def load() -> AccessScope:
        scope = _scope(vault, project, dataset, panel, criteria=criteria, kinds=kinds)
        _pack(vault, scope)  # what refuses the pack refuses it before anybody is decided on
        return scope

    return frozen_decisions.ask(vault, "matching", project, dataset, panel, criteria, kinds, load=load)


def _columns(vault: UnlockedVault, access: Access) -> StreamColumns | None:
    """People whom a decision permits and their names, in an order at random that is kept with it; None where each release has names of its own."""
    from vault.views.deidentify import row_order  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

    project, version = access.scope.project, access.content.names
    if project.declaration.pseudonyms is PseudonymScope.RELEASE:
        return None

    def named() -> StreamColumns:
        people = access.decided.permitted
        names = release_names.names(vault, release_names.naming(vault, project, "", version=version), people)
        order = row_order(vault.random(32), names).tolist()
        return StreamColumns(tuple(people[at] for at in order), tuple(names[at] for at in order))

    return access.frozen.once(f"names of version {version}", named)


def _require_form(vault: UnlockedVault, project: str, dataset: str, panel: str, criteria: str) -> None:
    askable.require_names(vault, project, dataset, panel=panel, regions=())
    criteria_packs.require_name(vault, criteria)


def _pack(vault: UnlockedVault, scope: AccessScope) -> CriteriaPack:
    with vault.books.read() as tx:
        return criteria_packs.require(vault, tx, scope).pack


def _cohort(access: Access) -> bytes:
    """Digest of the people of an access, the parts that hold their calls, the masks and the rules of a view, 32 bytes."""
    scope, decided, hidden = access.scope, access.decided, access.limits.hidden
    people = scope.project.project_id, scope.dataset.dataset_id, len(decided.permitted), fitting(b"".join(decided.permitted))
    masks = sha256(repr((hidden.masks, hidden.only, access.limits.rules)).encode())
    return sha256(encode_context("genovault/matched-cohort/v1", *people, decided.members.places(decided.permitted), masks))
