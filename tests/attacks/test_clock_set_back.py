"""A clock that is set back revives nothing: what ends with time ends by the log's, until a steward says that the clock is right."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policies.token_scopes import TokenScope
from tests.support import delivered, served, vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import access_tokens, spool, stream_tickets
from vault.access.stream_tickets import StreamAsked
from vault.audit.actions import Action, Outcome
from vault.crypto.keystore import PassphraseFactor
from vault.errors import InputError, RefusedError, UnavailableError
from vault.extracts.genotype_files import FileChoice
from vault.ids import utc_now
from vault.operations.spooling import HandedOut
from vault.server.panels.cursors import PanelCursor, cursor_text, read_cursor
from vault.session.moments import check_clock
from vault.session.unlocked_vault import open_vault

DAYS = timedelta(days=1)
PLACE = {"project": "served", "dataset": "cohort", "panel": "pgx"}


@pytest.fixture
def service(tmp_path):
    """The service of a vault, its clock, and a token of a week."""
    served.staffed(tmp_path)
    with opened(tmp_path / "v") as s:
        text = served.issue(s, "rita", TokenScope.READ, TokenScope.ENGINE, TokenScope.STREAM)
    with opened(tmp_path / "v", factor=PassphraseFactor.from_text(served.PASSPHRASE), principal="service") as s:
        yield s, text


def later(folder, days):
    """A day of some time to come on which something was logged; this vault's clock is then set back to where it was."""
    then = utc_now() + days * DAYS
    wrong = open_vault(folder, factor=vaults.FACTOR, principal="ann", clock=lambda: then)
    wrong.trail.record(Action.STREAM_PROBE, Outcome.DONE)
    wrong.abandon()
    return then


def test_a_token_stays_expired_also_once_it_is_known(service):
    s, text = service
    who = access_tokens.authenticate(s, text)
    _, guard = access_tokens.remembered(s, text)
    later(s.folder, 2)
    with pytest.raises(RefusedError) as caught:
        access_tokens.authenticate(s, text)
    assert caught.value.code == "token_refused"
    with s.books.read() as tx, pytest.raises(RefusedError):
        access_tokens.holder(s, tx, who.accessor)
    entry = s.trail.prepare(Action.STREAM_PROBE, Outcome.DONE)
    with pytest.raises(UnavailableError) as failed:
        s.trail.record_guarded(entry, guards=[guard])
    assert failed.value.code == access_tokens.STATE_CHANGED


def test_a_token_is_good_again_once_a_steward_says_that_the_clock_is_right(service):
    s, text = service
    later(s.folder, 2)
    with opened(s.folder) as ann:
        assert {one.state for one in access_tokens.list_all(ann)} == {"expired"}
        check_clock(ann)
        assert "active" in {one.state for one in access_tokens.list_all(ann)}
    assert access_tokens.authenticate(s, text).person.principal == "rita"


def test_a_token_cannot_be_made_that_is_over_by_the_log(service):
    s, _ = service
    later(s.folder, 2)
    with opened(s.folder) as ann, pytest.raises(InputError) as caught:
        served.issue(ann)
    assert caught.value.code == "expiry_past"


def test_a_cursor_stays_expired(service):
    s, text = service
    own = s.acting(access_tokens.authenticate(s, text).person)
    shown = cursor_text(own, PanelCursor(own.principal, *PLACE.values(), (bytes(32),), "s", "r"))
    assert read_cursor(own, shown, **PLACE)
    later(s.folder, 31)
    with pytest.raises(InputError) as caught:
        read_cursor(own, shown, **PLACE)
    assert caught.value.code == "cursor_invalid"


def test_tickets_of_before_do_not_count_and_new_ones_end_by_the_log(service):
    s, text = service
    accessor = access_tokens.authenticate(s, text).accessor
    then = later(s.folder, 0.5)
    with s.books.write() as tx:
        _, given = stream_tickets.give(s, tx, accessor, StreamAsked("served", "cohort"), "0" * 64)
    assert timedelta(0) < given.expires - then <= stream_tickets.LASTING + timedelta(minutes=1)


def test_what_a_server_keeps_is_handed_out_for_a_week_of_the_log(tmp_path):
    delivered.staffed(tmp_path)
    with opened(tmp_path / "v") as s:
        folder = spool.prepare(s.folder / spool.FOLDER)
        release = gate.extract(
            s,
            vaults.ask(s, project="parcels"),
            folder / "rel-0123456789abcdef",
            FileChoice("vcf"),
            spooled_as="rel-0123456789abcdef",
        )
        HandedOut().require(s, release)
        later(s.folder, 8)
        with pytest.raises(RefusedError) as caught:
            HandedOut().require(s, release)
        assert caught.value.code == "spool_expired"
