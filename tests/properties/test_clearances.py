"""After any sequence of acts by another session, a kept clearance gives nobody and nothing that a decision made afresh would not; and all that it would
within a minute.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import vaults
from tests.support.consent_work import Clock
from tests.support.vaults import FACTOR, PERMITTED, opened
from vault import gate
from vault.access import projects
from vault.consent import recording
from vault.errors import GenovaultError
from vault.operations import doctor, key_rotation
from vault.operations.erasure import process as erasure
from vault.operations.recovery import open_recovered

PEOPLE = ("S01", "S02", "S11")
YES, NO = ({"research_use": said, "recontact": said} for said in ("yes", "no"))
PANEL = {"project": "demo", "dataset": "cohort", "panel": "pgx"}
ACTS = (
    "withdraw",
    "accept",
    "decline",
    "restrict",
    "lift",
    "erase",
    "suspend",
    "approve",
    "panel",
    "renew",
    "tokens",
    "wait",
    "ask",
)


def act(s, verb, person, clock):
    match verb:
        case "withdraw":
            recording.withdraw(s, person)
        case "accept" | "decline":
            recording.record(s, person, "broad-research", YES if verb == "accept" else NO)
        case "restrict" | "lift":
            recording.restrict(s, person, lift=verb == "lift")
        case "erase":
            erasure.erase(s, person)
        case "suspend" | "approve":
            projects.change(s, "demo", verb)
        case "panel":
            vaults.panel(s, loci=b"22\t999\t%d\n" % (1030 + 10 * clock.now.second % 40))
        case "renew":
            key_rotation.renew_project(s, "demo")
        case "tokens":
            key_rotation.renew_tokens(s)
        case "wait":
            clock.forward(seconds=61)


def shown(make):
    """Calls of each person, and the sites; or a code."""
    try:
        view = make()
    except GenovaultError as error:
        return error.code, None
    return {name: view.calls_of(name) for name in view.pseudonyms}, [(v.pos, v.ref, v.alts) for v in view.variants()]


def play(steps):
    with tempfile.TemporaryDirectory() as temporary:
        folder, clock = vaults.copy(Path(temporary), whole=False), Clock()
        with opened(folder) as other:
            clock.now = other.clock()
            reader = open_recovered(folder, factor=FACTOR, principal="ann", clock=clock)
            other.clock = clock
            for verb, person in steps:
                try:
                    act(other, verb, person, clock)
                except GenovaultError:
                    continue  # as they stand, that cannot be done
                kept, _ = shown(lambda: gate.read_panel(reader, **PANEL).view)
                afresh, sites = shown(lambda: gate.view(other, **PANEL))
                if isinstance(kept, str) or isinstance(afresh, str):
                    assert kept == afresh, (verb, person)
                    continue
                assert kept.keys() <= afresh.keys(), (verb, person)
                clock.forward(seconds=61)
                assert shown(lambda: gate.read_panel(reader, **PANEL).view) == (afresh, sites), (verb, person)
            reader.abandon()
            assert not [one for one in doctor.examine(other).findings if one.severity == "error"]


STEPS = st.lists(st.tuples(st.sampled_from(ACTS), st.sampled_from(PEOPLE)), min_size=3, max_size=10)
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(QUIET, max_examples=5)
@given(STEPS)
def test_a_kept_clearance_gives_what_a_fresh_decision_would(steps):
    assert set(PEOPLE[:2]) <= set(PERMITTED)
    play(steps)


@pytest.mark.long
@settings(QUIET, max_examples=40)
@given(STEPS)
def test_a_kept_clearance_gives_what_a_fresh_decision_would_in_many_histories(steps):
    play(steps)
