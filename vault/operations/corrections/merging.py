"""Merging of two registrations of one person: the second becomes part of the first, and nobody else notices.

A steward decides, and where there are two the one proposes and another confirms. Consent follows by ``policies.merging``, calls by
``call_moves``, in the place of the import that they came with, so that the earlier import stands where both have a call. Pseudonyms are
keyed to a registration: those of the one that goes cannot be computed any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from vault.access import second_steward
from vault.access.release_holders import releases_with
from vault.audit.actions import Action, Outcome
from vault.consent import merged_history
from vault.consent.merged_history import MergedHistory
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import GenovaultError, InputError, RefusedError
from vault.genotypes.catalog import compacted_parts, datasets, import_checks, overlap
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.overlap import Overlap
from vault.genotypes.store.part_records import Owner
from vault.ids import PartId, SubjectId, new_id
from vault.operations.corrections import call_moves, merge_job, merge_proposals
from vault.operations.corrections.call_moves import Move
from vault.operations.corrections.merge_job import Pair, Written
from vault.operations.erasure.process import alone
from vault.session import object_leases
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import SubjectRow
from vault.subjects import registrations
from vault.subjects.identities import open_identities
from vault.subjects.references import ReferenceIndex, resolve

LEASE = timedelta(hours=6)
PROPOSED, MERGED, WOULD = "proposed", "merged", "would_merge"


@dataclass(frozen=True)
class MetCalls:
    """Calls that both have in a dataset: those of the one that goes that the other has too, the same and others, and the kinship of the two.

    ``kinship``: KING-robust φ, about 0.5 for one person; None where too little is shared.
    """

    dataset: str
    parts: int
    same: int
    different: int
    kinship: float | None


@dataclass(frozen=True)
class MergeReport:
    """Result of a merge, of a proposal of one, or of a look at it. ``stays``, ``goes``: handles.

    ``differing``: fields of the identities that say otherwise, of which the first's stand; ``ended``: policies that either allowed and the
    two together do not; ``releases``: those that hold the person under the pseudonym that is retired.
    """

    state: str
    stays: str
    goes: str
    differing: tuple[str, ...]
    calls: tuple[MetCalls, ...]
    statements: int
    granted: tuple[str, ...]
    ended: tuple[str, ...]
    releases: tuple[str, ...]
    references: int
    takes_two: bool


_ONE_OR_TWO = "they may be two people; --accept once somebody has looked and they are one (--check tells what both have)"


@dataclass(frozen=True)
class _Asked:
    """Two registrations that may be merged, as far as identities and consent tell."""

    pair: Pair
    handles: tuple[str, str]
    differing: tuple[str, ...]
    history: MergedHistory
    moves: Sequence[tuple[Dataset, Move]]
    takes_two: bool


def check(vault: UnlockedVault, stays: str, goes: str) -> MergeReport:
    """Tell what a merge would do, and do nothing; one access of the log. Raises as ``merge``, but for people who differ: that is told."""
    with vault.trail.attempting(Action.SUBJECT_COMPARE) as attempt:
        with alone(vault):
            asked = _asked(vault, stays, goes)
        intent = attempt.opens(asked.pair.both)
        report = _report(WOULD, asked, [(dataset, met) for dataset, _, met in _compared(vault, asked)])
        vault.trail.record(Action.SUBJECT_COMPARE, Outcome.DONE, subjects=asked.pair.both, refers=intent)
    return report


def merge(
    vault: UnlockedVault, stays: str, goes: str, *, reason: str, accept: bool = False, clock_checked: bool = False
) -> MergeReport:
    """Merge the registration that ``goes`` names into the one that ``stays`` names; with several stewards, propose or confirm it.

    Args:
        accept: somebody has looked: they are one person although name, birth date, sex or genotypes differ.

    Raises:
        InputError: ``subject_unknown``, ``subject_ambiguous``, ``same_person``, ``reason_missing``, ``identities_differ``,
            ``sample_swap``, ``calls_differ``. RefusedError: ``subject_restricted``, ``erasure_asked``, ``merge_order``, ``self_confirmation``.
            UnavailableError: ``erasure_running``, ``erasure_pending``, ``branch_closed``, ``dataset_changed``, ``changed_meanwhile``.
    """
    with ExitStack() as held:
        with vault.trail.attempting(Action.SUBJECT_MERGE):
            said = require_reason(reason)
            held.enter_context(alone(vault))
            for branch in merge_job.NEEDED:
                vault.keyring.current(branch)
            asked = _asked(vault, stays, goes)
            apart = [name for name in asked.differing if name in registrations.TOLD_APART]
            if apart and not accept:
                raise InputError(
                    "identities_differ",
                    f"the two have another {' and '.join(apart).replace('_', ' ')}",
                    hint="subject show tells both; subject import --update mends one that is wrong; --accept if they are one person",
                )
            released = _releases(vault, asked)
            job_id = _begun(vault, asked, said, accept=accept)
        if job_id is None:
            return replace(_report(PROPOSED, asked, []), releases=released)
        try:
            met = list(_compared(vault, asked))
            import_checks.judge([found for _, _, found in met], accept=accept, replace=False, cure=_ONE_OR_TWO)
            with ExitStack() as leases:
                written = _written(vault, asked, leases)
                references = merge_job.commit(vault, job_id, asked.pair, written, asked.history, clock_checked=clock_checked)
        except Exception as error:
            code = error.code if isinstance(error, GenovaultError) else "internal_error"
            merge_job.give_up(vault, job_id, Outcome.FAILED, code)
            raise
        report = _report(MERGED, asked, [(dataset, found) for dataset, _, found in met])
        merge_job.finish(vault, job_id)
    return replace(report, releases=released, references=references)


def _asked(vault: UnlockedVault, stays: str, goes: str) -> _Asked:
    """Raises as ``merge``."""
    pair = Pair(resolve(vault, stays), resolve(vault, goes))
    if pair.stays == pair.goes:
        raise InputError("same_person", "both references are of one registration", hint="subject show tells who is who")
    identities, handles = open_identities(vault, pair.both), ReferenceIndex(vault).handles(pair.both)
    with vault.books.read() as tx:
        if any(tx.get_one(SubjectRow, one).state != "active" for one in pair.both):
            raise InputError("subject_unknown", "one of them is being erased", hint="genovault doctor says how to finish it")
        history = merged_history.read(tx, vault, pair.stays, pair.goes)
        takes_two = second_steward.needed(tx)
    if history.restricted:
        raise RefusedError(
            "subject_restricted",
            "the data of one of them is restricted to storage",
            hint="when the restriction has ended: genovault subject restrict REF --lift",
        )
    if history.erasure_asked:
        raise RefusedError(
            "erasure_asked",
            "one of them has asked to be erased",
            hint="genovault subject erase REF carries it out; a merge would keep what has to go",
        )
    moves = [
        (dataset, move)
        for dataset in datasets.all_named(vault)
        for move in call_moves.moves(vault, dataset, {pair.goes: pair.stays}, None)
    ]
    for dataset in {one.dataset_id: one for one, _ in moves}.values():
        _require_order(vault, dataset, pair, [move for one, move in moves if one.dataset_id == dataset.dataset_id])
    differing = registrations.differing(identities[pair.stays], identities[pair.goes])
    return _Asked(pair, (handles[0], handles[1]), differing, history, moves, takes_two)


def _require_order(vault: UnlockedVault, dataset: Dataset, pair: Pair, coming: Sequence[Move]) -> None:
    """Refuse a merge whose earlier calls would not stand: a compacted part is read in the place of its first import, and one of the
    other registration's imports lies between that and the import of the one that stays.

    Raises:
        RefusedError: ``merge_order``.
    """
    held = call_moves.moves(vault, dataset, {pair.stays: pair.stays}, None)
    with vault.books.read() as tx:
        came = [compacted_parts.imported_as(tx, move.row, pair.goes).ordinal for move in coming]
        spans = [(move.row.ordinal, compacted_parts.imported_as(tx, move.row, pair.stays).ordinal) for move in held]
    if any(first <= at < own for first, own in spans for at in came):
        raise RefusedError(
            "merge_order",
            f"calls of the one that stays were joined with others' in {dataset.name}, and an import of the other came between",
            hint="keep the other one instead (the two references the other way round), or first import the stayer's files anew with --replace",
        )


def _begun(vault: UnlockedVault, asked: _Asked, reason: str, *, accept: bool) -> bytes | None:
    """Sign, and begin the job where nobody else has to sign; None: another steward has to.

    Raises:
        RefusedError: ``self_confirmation``.
    """
    approval = merge_proposals.approval(asked.pair, accept=accept)
    detail = merge_proposals.detail(vault, asked.pair, reason=reason, accept=accept)
    with vault.books.write() as tx:
        agreed = second_steward.sign(vault, tx, approval, two=asked.takes_two)
        if not agreed.settled:
            vault.trail.append(tx, Action.SUBJECT_PROPOSE_MERGE, Outcome.DONE, subjects=asked.pair.both, detail=detail)
            return None
        if agreed.proposed_by:
            detail["proposed_by"] = agreed.proposed_by
        return merge_job.begin(tx, vault, asked.pair, detail=detail, flags=agreed.flags)


def _compared(vault: UnlockedVault, asked: _Asked) -> Iterator[tuple[Dataset, Move, Overlap]]:
    """Calls that the one that stays has already of each part's calls."""
    keys = _keys(vault, asked)
    for dataset, move in asked.moves:
        source = call_moves.as_the_others(vault, move, keys[move.old])
        yield dataset, move, overlap.measure(vault, dataset, source, [move.new])


def _written(vault: UnlockedVault, asked: _Asked, leases: ExitStack) -> list[Written]:
    """Seal the calls anew under leases that the stack holds."""
    keys, written = _keys(vault, asked), list[Written]()
    for dataset, move in asked.moves:
        part_id = PartId(new_id(vault.random))
        leases.enter_context(object_leases.acquire(vault, part_id, lasting=LEASE, keys=KeyPurpose.SITE_TABLE))
        part = call_moves.sealed_anew(vault, move, Owner(vault.vault_id, dataset.dataset_id, part_id), keys)
        written.append(Written(dataset, move, part))
    return written


def _keys(vault: UnlockedVault, asked: _Asked) -> Mapping[SubjectId, bytes]:
    return {SubjectId(s): key for s, key in vault.keys.open_many(KeyPurpose.GENOTYPE, asked.pair.both).items()}


def _releases(vault: UnlockedVault, asked: _Asked) -> tuple[str, ...]:
    return tuple(str(one["release"]) for one in releases_with(vault, asked.pair.goes))


def _report(state: str, asked: _Asked, met: Sequence[tuple[Dataset, Overlap]]) -> MergeReport:
    by_name: dict[str, list[Overlap]] = {}
    for dataset, found in met:
        by_name.setdefault(dataset.name, []).append(found)
    return MergeReport(
        state,
        *asked.handles,
        differing=asked.differing,
        calls=tuple(_met(name, found) for name, found in by_name.items()),
        statements=len(asked.history.new),
        granted=asked.history.granted,
        ended=asked.history.ended,
        releases=(),
        references=0,
        takes_two=asked.takes_two,
    )


def _met(name: str, found: Sequence[Overlap]) -> MetCalls:
    known = [float(phi) for one in found for phi in one.kinship if not np.isnan(phi)]
    lowest = round(min(known), 4) if known else None
    return MetCalls(name, len(found), sum(one.same for one in found), sum(one.different for one in found), lowest)
