"""Three processes that share one vault, against a model: what overlaps must look as if it had been done in some order.

Two stewards' processes and an engine's do random work, in rounds whose commands begin at once. The model keeps every state that some
order of the rounds so far, consistent with every answer, leads to; an answer that no order explains fails the test: a release of
somebody, or of a place, that was forbidden in every order, and a refusal of what every order permits. Where an answer says that
something changed meanwhile, the command is given again, alone, and must then be done. What is done is drawn from a seed, which a
failure names; only how the processes overlap is not.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from policies.declarations import project_template
from tests.support.held import Held
from tests.support.vault_worker import DATASET, LOCKED, PROJECT, Worker, key_of
from tests.support.vaults import opened
from tests.support.vcf_text import vcf
from vault.access import projects, reference_data, releases
from vault.audit.entry import decode_leaf
from vault.crypto.keystore import Role
from vault.crypto.primitives import Argon2Profile
from vault.files.yaml_documents import parse_yaml
from vault.ids import utc_now
from vault.operations import doctor
from vault.operations.create import init
from vault.session import principals

PLACES = {"here": range(3_900_000, 6_100_000), "there": range(7_900_000, 10_100_000)}  # category -> positions
POSITIONS = range(2_000_000, 22_000_000, 2_000_000)  # further apart than the margin of a mask
ROUNDS = int(os.environ.get("GENOVAULT_ROUNDS", "100"))  # of each seed at length; 2,500 are ten thousand in all
ENGINES = [f"engine{number}" for number in range(30)]
RELEASES = frozenset({"view", "extract"})

# Answers that say: something changed meanwhile, ask again. Each belongs to commands that overlap it.
MEANWHILE = frozenset(
    {
        "consent_changed", "project_changed", "project_not_approved", "no_one_permitted",
        "changed_meanwhile", "subject_erased", "dataset_changed", "keystore_changed",
        "erasure_running", "erasure_pending", "database_busy", "key_missing", "key_unavailable",
    }
)  # fmt: skip

Command = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """What somebody said, and carries."""

    carries: tuple[int, ...]  # ALT alleles at each of POSITIONS
    said: bool = False
    restricted: bool = False
    excluded: frozenset[str] = frozenset()

    @property
    def permitted(self) -> bool:
        return self.said and not self.restricted


@dataclass(frozen=True)
class State:
    """The vault as one order of what was done leaves it."""

    people: tuple[tuple[str, Person], ...]
    approved: bool = True
    gone: frozenset[str] = frozenset()  # principals that were disabled


def carried(number: int) -> tuple[int, ...]:
    """Different between people, everybody something, every place by several."""
    return tuple((number * 7 + at * at * 3 + number // (at + 1)) % 3 for at in range(len(POSITIONS)))


def file_of(numbers: range) -> bytes:
    gt = ("0/0", "0/1", "1/1")
    rows = [f"22 {position} A G {' '.join(gt[carried(n)[at]] for n in numbers)}" for at, position in enumerate(POSITIONS)]
    return vcf(" ".join(f"P{n}" for n in numbers), *rows).data


def make(folder: Path, people: int) -> Path:
    """A vault in which everybody accepted and the project is approved."""
    vault = folder / "v"
    init(vault, steward="ann", factor=key_of("ann"), profile=Argon2Profile.TEST_ONLY)
    with opened(vault, factor=key_of("ann")) as s:
        held = Held(folder, s, utc_now, s.random)
        held.load(held.write("first.vcf", file_of(range(people))), name=DATASET)
        held.everyone_consents()
        listed = ", ".join(f'"{name}": ["22:{places[0]}-{places[-1]}"]' for name, places in PLACES.items())
        pack = (
            f'{{"version": "1", "source": "s", "date": "2026-01-01", "assemblies": {{"GRCh38": {{"categories": {{{listed}}}}}}}}}'
        )
        reference_data.load(s, reference_data.LOCI, pack, version="1")
        declared = parse_yaml(project_template(PROJECT, DATASET).encode(), name="template") | {"people": ENGINES}
        projects.create(s, declared)
        projects.change(s, PROJECT, "approve")
        principals.add(s, ENGINES[0], Role.ENGINE, key_of(ENGINES[0]), profile=Argon2Profile.TEST_ONLY)
    return vault


class Plan:
    """Rounds of commands, drawn from a seed alone."""

    def __init__(self, seed: int, folder: Path, people: int) -> None:
        self._random = random.Random(seed)
        self._folder = folder
        self._held = [f"P{n}" for n in range(people)]
        self._numbers = people
        self._spares: list[str] = []  # principals that were added to be disabled
        self._added = 0
        self.engine = 0

    def rounds(self, steps: int) -> Iterator[dict[int, Command]]:
        """Commands by worker (0 and 1: stewards, 2: the engine), which begin at once."""
        done = 0
        while done < steps:
            chosen = self._random.choice([(0,), (1,), (0, 1), (0, 1), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
            found = {worker: self._views() if worker == 2 else self._steward() for worker in chosen}
            heavy = [worker for worker, command in found.items() if command["do"] in {"disable", "add", "load"}]
            for worker in heavy[1:]:  # one of these at a time: the plan knows what there is then
                found[worker] = self._views()
            done += len(found)
            yield found

    def _steward(self) -> Command:
        who = self._random.choice(self._held)
        drawn = self._random.random()
        for share, make_one in (
            (0.18, lambda: {"do": "withdraw", "who": who}),
            (0.26, lambda: {"do": "accept", "who": who}),
            (0.03, lambda: {"do": "decline", "who": who}),
            (0.02, lambda: {"do": "exclude", "who": who, "place": self._random.choice(sorted(PLACES))}),
            (0.04, lambda: {"do": "restrict", "who": who}),
            (0.07, lambda: {"do": "lift", "who": who}),
            (0.05, lambda: {"do": "suspend"}),
            (0.10, lambda: {"do": "approve"}),
            (0.05, lambda: {"do": "check"}),
            (0.01, lambda: {"do": "reopen"}),
            (0.008, self._erase),
            (0.008, self._load),
            (0.004, lambda: {"do": "rotate", "branch": self._random.choice(["genotype", "identity", "pseudonym"])}),
            (0.006, self._principals),
            (0.04, lambda: {**self._views(), "do": "extract"}),
        ):
            drawn -= share
            if drawn < 0:
                return make_one()
        return self._views()

    def _views(self) -> Command:
        first = self._random.choice(POSITIONS)
        region = [] if self._random.random() < 0.5 else [f"22:{first}-{first + self._random.choice([0, 6_000_000, 12_000_000])}"]
        return {"do": "view", "regions": region}

    def _erase(self) -> Command:
        if len(self._held) < 5:
            return self._load()
        return {"do": "erase", "who": self._held.pop(self._random.randrange(len(self._held)))}

    def _load(self) -> Command:
        numbers = range(self._numbers, self._numbers + 2)
        self._numbers = numbers.stop
        path = self._folder / f"part{numbers.start}.vcf"
        path.write_bytes(file_of(numbers))
        self._held += [f"P{n}" for n in numbers]
        return {"do": "load", "path": str(path)}

    def _principals(self) -> Command:
        if self._spares and self._random.random() < 0.5:
            return {"do": "disable", "name": self._spares.pop()}
        if self._spares:
            return self._next_engine()
        self._added += 1
        self._spares.append(f"spare{self._added}")
        return {"do": "add", "name": self._spares[0], "role": "auditor"}

    def _next_engine(self) -> Command:
        self.engine += 1
        return {"do": "disable", "name": ENGINES[self.engine - 1]}


def people_of(state: State) -> dict[str, Person]:
    return dict(state.people)


def explained(
    state: State, actor: str, command: Command, answer: dict[str, Any], names: dict[str, str], *, alone: bool
) -> State | None:
    """The state after a command with this answer; None if in this state it cannot have been answered so."""
    act, error = command["do"], answer.get("error")
    if act in RELEASES or act == "check":
        return state if _as_released(state, actor, command, answer, names, alone=alone) else None
    if error in MEANWHILE and not alone:
        return state
    if act in {"approve", "suspend"}:
        fits = state.approved == (act == "suspend")
        done = replace(state, approved=act == "approve") if fits else None
        return done if error is None else state if error == "project_state" and not fits else None
    if act == "show":
        person = people_of(state).get(command["who"])
        shown = {"error": "subject_unknown"} if person is None else {"ok": [person.said, person.restricted]}
        return state if shown.items() <= answer.items() else None
    if "who" in command:
        done = _of_person(state, act, command)
        return done if error is None else state if error == "subject_unknown" and done is None else None
    return None if error is not None else _of_vault(state, act, command)


def _of_person(state: State, act: str, command: Command) -> State | None:
    """The state after something about a person; None if there is no such person."""
    people, who = dict(state.people), command["who"]
    if who not in people:
        return None
    person = people.pop(who)
    if act == "erase":
        return replace(state, people=tuple(people.items()))
    fields: dict[str, dict[str, Any]] = {
        "accept": {"said": True},
        "decline": {"said": False},
        "withdraw": {"said": False},
        "restrict": {"restricted": True},
        "lift": {"restricted": False},
        "exclude": {"excluded": person.excluded | {command.get("place", "")}},
    }
    changed = {name: replace(one, **fields[act]) if name == who else one for name, one in state.people}
    return replace(state, people=tuple(changed.items()))


def _of_vault(state: State, act: str, command: Command) -> State:
    if act == "load":
        first = int(Path(command["path"]).stem.removeprefix("part"))
        new = {f"P{n}": Person(carried(n)) for n in (first, first + 1)}
        return replace(state, people=(*state.people, *new.items()))
    return replace(state, gone=state.gone | {command["name"]}) if act == "disable" else state


def _as_released(
    state: State, actor: str, command: Command, answer: dict[str, Any], names: dict[str, str], *, alone: bool
) -> bool:
    act, error = command["do"], answer.get("error")
    permitted = {who: person for who, person in state.people if person.permitted}
    if act == "check":
        return answer.get("ok") == len(permitted) or (error in MEANWHILE and not alone)
    reason = (
        "principal_disabled" if actor in state.gone
        else "project_not_approved" if not state.approved
        else "no_one_permitted" if not permitted
        else ""
    )  # fmt: skip
    hidden = [PLACES[name] for person in permitted.values() for name in person.excluded]
    first, last = map(int, command["regions"][0].removeprefix("22:").split("-")) if command["regions"] else (0, POSITIONS[-1])
    asked = [
        (str(position), at)
        for at, position in enumerate(POSITIONS)
        if first <= position <= last and not any(position in masked for masked in hidden)
    ]
    sites = [(position, at) for position, at in asked if any(person.carries[at] for person in permitted.values())]
    if not reason and act == "extract" and not sites:  # all of it masked, or carried by nobody
        reason = error if error in {"nothing_left", "nothing_to_release"} else "nothing_to_release"
    if error is not None:
        uniform = actor.startswith("engine") and error == "refused"
        return error == reason or (uniform and (reason != "" or not alone)) or (error in MEANWHILE and not alone)
    released = answer["ok"]
    expected = {names[who]: {position: person.carries[at] for position, at in sites} for who, person in permitted.items()}
    return not reason and released["sites"] == [position for position, _ in sites] and released["rows"] == expected


class Machine:
    """The processes, the model's states, and what was done."""

    def __init__(self, seed: int, folder: Path, people: int) -> None:
        self.seed = seed
        self.vault = make(folder, people)
        self.plan = Plan(seed, folder, people)
        self.states = {State(tuple((f"P{n}", Person(carried(n), said=True)) for n in range(people)))}
        self.names: dict[str, str] = {}
        self.released: list[int] = []  # entries
        self.history: list[str] = []
        self._learn()

    def run(self, steps: int) -> None:
        with ExitStack() as stack:
            workers = [stack.enter_context(Worker(self.vault, name)) for name in ("ann", "ann", ENGINES[0])]
            for round_ in self.plan.rounds(steps):
                again = self._round(workers, round_, alone=len(round_) == 1)
                for worker, command in again.items():
                    assert not self._round(workers, {worker: command}, alone=True)
                self._look(workers)
                if any(command["do"] == "load" for command in round_.values()):
                    self._learn()
                if workers[2].principal != ENGINES[self.plan.engine]:
                    self._next_engine(workers, stack)
            assert [worker.end() for worker in workers] == [0, 0, 0], self._told()
        self._settled()

    def _round(self, workers: list[Worker], round_: dict[int, Command], *, alone: bool) -> dict[int, Command]:
        """Do commands at once, judge the answers, and return what is to be done again."""
        for at, command in round_.items():
            workers[at].tell(command)
        done = [(workers[at].principal, at, command, workers[at].hear()) for at, command in round_.items()]
        self.history.append("\n  ".join(f"{who}/{at} {command} -> {str(answer)[:300]}" for who, at, command, answer in done))
        self.released += [answer["ok"]["entry"] for _, _, command, answer in done if command["do"] in RELEASES and "ok" in answer]
        found = set()
        for state in self.states:
            for order in permutations(done):
                after: State | None = state
                for who, _, command, answer in order:
                    after = explained(after, who, command, answer, self.names, alone=alone)
                    if after is None:
                        break
                else:
                    found.add(after)
        assert found, self._told()
        self.states = found
        return {} if alone else {at: command for _, at, command, answer in done if self._is_open(command, answer)}

    def _look(self, workers: list[Worker]) -> None:
        """Where an order is still open, see how it was: states must not multiply."""
        if len(self.states) > 1:
            known = [people_of(state) for state in self.states]
            for who in sorted(set().union(*known)):
                if any(people.get(who) != known[0].get(who) for people in known):
                    self._round(workers, {0: {"do": "show", "who": who}}, alone=True)

    def _is_open(self, command: Command, answer: dict[str, Any]) -> bool:
        return answer.get("error") in MEANWHILE or (command["do"] in RELEASES and answer.get("error") == "refused")

    def _next_engine(self, workers: list[Worker], stack: ExitStack) -> None:
        """The disabled engine asks once more in vain; another one takes its place."""
        assert not self._round(workers, {2: {"do": "view", "regions": []}}, alone=True)
        name = ENGINES[self.plan.engine]
        assert workers[2].end() in {0, LOCKED}  # it may have nothing left to sign
        self._round(workers, {0: {"do": "add", "name": name, "role": "engine"}}, alone=True)
        workers[2] = stack.enter_context(Worker(self.vault, name))

    def _learn(self) -> None:
        """The pseudonyms of everybody held, worked out from keys and identities."""
        with opened(self.vault, factor=key_of("ann")) as s:
            names = Held(self.vault.parent, s, utc_now, s.random).names(PROJECT)
        self.names |= {who: name for name, who in names.items()}

    def _settled(self) -> None:
        """The vault is whole, its log verifies, and each release has its entry."""
        with opened(self.vault, factor=key_of("ann")) as s:
            report = doctor.examine(s)
            assert report.ok, (report.findings, self._told())
            s.trail.checkpoint()
            verified = Held(self.vault.parent, s, utc_now, s.random).verified()
            assert (verified.findings, verified.unsigned, verified.open_intents) == ((), (), ()), self._told()
            leaves = {entry.index: decode_leaf(entry.leaf) for entry in s.trail.log.entries()}
            done = [
                index for index, leaf in leaves.items()
                if leaf["act"] in ("view.outcome", "extract.outcome") and leaf["outcome"] == "done"
            ]  # fmt: skip
            assert sorted(self.released) == done, self._told()
            states = [release.state for release in releases.list_all(s)]
            assert states.count(releases.RELEASED) == len(done)
            assert set(states).isdisjoint(releases.UNFINISHED)

    def _told(self) -> str:
        recent = "\n".join(self.history[-12:])
        return f"seed {self.seed}, round {len(self.history)}; states: {len(self.states)}\n{recent}"


def test_what_processes_do_at_once_is_what_some_order_does(tmp_path):
    Machine(1, tmp_path, people=6).run(40)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_what_processes_do_at_once_is_what_some_order_does_at_length(tmp_path, seed):
    Machine(100 + seed, tmp_path, people=8).run(ROUNDS)
