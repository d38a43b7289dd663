"""After any sequence of releases, withdrawals, corrections, erasures, acknowledgements and reissues: whoever holds somebody who may not be
held has exactly one notice in force that says so, under the name that they hold, and nobody else has any.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.consent import Level
from tests.support import vaults
from tests.support.vaults import PERMITTED, opened
from vault import gate
from vault.access import holdings, notice_records, notices, projects, release_names, releases
from vault.consent import corrections, drop_lists, recording
from vault.operations import doctor, key_rotation
from vault.operations.erasure import process as erasure
from vault.operations.reissue import reissue
from vault.subjects.references import resolve

PEOPLE = PERMITTED[:3]  # whom the steps are about; the others stay, so that there is always somebody to release
YES = {"research_use": "yes", "recontact": "yes"}
ACTS = (
    "extract",
    "once",
    "view",
    "read",
    "one",
    "stop",
    "delete",
    "contact",
    "restrict",
    "lift",
    "accept",
    "correct",
    "erase",
    "ack",
    "reopen",
)
STEPS = st.lists(
    st.tuples(st.sampled_from((*ACTS, "run", "renew", "reissue")), st.sampled_from(PEOPLE)), min_size=4, max_size=14
).map(lambda steps: [("extract", PEOPLE[0]), ("one", PEOPLE[1]), ("view", PEOPLE[0]), *steps])


@dataclass
class Told:
    """What is expected, kept apart from the vault: who may be held, and who was released where under which name."""

    out: dict[str, dict[str, set[str]]] = field(default_factory=dict)  # release or holding -> person -> names
    denied: dict[str, list[str]] = field(default_factory=lambda: {person: [] for person in PEOPLE})  # withdrawals that stand
    restricted: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)

    def may_be_held(self, person: str) -> bool:
        return not self.denied[person] and person not in self.restricted | self.erased


def released(s, told, ref, release_id, project):
    own = projects.load(s, project)
    for person in filter(told.may_be_held, PEOPLE):
        version = release_names.newest_version(s, own)
        (name,) = release_names.names_told(s, own, release_id, [resolve(s, person)], version=version)
        told.out.setdefault(ref, {}).setdefault(person, set()).add(name)


def step(s, told, act, person, folder):
    if act in {"extract", "once"}:
        project = "demo" if act == "extract" else "once"
        made = gate.extract(s, vaults.ask(s, project=project), folder / s.random(6).hex())
        released(s, told, made.release_id, made.release_id, project)
    elif act in {"view", "read"}:
        (gate.view if act == "view" else gate.read_panel)(s, project="demo", dataset="cohort", panel="pgx")
        (held,) = holdings.list_all(s)
        released(s, told, held.holding_id, "", "demo")
    elif act == "one":
        read_of(s, told, person)
    elif act == "reissue":
        made_anew(s, told, folder)
    elif act == "run":
        drop_lists.bring_up_to_date(s)
    elif act == "renew":
        key_rotation.renew_project(s, "demo", keep_old=True)
    elif act in {"ack", "reopen"}:
        state = notice_records.OPEN if act == "ack" else notice_records.ACKNOWLEDGED
        for notice in [one for one in notices.list_all(s) if one.state == state][:1]:
            (notices.acknowledge if act == "ack" else notices.reopen)(s, notice.notice_id, reason="as they wrote")
    elif person not in told.erased:
        of_person(s, told, act, person)


def read_of(s, told, person):
    """A read of one person alone, by name; of nobody where they may not be held."""
    name = "demo-nobody"
    if person not in told.erased:
        version = release_names.newest_version(s, projects.load(s, "demo"))
        (name,) = release_names.names_told(s, projects.load(s, "demo"), "", [resolve(s, person)], version=version)
    found = gate.read_panel(s, project="demo", dataset="cohort", panel="pgx", pseudonyms=[name]).view.pseudonyms
    assert (found == (name,)) is told.may_be_held(person)
    if found:
        (held,) = holdings.list_all(s)
        told.out.setdefault(held.holding_id, {}).setdefault(person, set()).add(name)


def made_anew(s, told, folder):
    """The newest extract without those who left: who is in it still was in it, under the name there."""
    old = next(release for release in releases.list_all(s) if release.project == "demo" and release.request_id)
    if old.content.names == release_names.newest_version(s, projects.load(s, "demo")):
        new = reissue(s, old.release_id, folder / s.random(6).hex())
        held = told.out.get(old.release_id, {})
        told.out[new.release_id] = {person: set(held[person]) for person in held if told.may_be_held(person)}


def of_person(s, told, act, person):
    if act in {"stop", "delete"}:
        level = Level.NO_NEW_USE if act == "stop" else Level.ERASE
        told.denied[person].append(recording.withdraw(s, person, level=level).event_id)
    elif act == "contact":
        recording.withdraw(s, person, level=Level.NO_CONTACT)
    elif act in {"restrict", "lift"}:
        recording.restrict(s, person, lift=act == "lift")
        (told.restricted.add if act == "restrict" else told.restricted.discard)(person)
    elif act == "accept":
        recording.record(s, person, "broad-research", YES)
        told.denied[person].clear()
    elif act == "correct" and told.denied[person]:
        corrections.correct(s, told.denied[person].pop(), reason="of another person", evidence="0" * 64)
    elif act == "erase":
        erasure.erase(s, person)
        told.erased.add(person)


def in_force(s):
    found = Counter()
    for notice in notices.list_all(s):
        if notice.state in notice_records.IN_FORCE:
            found.update((notice.ref, drop.pseudonym) for drop in notice.in_force)
    return found


def expected(told):
    return Counter(
        (ref, name)
        for ref, people in told.out.items()
        for person, names in people.items()
        if not told.may_be_held(person)
        for name in names
    )


def play(steps):
    with tempfile.TemporaryDirectory() as temporary:
        folder, told = Path(temporary), Told()
        with opened(vaults.copy(folder, whole=False)) as s:
            vaults.approve(s, "once", "cohort", pseudonyms="release")
            for act, person in steps:
                step(s, told, act, person, folder)
                assert in_force(s) == expected(told), (act, person)
            drop_lists.bring_up_to_date(s)
            assert in_force(s) == expected(told)
            assert not [finding for finding in doctor.examine(s).findings if finding.severity == "error"]


QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.long
@settings(QUIET, max_examples=8)
@given(STEPS)
def test_who_is_told_in_many_histories(steps):
    play(steps)


def test_every_step_is_taken_once():
    everything = (
        "stop",
        "ack",
        "accept",
        "restrict",
        "lift",
        "delete",
        "reopen",
        "run",
        "correct",
        "contact",
        "view",
        "one",
        "renew",
        "one",
        "read",
        "extract",
        "once",
        "stop",
        "one",
        "erase",
        "one",
        "run",
    )
    play([("extract", PEOPLE[0]), ("view", PEOPLE[0]), *((act, PEOPLE[0]) for act in everything)])
