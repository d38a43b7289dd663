"""Whatever came, left and was corrected in whatever order: what is left is what it would be had those who left never come.

Histories of arrays and gVCFs, replaced, moved, merged, withdrawn, erased, removed and compacted at any moment, beside the same told plainly: imports
alone, of those who are left, each call with whose it is in the end. Views and panels say the same, but for what the design says of
blanked places (``played_histories.unlike``).
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.held import Held
from tests.support.person_histories import LOCI, Step, drawn
from tests.support.played_histories import Played, shown, unlike
from vault.operations import doctor
from vault.operations.compaction import plan
from vault.operations.corrections import verification


def begun(folder: Path) -> Played:
    folder.mkdir()
    return Played(Held.make(folder))


def story(played: Played, rng: random.Random, *, first: int, then: int) -> list[Step]:
    """Carry out random steps; those that were not refused: ``first`` some in which nobody leaves, or any if there are no others; ``then`` some after which no file comes."""
    taken = []
    for nth in range(first + then):
        late = nth >= first
        step = drawn(rng, played.model, leaving=late or not then, coming=not late)
        if step.act == "withdraw":
            played.held.everyone_consents()
        taken += [step] if played.step(step) else []
    if not played.panels:
        step = Step("panel", loci=LOCI)
        taken += [step] if played.step(step) else []
    return taken


def settle(played: Played) -> None:
    played.held.everyone_consents()
    played.held.project("demo")


def compared(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    left = begun(folder / "left")
    first, then = rng.choice([(rng.randint(2, 6), rng.randint(1, 4)), (rng.randint(3, 8), 0)])
    steps = story(left, rng, first=first, then=then)
    told = left.model.told()
    if told:
        never = begun(folder / "never")
        for step in [*told, *(step for step in steps if step.act == "panel")]:
            never.step(step)
        for played in (left, never):
            settle(played)
        assert unlike(left, shown(left, left.panels), shown(never, never.panels)) == []
        never.held.vault.close()
    assert doctor.examine(left.held.vault).ok
    if told:
        assert not verification.verify(left.held.vault, "cohort").damages
    left.held.vault.close()


@pytest.fixture(autouse=True)
def by_threes(monkeypatch):
    """Three parts of a class make one of the next, so that few people make several classes."""
    monkeypatch.setattr(plan, "FAN_IN", 3)


@pytest.mark.parametrize("seed", [1])
def test_what_is_left_is_as_if_who_left_had_never_come(tmp_path, seed):
    compared(tmp_path, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 24))
def test_what_is_left_is_as_if_who_left_had_never_come_in_many_histories(tmp_path, seed):
    compared(tmp_path, seed)
