"""A session that was open when its principal was disabled: it changes nothing, tells nothing, and leaves the vault as it is."""

from __future__ import annotations

import pytest

from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import projects
from vault.consent import people, recording
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import GenovaultError, UnavailableError, UsageError
from vault.operations import doctor
from vault.operations.recovery import open_recovered
from vault.session import principals
from vault.subjects import registry

ACTS = {
    "withdraw": lambda s: recording.withdraw(s, "S03"),
    "record": lambda s: recording.record(s, "S11", "broad-research", {"research_use": "yes"}),
    "suspend": lambda s: projects.change(s, "demo", "suspend"),
    "ask": vaults.ask,
    "whose consent": lambda s: recording.history(s, "S03"),
    "who it is": lambda s: registry.subject_show(s, "S03"),
    "who is held": people.listed,
    "check": lambda s: gate.check(s, "demo"),
    "view": lambda s: gate.view(s, project="demo", dataset="cohort"),
}
HELD = {Role.STEWARD: set(ACTS), Role.CUSTODIAN: {"withdraw", "whose consent", "who it is", "who is held"}, Role.ENGINE: {"ask"}}


@pytest.mark.parametrize("role", HELD)
def test_a_session_of_somebody_disabled_does_nothing_more(small, role):
    factor = vaults.add_role(small, role)
    gone = open_recovered(small, factor=factor, principal=role.value)
    with opened(small) as s:
        principals.disable(s, role.value)
    try:
        for name, act in ACTS.items():
            with pytest.raises(GenovaultError) as caught:
                act(gone)
            told = (
                {"slot_outdated", "principal_disabled"} if name in HELD[role] else {"slot_outdated", "not_authorised", "refused"}
            )
            assert caught.value.code in told, name
        with pytest.raises(UnavailableError):
            gone.close()
    finally:
        gone.abandon()
    with opened(small) as s:
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == 10
        assert doctor.examine(s).ok


@pytest.mark.parametrize("what", ["disable", "remove_slot"])
def test_an_administrator_does_not_take_the_slot_away_that_signs_its_removal(small, what):
    """What it signed last would be refused by everybody."""
    factor = PassphraseFactor.from_text("a passphrase of bob's")
    with opened(small) as s:
        principals.add(s, "bob", Role.STEWARD, factor, administers=True, profile=Argon2Profile.TEST_ONLY)
    with opened(small) as s:
        with pytest.raises(UsageError) as caught:
            getattr(principals, what)(s, "ann" if what == "disable" else s.unlocked.slot.slot_id.hex())
        assert caught.value.code == "own_slot"
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == 10
    with opened(small, factor=factor, principal="bob") as s:
        principals.disable(s, "ann")
    with opened(small, factor=factor, principal="bob") as s:
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == 10
