"""A clock that was set back revives nothing: what had expired by the log's own times stays so, whoever asks and however."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from policies.consent import SignerRole
from tests.support import vaults
from tests.support.shell import Shell
from tests.support.vaults import FACTOR, PassphraseFactor
from vault import gate
from vault.audit.actions import Action, Outcome
from vault.audit.entry import decode_leaf
from vault.consent import coverage, explanations, recording
from vault.consent.signatures import Signature
from vault.crypto.keystore import Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import RefusedError
from vault.operations import doctor
from vault.operations.recovery import open_recovered
from vault.session import moments, principals
from vault.subjects.sheet_import import SheetOptions, import_sheet
from vault.subjects.subject_sheet import read_subject_sheet

NOW = datetime.now(UTC) + timedelta(hours=1)  # later than the vault that the tests copy
FACTOR_OF_ENGINE = PassphraseFactor.from_text("passphrase of the engine")


class Clock:
    """A clock to set."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def s(small, clock):
    """The vault, with a project that expires in two days, and the log in between gone ten days further."""
    opened = open_recovered(small, factor=FACTOR, principal="ann", clock=clock)
    vaults.approve(opened, "short", "cohort", expires=(NOW + timedelta(days=2)).date())
    assert len(gate.view(opened, project="short", dataset="cohort").pseudonyms) == 10
    yield opened
    opened.abandon()


def leaves(s):
    return [decode_leaf(entry.leaf) for entry in s.trail.log.entries()]


def expired(act):
    with pytest.raises(RefusedError) as refused:
        act()
    assert refused.value.code == "project_expired"
    assert "\n" not in refused.value.message
    return refused.value


@pytest.mark.parametrize("back", [timedelta(days=9.9), timedelta(days=3650)])
def test_an_expired_project_stays_expired(s, clock, tmp_path, back):
    request = vaults.ask(s, project="short")
    clock.now += timedelta(days=10)
    expired(lambda: gate.view(s, project="short", dataset="cohort"))
    clock.now -= back
    for act in (
        lambda: gate.view(s, project="short", dataset="cohort"),
        lambda: gate.view(s, project="short", dataset="cohort", panel="pgx"),
        lambda: gate.extract(s, request, tmp_path / "out"),
    ):
        for _ in range(2):  # the refusal's own entry has the earlier time
            said = expired(act)
            assert "clock" in said.message
            assert "--clock-checked" in said.hint
    assert not (tmp_path / "out").exists()
    assert [refused.code for refused in gate.check(s, "short").refused] == ["project_expired"]
    assert leaves(s)[-1]["flags"] == ["clock_behind"]


def test_an_engine_with_a_clock_of_its_own_is_told_nothing_more(s, small, clock):
    principals.add(s, "matcher", Role.ENGINE, FACTOR_OF_ENGINE, profile=Argon2Profile.TEST_ONLY)
    clock.now += timedelta(days=10)
    expired(lambda: gate.view(s, project="short", dataset="cohort"))
    engine = open_recovered(small, factor=FACTOR_OF_ENGINE, principal="matcher", clock=lambda: NOW - timedelta(days=1))
    with pytest.raises(RefusedError) as refused:
        gate.view(engine, project="short", dataset="cohort")
    engine.abandon()
    assert refused.value.code == "refused"
    assert "clock" not in refused.value.message + refused.value.hint


def test_a_signature_that_lapsed_stays_lapsed(s, clock):
    """A guardian's, which ends when the child comes of age."""
    child = f"sample_id,birth_date,country\nS11,{(NOW - timedelta(days=17.9 * 365.25)).date()},DE\n"
    import_sheet(s, read_subject_sheet(child.encode(), today=NOW.date()), options=SheetOptions(update=True))
    ada = Signature(signer=SignerRole.GUARDIAN, signed_by="Ada")
    recording.record(s, "S11", "broad-research", {"research_use": "yes"}, signature=ada)
    assert gate.check(s, "demo").permit == 11
    clock.now += timedelta(days=90)
    assert gate.check(s, "demo").permit == 10
    clock.now -= timedelta(days=90)
    for _ in range(2):
        assert gate.check(s, "demo").permit == 10
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == 10
        assert coverage.coverage(s, "demo")[0].usable == 10
        assert not explanations.explain(s, "S11", "demo").decision.permitted
        assert not recording.history(s, "S11").standing.grants


def test_what_is_permitted_is_still_released_and_flagged(s, clock):
    gate.view(s, project="demo", dataset="cohort")
    clock.now -= timedelta(days=30)
    assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == 10
    assert [leaf.get("flags") for leaf in leaves(s) if leaf["act"] == "view.intent"][-1] == ["clock_behind"]
    clock.now = NOW - timedelta(seconds=30)  # clocks of two machines
    gate.view(s, project="demo", dataset="cohort")
    assert "flags" not in [leaf for leaf in leaves(s) if leaf["act"] == "view.intent"][-1]


def test_a_clock_that_had_run_ahead_has_a_way_out(s, small, clock, monkeypatch):
    clock.now += timedelta(days=3650)
    expired(lambda: gate.view(s, project="short", dataset="cohort"))
    clock.now = NOW + timedelta(minutes=5)
    expired(lambda: gate.view(s, project="short", dataset="cohort"))
    assert "clock_behind" in {finding.code for finding in doctor.examine(s).findings}
    Shell(small.parent, monkeypatch).run("doctor --clock-checked")
    assert len(gate.view(s, project="short", dataset="cohort").pseudonyms) == 10
    assert "clock_behind" not in {finding.code for finding in doctor.examine(s).findings}
    for days in (10, -10):  # from here on, times count again
        clock.now += timedelta(days=days)
        expired(lambda: gate.view(s, project="short", dataset="cohort"))


@pytest.mark.parametrize("role", [Role.ENGINE, Role.AUDITOR, Role.CUSTODIAN])
def test_only_a_steward_says_that_the_clock_is_right(small, role):
    factor = vaults.add_role(small, role)
    with vaults.opened(small, factor=factor, principal=role.value) as s, pytest.raises(RefusedError) as refused:
        moments.check_clock(s)
    assert refused.value.code == "not_authorised"


def test_the_latest_time_is_found_without_reading_the_log(s, clock):
    clock.now += timedelta(days=1)
    s.trail.record(Action.DOCTOR_RUN, Outcome.DONE)
    clock.now = NOW
    with s.books.read() as tx:
        found = moments.moment(s, tx)
    assert found.clock == NOW
    assert timedelta(0) <= NOW + timedelta(days=1) - found.at < timedelta(milliseconds=1)
