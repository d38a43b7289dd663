"""Matches: whom a pack's criteria hold for in a view, and what that tells of anybody. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.criteria.bits import surprisals, worst
from policies.criteria.packs import CriteriaPack
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.ids import Pseudonym
from vault.views.criteria_answers import CriterionAnswer, answer
from vault.views.locus_states import locus_states
from vault.views.site_bits import SiteBits
from vault.views.view import View


@dataclass(frozen=True, repr=False)
class Matches:
    """Answers to a pack's criteria in a view, and the bits that they tell.

    ``mean``: of a person on average; ``largest``: of the person of whom they tell most.
    """

    pack: CriteriaPack
    pseudonyms: tuple[Pseudonym, ...]
    answers: tuple[CriterionAnswer, ...]
    cohort: bytes  # digest of the people, the parts that hold their calls, and the masks
    mean: float
    largest: float

    def __repr__(self) -> str:
        return f"Matches({self.pack.label}, {len(self.pseudonyms)} people)"  # who matches ends in no log by accident

    def names(self, one: CriterionAnswer, draws: NDArray[np.uint64]) -> tuple[Pseudonym, ...]:
        """Pseudonyms of those whom a criterion holds for, in the order of ``draws``, uint64[n], one of each person of the view."""
        return tuple(self.pseudonyms[at] for at in one.matched[np.argsort(draws[one.matched], kind="stable")].tolist())

    def sites(self) -> SiteBits:
        """The criteria that tell anything, by name, each with the bits of the person of whom it tells most, rounded up.

        A criterion's name is a digest of what it asks and of the cohort, so that the same question tells nothing new while the cohort is the same.
        """
        people, named = len(self.pseudonyms), dict[int, int]()
        for criterion, one in zip(self.pack.criteria, self.answers, strict=True):
            bits = worst(len(one.matched), people) if people else 0.0
            if bits:
                said = encode_context("genovault/criterion/v1", self.cohort, bytes.fromhex(self.pack.meaning(criterion)))
                named[int.from_bytes(sha256(said)[:8], "big")] = int(np.ceil(bits * 1000))
        keys = np.array(sorted(named), np.uint64)
        return SiteBits(keys, np.array([named[key] for key in sorted(named)], np.uint16))


def matches(view: View, pack: CriteriaPack, *, cohort: bytes) -> Matches:
    """Answer a pack for everybody in a view."""
    people = len(view.pseudonyms)
    found = tuple(answer(pack, locus_states(view, pack.loci), people))
    told = _told(found, people)
    return Matches(pack, view.pseudonyms, found, cohort, float(told.mean()) if people else 0.0, float(told.max(initial=0.0)))


def _told(answers: Sequence[CriterionAnswer], people: int) -> NDArray[np.float64]:
    """float64[n]: bits that the answers tell of each person."""
    told = np.zeros(people)
    seen: set[bytes] = set()
    for one in answers:
        if people == 0 or one.matched.tobytes() in seen:
            continue
        seen.add(one.matched.tobytes())  # the same list again tells nothing more
        listed, others = surprisals(len(one.matched), people)
        told += others
        told[one.matched] += listed - others
    return told
