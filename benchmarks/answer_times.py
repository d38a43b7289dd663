"""Times of answers, and what they tell: alleles that many, few and nobody carry and masked ones, and refusals for different reasons.

    python -m benchmarks.answer_times [--people 500] [--rounds 1000]

An engine asks in one process, kinds in turn, each time another allele. AUC: how often one kind's times are longer than another's; 0.5 is
guessing. Only kinds that are told alike are compared. Refusals are timed with and without their wait (``vault.access.told``), which makes
this take half an hour. ``GENOVAULT_ATTACKS=write`` before it writes the largest of each group into docs/attacks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from time import perf_counter

import numpy as np

from policies.disclosure.budgets import BudgetScope
from policies.purposes import RequestKind
from tests.support.attack_figures import shown
from tests.support.counted import declare
from tests.support.held import Held
from tests.support.membership import auc
from vault import gate
from vault.access import reference_data, told
from vault.access.disclosure import raises
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import RefusedError
from vault.operations.recovery import open_recovered
from vault.session import principals

ENGINE = PassphraseFactor.from_text("passphrase of the engine")
SHOWN, HIDDEN = 20_000_000, 40_000_000
HIDES = {
    "version": "own 1",
    "source": "a benchmark",
    "date": "2026-01-01",
    "assemblies": {"GRCh38": {"categories": {"own": [f"22:{HIDDEN}-{HIDDEN + 100_000}"]}}},
}
FEW = 30  # people of a cohort that is too small to be counted
EPSILON = "0.001"
ATTACK = "What the time of an answer tells"
ANSWERS = "two kinds of alleles told apart by the time of their answers: many carry it, few, nobody, masked (0.50 is guessing)"
REFUSALS = "two reasons told apart by the time of the refusal: unknown, another's, drained, small, masked"


def text(people: int, rounds: int) -> str:
    """A VCF of sites that 60 carry, that 5 carry, and that 60 carry where it will be hidden."""
    names = "\t".join(f"P{at:04}" for at in range(people))
    head = f"##fileformat=VCFv4.2\n##contig=<ID=22>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}"

    def line(position: int, carriers: int) -> str:
        calls = "\t".join(["0/1"] * carriers + ["0/0"] * (people - carriers))
        return f"22\t{position}\t.\tA\tG\t.\tPASS\t.\tGT\t{calls}"

    shown_sites = [line(SHOWN + 10 * at + odd, (60, 5)[odd]) for at in range(rounds) for odd in (0, 1)]
    return "\n".join([head, *shown_sites, *(line(HIDDEN + 10 * at, 60) for at in range(rounds))]) + "\n"


def made(folder: Path, people: int, rounds: int) -> Held:
    """A vault, opened by an engine that may ask in the projects named ``open``, ``drained`` and ``small``, and not in ``others``."""
    held = Held.make(folder)
    held.load(held.write("in.vcf", text(people, rounds)))
    held.load(held.write("few.vcf", text(FEW * 3, 1).replace("P0", "F0")), name="few")
    held.everyone_consents()
    principals.add(held.vault, "engine", Role.ENGINE, ENGINE, profile=Argon2Profile.TEST_ONLY)
    for code, dataset, who in (
        ("open", "cohort", "engine"),
        ("drained", "cohort", "engine"),
        ("small", "few", "engine"),
        ("others", "cohort", "ann"),
    ):
        declare(held, code, dataset, people=[who])
    for scope in BudgetScope:
        raises.raise_budget(held.vault, "open", "50", reason="a benchmark", scope=scope)
    reference_data.load(held.vault, reference_data.LOCI, json.dumps(HIDES), version="own 1")
    recording.withdraw(held.vault, f"P{people - 1:04}", scope="loci:own")
    held.vault.close()
    held.vault = open_recovered(folder / "v", factor=ENGINE, principal="engine")
    ask(held, "drained", [f"22:{at}:C:G" for at in range(1, 24)], epsilon="0.1")
    return held


def ask(held: Held, code: str, alleles: list[str], *, dataset: str = "cohort", epsilon: str = EPSILON) -> None:
    gate.counts(held.vault, project=code, dataset=dataset, kind=RequestKind.PRESENCE, alleles=alleles, epsilon=epsilon)


def refused(act: Callable[[], object]) -> None:
    """Raises AssertionError where it is not refused as every refusal is."""
    try:
        act()
    except RefusedError as error:
        if error.code == "refused":
            return
        raise
    raise AssertionError("it was answered")


def answers(held: Held) -> Mapping[str, Callable[[int], object]]:
    """Kinds of alleles whose answers are made alike."""
    return {
        "many": lambda at: ask(held, "open", [f"22:{SHOWN + 10 * at}:A:G"]),
        "small": lambda at: ask(held, "open", [f"22:{SHOWN + 10 * at + 1}:A:G"]),
        "unknown": lambda at: ask(held, "open", [f"22:{SHOWN + 10 * at + 2}:A:G"]),
        "masked": lambda at: ask(held, "open", [f"22:{HIDDEN + 10 * at}:A:G"]),
    }


def refusals(held: Held) -> Mapping[str, Callable[[int], object]]:
    """Reasons of refusals that are told alike."""

    def view(at: int) -> object:
        return gate.view(held.vault, project="open", dataset="cohort", regions=[f"22:{HIDDEN + at}-{HIDDEN + at + 50}"])

    return {
        "unknown project": lambda at: refused(lambda: ask(held, "nobodys", [f"22:{SHOWN + at}:A:G"])),
        "another's project": lambda at: refused(lambda: ask(held, "others", [f"22:{SHOWN + at}:A:G"])),
        "drained": lambda at: refused(lambda: ask(held, "drained", [f"22:{SHOWN + at}:A:G"], epsilon="0.1")),
        "small cohort": lambda at: refused(lambda: ask(held, "small", [f"22:{SHOWN + at}:A:G"], dataset="few")),
        "masked": lambda at: refused(lambda: view(at)),
    }


def timed(kinds: Mapping[str, Callable[[int], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each kind, kinds in turn in an order that is drawn anew each time."""
    draw = np.random.default_rng(1)
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for name in kinds:
        kinds[name](0)  # what is read once is read before
    for at in range(1, rounds):
        for name in draw.permutation(list(kinds)).tolist():
            begun = perf_counter()
            kinds[name](at)
            found[name].append(1e3 * (perf_counter() - begun))
    return found


def worst(found: Mapping[str, list[float]]) -> tuple[float, str]:
    """Largest AUC of two kinds, and which they are."""
    pairs = {}
    for one, other in combinations(found, 2):
        area = auc(np.array(found[one]), np.array(found[other]))
        pairs[f"{one} and {other}"] = max(area, 1 - area)
    names = max(pairs, key=pairs.__getitem__)
    return pairs[names], names


def printed(title: str, found: Mapping[str, list[float]]) -> tuple[float, str]:
    """Print the times of each kind, and the pair that is told apart best."""
    for name, times in found.items():
        spread = np.quantile(times, [0.05, 0.95])
        print(f"{title:9} {name:18} p50 {statistics.median(times):7.2f} ms   p5 {spread[0]:7.2f}   p95 {spread[1]:7.2f}")
    area, names = worst(found)
    print(f"{title:9} largest AUC {area:.3f}: {names}", flush=True)
    return area, names


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        held = made(Path(temporary), given.people, given.rounds)
        alike, _ = printed("answers", timed(answers(held), given.rounds))
        guarded, _ = printed("refusals", timed(refusals(held), given.rounds))
        told.sleep = lambda _seconds: None
        off, _ = printed("no wait", timed(refusals(held), given.rounds))
        held.vault.close()
    on = f"{given.people} made-up people, an engine in process, {given.rounds:,} of each kind"
    by = "benchmarks/answer_times.py"
    shown(ATTACK, ANSWERS, on=on, off="no guard to switch off", guarded=alike, bound="≤ 0.60", tolerance=0.1, by=by)
    shown(ATTACK, REFUSALS, on=on, off=off, guarded=guarded, bound="≤ 0.60", tolerance=0.1, by=by)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
