"""Decisions over a cohort: every subject of a dataset, each from its own consent, at one instant.

The same function serves ``project check``, coverage and the gate, so a release does what a steward was told. Each class of equal
subjects is decided once (``decision_classes``), by the rules of ``policies``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import compress
from operator import itemgetter

import numpy as np
import numpy.typing as npt
from sqlalchemy import Row, select

from policies import obligations, states
from policies.decisions import DecisionRequest, Tally, Verdict, bases, judge
from policies.loci import Catalogue, LocusRule
from policies.obligations import Obligations
from policies.purposes import Purpose
from policies.reasons import Reason
from policies.standing import Standing, sources, standing
from policies.states import ConsentState
from policies.term_matching import Effect
from vault.access import reference_data
from vault.access.excluded_places import place_rules
from vault.consent import decision_classes, forms, ledger
from vault.consent.decision_classes import NEVER, DecisionClasses, Group, Indices
from vault.consent.ledger_columns import Ints
from vault.crypto.primitives import sha256
from vault.genotypes.catalog import part_members, personal_parts
from vault.ids import DatasetId, SubjectId
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, PartRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, to_micros

ENFORCED = frozenset(obligations.UNDERSTOOD) - {"watermark", "no_download"}
"""Obligations that this vault can fulfil; a consent with any other one refuses the release."""

DECISION_CLASSES: Cache[DecisionClasses | None] = Cache(lambda: None)  # of the ledger as last read
MEMBERS: Cache[tuple[tuple[object, ...], Members] | None] = Cache(lambda: None)  # last ones, with the records that they are of


@dataclass(frozen=True)
class Members:
    """Subjects of some datasets in the order of their random ids, and the time of each one's newest import, int64[n] in µs.

    ``parts``: whose calls each part holds.
    """

    subjects: list[SubjectId]
    data_at: Ints
    parts: Mapping[bytes, Sequence[SubjectId]] = field(default_factory=dict)

    def keep(self, people: Iterable[SubjectId], *, of: Members) -> bool:
        """True if every part that held calls of these people holds them still; ``of``: the members of before.

        What was moved, replaced or removed since is perhaps another person's.
        """
        changed = [part for part, before in of.parts.items() if self.parts.get(part) != before] if self is not of else []
        if not changed:
            return True
        wanted = set(people)
        return all(wanted.intersection(of.parts[part]).issubset(self.parts.get(part, ())) for part in changed)

    def places(self, people: Iterable[SubjectId]) -> bytes:
        """Digest of which parts hold calls of these people, 32 bytes."""
        wanted = set(people)
        shared = {id(subjects): subjects for subjects in self.parts.values()}  # one list for all parts of a layout
        held = {key: sorted(wanted.intersection(subjects)) for key, subjects in shared.items()}
        return sha256(b"".join(part + subject for part, known in sorted(self.parts.items()) for subject in held[id(known)]))

    def places_of_each(self, people: Iterable[SubjectId]) -> dict[SubjectId, bytes]:
        """Digest of which parts hold calls of each of these people, 8 bytes."""
        wanted = set(people)
        parts: dict[int, list[bytes]] = {}
        for part, subjects in sorted(self.parts.items()):
            parts.setdefault(id(subjects), []).append(part)
        found: dict[SubjectId, list[bytes]] = {person: [] for person in wanted}
        for subjects in {id(one): one for one in self.parts.values()}.values():
            held = sha256(b"".join(parts[id(subjects)]))
            for person in wanted.intersection(subjects):
                found[person].append(held)
        return {person: sha256(b"".join(sorted(held)))[:8] for person, held in found.items()}


@dataclass(frozen=True)
class Verdicts:
    """Verdicts by class, the class of each subject (int64[n], in the order of the request), and the earliest end of a permission."""

    verdicts: tuple[Verdict, ...]
    index: Indices
    expires: datetime | None

    def permits(self) -> npt.NDArray[np.bool_]:
        """Releasable subjects: bool[n], in the order of the request."""
        allowed = np.array([verdict.outcome is Effect.PERMIT for verdict in self.verdicts], bool)
        return allowed[self.index]

    def counts(self) -> dict[tuple[Effect, Reason], int]:
        """Number of subjects by effect and first reason, the most frequent first."""
        sizes = np.bincount(self.index, minlength=len(self.verdicts)).tolist()
        found: dict[tuple[Effect, Reason], int] = {}
        for verdict, size in zip(self.verdicts, sizes, strict=True):
            key = (verdict.outcome, verdict.reasons[0])
            found[key] = found.get(key, 0) + size
        return dict(sorted(((key, size) for key, size in found.items() if size), key=lambda item: (-item[1], str(item[0]))))

    def tally(self) -> Tally:
        """Counts by first reason."""
        sums: dict[Effect, dict[str, int]] = {outcome: {} for outcome in Effect}
        for (outcome, reason), size in self.counts().items():
            sums[outcome][reason.code] = sums[outcome].get(reason.code, 0) + size
        deny, review = (tuple(sorted(sums[outcome].items())) for outcome in (Effect.DENY, Effect.REVIEW))
        return Tally(len(self.index), sum(sums[Effect.PERMIT].values()), deny, review)


@dataclass(frozen=True)
class Decided:
    """Subjects asked about and those permitted, merged obligations, and the ledger head that it rests on. Ids are not printed."""

    subjects: tuple[SubjectId, ...] = field(repr=False)  # in the order of ``verdicts``
    permitted: tuple[SubjectId, ...] = field(repr=False)
    tally: Tally
    obligations: Obligations
    head: ledger.Head
    verdicts: Verdicts
    members: Members = field(repr=False)

    def among(self, people: frozenset[SubjectId]) -> Decided:
        """The decision on those of the subjects who are among some people, and their obligations alone."""
        chosen = np.fromiter((subject in people for subject in self.subjects), bool, len(self.subjects))
        verdicts = replace(self.verdicts, index=self.verdicts.index[chosen])
        return replace(
            self,
            subjects=tuple(compress(self.subjects, chosen.tolist())),
            permitted=tuple(subject for subject in self.permitted if subject in people),
            tally=verdicts.tally(),
            obligations=_obligations(verdicts),
            verdicts=verdicts,
        )


def decide(
    vault: UnlockedVault,
    tx: Transaction,
    purpose: Purpose,
    datasets: Sequence[DatasetId],
    *,
    legal_at: datetime,
    leave_out: bool = False,
) -> Decided:
    """Decide all subjects of some datasets as the transaction sees the ledger. ``leave_out``: as ``decision_request``.

    Raises:
        IntegrityError: as ``ledger.read``.
    """
    held = members(vault, tx, datasets)
    book = ledger.read(tx, vault)
    request = decision_request(vault, tx, purpose, legal_at=legal_at, datasets=datasets, leave_out=leave_out)
    verdicts = decide_members(cached_decision_classes(vault, book), held, request)
    permitted = tuple(compress(held.subjects, verdicts.permits().tolist()))
    return Decided(tuple(held.subjects), permitted, verdicts.tally(), _obligations(verdicts), book.head, verdicts, held)


def holds_until(vault: UnlockedVault, tx: Transaction, decided: Decided, *, legal_at: datetime) -> datetime | None:
    """First time at which any of the subjects asked about may be decided otherwise by itself: a consent begins or ends, a child comes of age."""
    known = cached_decision_classes(vault, ledger.read(tx, vault))
    wanted = np.zeros(len(known.columns.ids) + 1, bool)
    wanted[known.columns.numbers(decided.subjects)] = True
    first = known.next_time(wanted[:-1], at=to_micros(legal_at))
    ends = (None if first == NEVER else from_micros(first), decided.verdicts.expires)
    return min((end for end in ends if end is not None), default=None)


def decision_request(
    vault: UnlockedVault,
    tx: Transaction,
    purpose: Purpose,
    *,
    legal_at: datetime,
    datasets: Sequence[DatasetId] = (),
    leave_out: bool = False,
) -> DecisionRequest:
    """Request for a decision on each subject: the purpose, under this vault's forms and ontology.

    ``datasets``: those asked of; a place that a consent excludes must be found on the assembly of each. ``leave_out``: nobody who excludes
    one takes part (``view_profiles.leaves_out``).
    """
    return DecisionRequest(
        purpose,
        legal_at,
        reference_data.ontology(vault, tx),
        forms.rules(vault, tx),
        understood=ENFORCED,
        placeable=_Placeable(tx, datasets),
        leave_out=leave_out,
    )


class _Placeable:
    """Tells whether a place is found on the assembly of each dataset; packs are read when the first rule is asked about."""

    def __init__(self, tx: Transaction, datasets: Sequence[DatasetId]) -> None:
        self._tx, self._datasets = tx, datasets
        self._known: dict[LocusRule, bool] = {}

    def __call__(self, rule: LocusRule) -> bool:
        if rule not in self._known:
            self._known[rule] = not any(place_rules([rule], places).unresolved for places in self._catalogues)
        return self._known[rule]

    @cached_property
    def _catalogues(self) -> list[Catalogue]:
        query = select(DatasetRow.assembly).where(DatasetRow.dataset_id.in_(self._datasets)).distinct()
        return [reference_data.catalogue(self._tx, assembly) for assembly in self._tx.scalars(query).all()]


def decide_members(known: DecisionClasses, held: Members, request: DecisionRequest) -> Verdicts:
    """Decide subjects from their decision classes, each class once."""
    numbers, total = known.columns.numbers(held.subjects), len(known.columns.ids)
    wanted, data_at = np.zeros(total + 1, bool), np.zeros(total + 1, np.int64)
    wanted[numbers], data_at[numbers] = True, held.data_at  # the last element stands for subjects without events
    by_number = np.zeros(total + 1, np.int64)
    cache = _VerdictCache(known, request)
    by_number[total] = cache.verdict(states.fold((), head=len(known.columns)), 0)
    for group, mine, number, examples in known.classes(wanted[:-1], at=to_micros(request.legal_at), data_at=data_at[:-1]):
        by_number[group.subjects[mine]] = cache.classes(group, mine, number, examples, data_at)[number]
    expires = None if cache.ends == NEVER else from_micros(cache.ends)
    ends = [end for end in (expires, request.rules.domain.end) if end is not None]
    return Verdicts(tuple(cache.verdicts), by_number[numbers], min(ends, default=None))


def members(vault: UnlockedVault, tx: Transaction, datasets: Sequence[DatasetId]) -> Members:
    """Subjects with genotypes in any of the datasets. Raises IntegrityError as ``part_members.listed``.

    A part's record, which is authenticated, names the digest of its members: those that were once held against it need not be again.
    """
    columns = (PartRow.part_id, PartRow.created, PartRow.layout_id, PartRow.members_sha256, PartRow.compacted)
    parts = tx.execute(select(*columns).where(PartRow.dataset_id.in_(datasets))).all()
    personal = personal_parts.people(tx, datasets)
    records = (*map(tuple, parts), *personal)
    known = vault.caches.get(MEMBERS)
    if known is None or known[0] != records:
        known = records, _members(vault, tx, parts, personal)
        vault.caches.put(MEMBERS, known)
    return known[1]


def _members(
    vault: UnlockedVault,
    tx: Transaction,
    parts: Sequence[Row[bytes, int, bytes, bytes, str | None]],
    personal: Sequence[tuple[SubjectId, int, bytes]],
) -> Members:
    listed: dict[bytes, list[SubjectId]] = {}
    latest: dict[bytes, int] = {}
    for part in parts:  # those of one layout have the same people, who are read once
        if part.layout_id not in listed:
            listed[part.layout_id] = part_members.known(vault, tx, part.layout_id, part.members_sha256)
        latest[part.layout_id] = max(part.created, latest.get(part.layout_id, part.created))
    held: dict[bytes, list[SubjectId]] = {part.part_id: listed[part.layout_id] for part in parts}
    if len(listed) == 1 and not personal:
        ((layout_id, only),) = listed.items()
        return Members(only, np.full(len(only), latest[layout_id]), held)
    # Compacting gathers nothing and moves nobody's calls: what was joined stands for itself, with its own time.
    imported = {subject for subject, _, _ in personal}
    for part in parts:
        if part.compacted is not None:
            listed[part.layout_id] = [subject for subject in listed[part.layout_id] if subject not in imported]
            held[part.part_id] = listed[part.layout_id]
    held |= {part_id: [subject] for subject, _, part_id in personal}
    batches = [(latest[layout_id], subjects) for layout_id, subjects in listed.items()]
    batches += [(created, held[part_id]) for _, created, part_id in personal]
    held = {part_id: subjects for part_id, subjects in held.items() if subjects}
    newest: dict[SubjectId, int] = {}
    for created, subjects in sorted(batches, key=itemgetter(0)):
        newest.update(dict.fromkeys(subjects, created))
    everybody = sorted(newest)
    times = np.fromiter((newest[subject] for subject in everybody), np.int64, len(everybody))
    return Members(everybody, times, held)


def cached_decision_classes(vault: UnlockedVault, book: ledger.Ledger) -> DecisionClasses:
    """Decision classes of a ledger, computed once for each state of it."""
    known = vault.caches.get(DECISION_CLASSES)
    if known is None or known.columns is not book.columns:
        known = DecisionClasses.from_columns(book.columns)
        vault.caches.put(DECISION_CLASSES, known)
    return known


class _VerdictCache:
    """Verdicts found so far: equal standings are judged once."""

    def __init__(self, known: DecisionClasses, request: DecisionRequest) -> None:
        self.known = known
        self.request = request
        self.verdicts: list[Verdict] = []
        self.ends = NEVER
        self._seen: dict[tuple[Standing, int], int] = {}

    def verdict(self, state: ConsentState, data_at: int) -> int:
        """Number of the verdict on a state whose data were gathered at ``data_at`` (µs)."""
        where = standing(state, legal_at=self.request.legal_at, domain=self.request.rules.domain)
        limited = any(grant.data_before is not None for grant in where.grants)
        key = (where, data_at if limited else 0)
        if key not in self._seen:
            self._seen[key] = len(self.verdicts)
            self.verdicts.append(judge(where, replace(self.request, data_at=from_micros(data_at))))
        return self._seen[key]

    def classes(self, group: Group, mine: Indices, number: Indices, examples: Indices, data_at: Ints) -> Indices:
        """Verdict numbers of a group's classes, int64[classes]; ends of permissions are noted."""
        found = np.zeros(len(examples), np.int64)
        endings: dict[int, tuple[decision_classes.Times, list[int]]] = {}
        for at, example in enumerate(examples.tolist()):
            state = self.known.state(group, example)
            found[at] = self.verdict(state, int(data_at[group.subjects[example]]))
            verdict = self.verdicts[found[at]]
            if verdict.outcome is Effect.PERMIT:
                behind = sources(state, legal_at=self.request.legal_at, domain=self.request.rules.domain)
                for basis in bases(behind, self.request.purpose, verdict):
                    own, fixed = decision_classes.ending(self.known, group, example, basis)
                    self.ends = min(self.ends, fixed)
                    for times in own:
                        endings.setdefault(id(times), (times, []))[1].append(at)
        for times, places in endings.values():
            ended = np.isin(number, places)
            self.ends = min(self.ends, int(times.values[mine[ended]].min()))
        return found


def _obligations(verdicts: Verdicts) -> Obligations:
    used = set(np.unique(verdicts.index).tolist())
    permitted = [v for at, v in enumerate(verdicts.verdicts) if at in used and v.outcome is Effect.PERMIT]
    return replace(obligations.merge(v.obligations for v in permitted), expires=verdicts.expires if permitted else None)
