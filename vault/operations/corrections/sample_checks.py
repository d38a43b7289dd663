"""Checks of a dataset's samples: duplicates, swaps, sex, call rate; one access of the log, a list of handles for the steward.

Nothing leaves but verdicts: kinship of 0.35 and more between two people (one person registered twice, or identical twins), of less than
that between two parts of one person (a swap), heterozygosity on X unlike the declared sex, and people with few calls.
"""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass

import numpy as np

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.genotypes.catalog import common_snps, datasets, pairwise_kinship
from vault.genotypes.catalog.call_comparison import LEAST_SNPS, SAME_PERSON
from vault.genotypes.catalog.common_snps import CommonCalls
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.identities import open_identities
from vault.subjects.references import ReferenceIndex

LEAST_CALL_RATE = 0.90
DUPLICATE, SWAP, SEX, FEW_CALLS = "duplicate", "swap", "sex", "few_calls"


@dataclass(frozen=True)
class Suspicion:
    """One line of the list. ``value``: kinship, share of heterozygous SNPs on X over that elsewhere, or share of called SNPs."""

    kind: str
    subject: str
    other: str
    value: float


@dataclass(frozen=True)
class Checked:
    """Result of ``dataset check``. ``snps``: autosomal ones that were used; ``pairs``: of people with 200 or more of them in common."""

    dataset: str
    people: int
    snps: int
    pairs: int
    suspicions: tuple[Suspicion, ...]

    def as_csv(self) -> str:
        """Suspicions as CSV."""
        text = io.StringIO()
        rows = csv.DictWriter(text, ["kind", "subject", "other", "value"], lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(one) for one in self.suspicions)
        return text.getvalue()


def check(vault: UnlockedVault, name: str) -> Checked:
    """Check every sample of a dataset against every other.

    Raises:
        InputError: ``dataset_unknown``. IntegrityError: a stored object is not what was written. UnavailableError: ``erasure_pending``.
    """
    with vault.trail.attempting(Action.DATASET_CHECK) as attempt:
        dataset = datasets.by_name(vault, name)
        keys = common_snps.keys_of_everybody(vault, dataset)
        obj = ObjectRef("dataset", dataset.dataset_id.hex())
        intent = attempt.opens([SubjectId(subject) for subject in keys], obj=obj)
        calls = common_snps.read(vault, dataset, keys)
        identities = open_identities(vault, calls.people)
        handles = ReferenceIndex(vault).handles(calls.people)
        found, pairs = _duplicates(calls, handles)
        found += [Suspicion(SWAP, handles[at], "", _round(calls.self_kinship[at])) for at in _below(calls.self_kinship)]
        shown = dict(zip(calls.people, handles, strict=True))
        sexes = {subject: identity.sex for subject, identity in identities.items()}
        found += [Suspicion(SEX, shown[subject], "", _round(ratio)) for subject, ratio in common_snps.of_sex(calls, sexes)]
        found += _few_calls(calls, handles)
        counts = {"subjects": len(calls.people), "snps": len(calls.autosomal), "pairs": pairs}
        kinds = {kind: sum(one.kind == kind for one in found) for kind in (DUPLICATE, SWAP, SEX, FEW_CALLS)}
        vault.trail.record(
            Action.DATASET_CHECK,
            Outcome.DONE,
            obj=obj,
            refers=intent,
            subjects=calls.people,
            counts=counts,
            detail={"dataset": name, **kinds},
        )
    return Checked(name, len(calls.people), len(calls.autosomal), pairs, tuple(found))


def _duplicates(calls: CommonCalls, handles: list[str]) -> tuple[list[Suspicion], int]:
    """Pairs that are one person, and the number of pairs that could be compared."""
    found, pairs = [], 0
    for some, phi, shared in pairwise_kinship.kinship(calls.autosomal):
        later = np.arange(shared.shape[1])[None, :] > np.arange(some.start, some.stop)[:, None]
        enough = later & (shared >= LEAST_SNPS) & ~np.isnan(phi)
        pairs += int(enough.sum())
        for row, column in zip(*np.nonzero(enough & (phi >= SAME_PERSON)), strict=True):
            found.append(Suspicion(DUPLICATE, handles[some.start + row], handles[column], _round(phi[row, column])))
    return found, pairs


def _few_calls(calls: CommonCalls, handles: list[str]) -> list[Suspicion]:
    if not len(calls.autosomal):
        return []
    rate = (calls.autosomal != pairwise_kinship.MISSING).mean(axis=0)
    return [Suspicion(FEW_CALLS, handles[at], "", _round(rate[at])) for at in np.flatnonzero(rate < LEAST_CALL_RATE).tolist()]


def _below(kinship: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[int]:
    found: list[int] = np.flatnonzero(kinship < SAME_PERSON).tolist()  # False for NaN
    return found


def _round(value: np.floating | float) -> float:
    return round(float(value), 4)
