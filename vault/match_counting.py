"""Of how many people criteria hold, as noisy numbers: the steps, the floor, the price and the stored answers of ``vault.counting``.

Of people for whom a criterion is unknown nothing is counted, so that a masked locus and one that nobody carries look alike. Phase is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from policies.criteria.packs import CriteriaPack
from policies.disclosure import cells, nats
from policies.disclosure.alleles import Allele
from policies.disclosure.nats import Micronats
from policies.loci import Interval
from vault import counting
from vault.access.scope import AccessScope
from vault.consent.counted_cohorts import CountedCohort, Decide
from vault.counting import ChargedAnswer, CountedItems, OpenCalls
from vault.genotypes.contigs import normal_contig
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault


@dataclass(frozen=True)
class CriterionCount:
    """Number of people for whom a criterion holds, as it was drawn with ``epsilon`` nats; None for fewer than 21 and for all but 20."""

    id: str
    people: int | None
    epsilon: float


@dataclass(frozen=True, kw_only=True)
class CriteriaCounts(ChargedAnswer):
    """Noisy numbers of a pack's criteria; ``reasons`` by criterion."""

    criteria: tuple[CriterionCount, ...]


@dataclass(frozen=True)
class CountedCriterion:
    """A criterion by what it asks: packs that ask the same have one answer."""

    id: str = field(compare=False)
    meaning: str

    @property
    def text(self) -> str:
        """Its spelling among stored answers."""
        return f"criterion:{self.meaning}"


_COUNTS: Cache[dict[bytes, dict[str, tuple[int, int]]]] = Cache(dict)  # of the cohort last asked: people and unknown, by meaning


@dataclass(frozen=True)
class _CriteriaNumbers:
    """Numbers of people from the loci of the pack, which stay in the session's memory until the cohort is another one."""

    vault: UnlockedVault
    scope: AccessScope
    pack: CriteriaPack
    open_calls: OpenCalls

    def missing(self, cohort: CountedCohort, items: Sequence[CountedCriterion]) -> bool:
        return any(one.meaning not in self._known(cohort) for one in items)

    def count(self, cohort: CountedCohort, items: Sequence[CountedCriterion]) -> None:
        from vault.views.criteria_answers import answer as answers  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command
        from vault.views.locus_states import locus_states, without_phase  # noqa: PLC0415 - as above

        calls = self.open_calls(self.scope, cohort.people)(sorted({_place(allele) for allele in self.pack.loci.values()}))
        states = {name: without_phase()[shown] for name, shown in locus_states(calls, self.pack.loci).items()}
        for name, allele in self.pack.loci.items():
            if cohort.masks_allele(allele):
                states[name] = states[name] * 0
        wanted = {one.meaning for one in items}
        said = zip(map(self.pack.meaning, self.pack.criteria), answers(self.pack, states, len(cohort.people)), strict=True)
        counted = {meaning: (len(one.matched), one.unknown) for meaning, one in said if meaning in wanted}
        self.vault.caches.put(_COUNTS, {cohort.digest: {**self._known(cohort), **counted}})

    def number(self, cohort: CountedCohort, item: CountedCriterion) -> tuple[int, str]:
        people, unknown = self._known(cohort)[item.meaning]
        return people, "unknown" if unknown == len(cohort.people) else "small" if people else "absent"

    def _known(self, cohort: CountedCohort) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = self.vault.caches.get(_COUNTS).get(cohort.digest, {})
        return found


def _place(allele: Allele) -> Interval:
    return Interval(normal_contig(allele.contig), allele.position - 1, allele.position - 1 + len(allele.ref))


def answer(
    vault: UnlockedVault, scope: AccessScope, pack: CriteriaPack, epsilon: Micronats, *, decide: Decide, open_calls: OpenCalls
) -> CriteriaCounts:
    """Answer a pack by numbers. Raises as ``counting.settle``."""
    items = tuple(dict.fromkeys(CountedCriterion(one.id, pack.meaning(one)) for one in pack.criteria))
    asked = CountedItems(items, epsilon, {"kind": "matching"}, "criteria")
    settled = counting.settle(vault, scope, asked, _CriteriaNumbers(vault, scope, pack, open_calls), decide=decide)
    people, by_meaning = settled.about.people, {one.meaning: one for one in items}
    found = []
    for criterion in pack.criteria:
        drawn = settled.answers[by_meaning[pack.meaning(criterion)]]
        cell = cells.cell(drawn.noisy, people=people, counted=True)
        found.append(CriterionCount(criterion.id, cell.carriers, nats.number(drawn.epsilon)))
    return CriteriaCounts(criteria=tuple(found), **settled.told(vault, epsilon, name=lambda criterion: criterion.id))
