"""Two copies of one vault with one history, asked the same: by a session that keeps its decisions, and by one that is made to forget them first."""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from policies.declarations import project_template
from policies.disclosure.budgets import BudgetScope
from policies.purposes import RequestKind
from policies.token_scopes import TokenScope
from tests.support import criteria, matched
from tests.support.consent_work import Clock
from tests.support.held import FACTOR
from vault import gate
from vault.access import access_tokens, criteria_packs, project_versions, projects
from vault.access.disclosure import raises
from vault.access.stream_tickets import StreamAsked
from vault.audit.entry import decode_leaf
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import GenovaultError
from vault.ids import utc_now
from vault.operations.erasure import process as erasure
from vault.operations.recovery import open_recovered
from vault.session import principals
from vault.session.unlocked_vault import UnlockedVault, open_vault

PEOPLE = ("P000", "P001", "P129")
PLACE = {"project": "asked", "dataset": "cohort"}
PANEL = {**PLACE, "panel": "exact"}
ALLELES = tuple(f"22:{at}:A:G" for at in (100, 200, 300, 400, 500))
SERVICE = PassphraseFactor.from_text("passphrase of the service")
ANSWERS = {"matching": "yes", "research_use": "yes", "return_of_results": "yes", "neurodegenerative": "yes"}
CHANGES: tuple[dict[str, Any], ...] = (
    {"title": "another"},
    {"disclosure": {"min_group": 129}},
    {"people": ["engine"]},
    {"kinds": ["matching", "records"]},
    {"disclosure": {"max_bits": 12}},
)
ACTS = (
    *("withdraw", "accept", "mask", "restrict", "lift", "erase", "suspend", "approve", "amend", "raise"),
    *("retire", "panel", "disable", "revoke", "slot", "wait", "minute", "ask"),
)
EPOCH = re.compile(rb"ID=stream-[0-9a-f]+")
QUESTIONS = ("counts", "presence", "match", "match_counts", "stream", "panel_stream", "view")


def document(**changes: Any) -> dict[str, Any]:
    """The declaration of the project that is asked."""
    found = yaml.safe_load(project_template("asked", "cohort"))
    found["purpose"] |= {"action": "matching"}
    found |= {"kinds": ["matching", "records", "counts", "presence"], "people": ["rita", "engine"]}
    found["disclosure"] |= changes.pop("disclosure", {})
    return found | changes


class Side:
    """One copy: the steward, a service that serves ``rita``, and what was answered. ``keeps`` False: decisions are forgotten before each question."""

    def __init__(self, folder: Path, clock: Clock, *, keeps: bool) -> None:
        self.keeps = keeps
        self.steward = open_recovered(folder / "v", factor=FACTOR, principal="ann", clock=clock)
        self.service = open_vault(folder / "v", factor=SERVICE, principal="service", clock=clock)
        self.token = (folder / "token").read_text()
        who = access_tokens.authenticate(self.service, self.token)
        self.accessor, self.rita = who.accessor, who.person
        self.read = self.steward.trail.log.size()

    def act(self, verb: str, person: str, number: int) -> object:
        """Do it, as the steward; an error's code where that cannot be done."""
        return outcome(lambda: acted(self.steward, verb, person, number, self.accessor))

    def ask(self, question: str, number: int) -> object:
        """The answer to a question by a researcher, and what the log says of it."""
        if not self.keeps:
            for one in (self.service.caches, self.steward.caches):
                one.clear()
        answer = outcome(lambda: self._asked(question, number))
        entries = list(self.steward.trail.log.entries(self.read))
        self.read += len(entries)
        details = self.steward.trail.details([entry.index for entry in entries])
        return answer, [(spoken(decode_leaf(entry.leaf)), sealed(details[entry.index])) for entry in entries if entry.leaf]

    def _asked(self, question: str, number: int) -> object:
        rita = self.service.acting(access_tokens.authenticate(self.service, self.token).person)
        allele = ALLELES[number % len(ALLELES)]
        match question:
            case "counts" | "presence":
                kind = RequestKind.COUNTS if question == "counts" else RequestKind.PRESENCE
                return told(gate.counts(rita, kind=kind, alleles=[allele, ALLELES[0]], **PLACE).as_dict())
            case "match":
                found = gate.match(rita, criteria="small@1", **PANEL)
                return [(one.id, sorted(one.matched), one.unknown_band) for one in found.criteria], dict(found.bits)
            case "match_counts":
                return told(gate.match_counts(rita, criteria="small@1", **PANEL).as_dict())
            case "view":
                view = gate.view(rita, **PLACE, regions=(f"22:{1 + number}-400",))
                return {name: view.calls_of(name) for name in view.pseudonyms}, [(v.pos, v.ref, v.alts) for v in view.variants()]
        regions, panel = ((f"22:{1 + number}-400",), None) if question == "stream" else ((), "exact")
        asked = StreamAsked("asked", "cohort", panel=panel, regions=regions)
        text = gate.stream_ticket(rita, asked, accessor=self.accessor)[0].reveal().decode()
        header, body = gate.stream_header(self.service, text), b"".join(gate.stream_body(self.service, text))
        # a panel's new version has an id at random, which its epoch is of
        return (header, body) if panel is None else (EPOCH.sub(b"", gzip.decompress(header)), body)

    def close(self) -> None:
        """Let go of both sessions."""
        self.service.abandon()
        self.steward.abandon()


def acted(s: UnlockedVault, verb: str, person: str, number: int, accessor: str) -> None:
    """An act of a steward's; ``ask`` is none."""
    acts: dict[str, Callable[[], object]] = {
        "withdraw": lambda: recording.withdraw(s, person),
        "accept": lambda: recording.record(s, person, matched.FORM, ANSWERS),
        "mask": lambda: recording.record(s, person, matched.FORM, ANSWERS | {"neurodegenerative": "no"}),
        "restrict": lambda: recording.restrict(s, person, lift=False),
        "lift": lambda: recording.restrict(s, person, lift=True),
        "erase": lambda: erasure.erase(s, person),
        "suspend": lambda: projects.change(s, "asked", "suspend"),
        "approve": lambda: projects.change(s, "asked", "approve"),
        "amend": lambda: amended(s, document(**CHANGES[number % len(CHANGES)])),
        "raise": lambda: raises.raise_budget(s, "asked", "0.3", reason="a test", scope=BudgetScope.PROJECT),
        "retire": lambda: criteria_packs.retire(s, "small@1", reason="a test"),
        "panel": lambda: criteria.exact_panel(s, *list(matched.LOCI.values())[: 2 + number % 3]),
        "disable": lambda: principals.disable(s, "rita"),
        "revoke": lambda: access_tokens.revoke(s, accessor),
        "slot": lambda: principals.remove_slot(
            s, next((one.slot_id for one in principals.slots(s) if one.principal == "service"), "")
        ),
        "ask": lambda: None,
    }
    acts[verb]()


def amended(s: UnlockedVault, declaration: dict[str, Any]) -> None:
    """The project's next version, in force."""
    project_versions.amend(s, declaration, reason="a test")
    projects.change(s, "asked", "approve")


def outcome(make: Callable[[], object]) -> object:
    """What is made, or the code of what refuses it."""
    try:
        return make()
    except GenovaultError as error:
        return error.code


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """A charged answer without its receipt."""
    return {name: value for name, value in answer.items() if name != "receipt"}


def spoken(leaf: dict[str, Any]) -> dict[str, Any]:
    """What a leaf says beside ids, times and nonces, which are drawn."""
    kept = {
        name: leaf.get(name) for name in ("act", "actor", "outcome", "project", "purpose", "reasons", "counts", "flags", "subj")
    }
    return {**kept, "ledger": (leaf.get("consent") or {}).get("seq")}


def sealed(detail: dict[str, Any] | None) -> dict[str, Any]:
    """A detail without ids that are drawn: of tickets and releases."""
    return {name: value for name, value in (detail or {}).items() if name not in {"ticket", "about"}}


def template(place: Path) -> None:
    """The vault that both sides begin with."""
    held = matched.make(place)
    principals.add(held.vault, "service", Role.SERVICE, SERVICE, profile=Argon2Profile.TEST_ONLY)
    principals.add(held.vault, "rita", Role.RESEARCHER, None)
    projects.create(held.vault, document())
    projects.change(held.vault, "asked", "approve")
    expires = held.vault.clock() + timedelta(days=80)
    scopes = (TokenScope.READ, TokenScope.ENGINE, TokenScope.STREAM)
    token, _ = access_tokens.issue(held.vault, "rita", project="asked", scopes=scopes, expires=expires)
    (place / "token").write_text(token.reveal().decode())
    held.vault.close()


@contextmanager
def sides(place: Path) -> Iterator[tuple[Side, Side, Clock]]:
    """The two copies of the vault in ``place``, under one clock."""
    with tempfile.TemporaryDirectory() as temporary:
        clock, made = Clock(), list[Side]()
        clock.now = utc_now()  # the vault was made before
        for name, keeps in (("kept", True), ("fresh", False)):
            folder = Path(temporary) / name
            shutil.copytree(place, folder)
            made.append(Side(folder, clock, keeps=keeps))
        try:
            yield made[0], made[1], clock
        finally:
            for side in made:
                side.close()


def play(place: Path, steps: Iterable[tuple[str, str, str, int]]) -> None:
    """Play a history on both sides and compare all answers, charges, refusals and entries."""
    with sides(place) as (one, other, clock):
        for verb, person, question, number in steps:
            if verb in {"wait", "minute"}:
                clock.forward(seconds=61 if verb == "minute" else 20)
            else:
                assert one.act(verb, person, number) == other.act(verb, person, number), (verb, person)
            for asked in (question, QUESTIONS[number % len(QUESTIONS)], question):
                assert one.ask(asked, number) == other.ask(asked, number), (verb, person, asked)
