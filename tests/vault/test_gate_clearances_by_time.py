"""Clearances and time: none outlives what begins or ends by itself, by whichever clock, and the time that a wrong clock had written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.consent_work import FORM, Clock, guardian, sheet
from tests.support.held import FACTOR, Held
from tests.support.vcf_text import vcf
from vault import gate
from vault.consent import recording
from vault.crypto.primitives import Argon2Profile
from vault.errors import RefusedError
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import parse_loci
from vault.operations.create import init
from vault.operations.recovery import open_recovered
from vault.session import moments
from vault.subjects.sheet_import import import_sheet
from vault.subjects.subject_sheet import read_subject_sheet

PANEL = {"project": "demo", "dataset": "cohort", "panel": "p"}
SAMPLES = "A B C D"
ZONE = "Pacific/Auckland"
MAJORITY = datetime(2026, 7, 1, 12, tzinfo=UTC)  # midnight of 2 July there: A is 18 by the vault's days


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def held(tmp_path, clock):
    """Four people, of whom nobody has answered; A is a child who comes of age, in a zone whose days begin earlier."""
    init(tmp_path / "v", steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY, time_zone=ZONE, clock=clock)
    held = Held.of(tmp_path, clock=clock)
    people = b"sample_id,mrn,birth_date,country\nA,M1,2008-07-02,DE\n"
    import_sheet(held.vault, read_subject_sheet(people, today=clock.now.date()))
    held.load(held.write("c.vcf", vcf(SAMPLES, "22 100 A G 0|1 1|0 0|0 1|1", "22 200 C T 0|0 0|1 1|1 0|1").data))
    loci = parse_loci(b"22\t99\t100\n22\t199\t200\n", name="loci")
    panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "p", loci)
    held.project("demo")
    yield held
    held.vault.close()


def accept(held, *people, form=FORM, answer="yes", when="", **more):
    rows = [{"subject": one, "research_use": answer, "legal_time": when, **more} for one in people]
    recording.import_answers(held.vault, sheet(*rows), form)


def who(held):
    """Whom a read gives, by sample; the same as what is decided by itself."""
    names = held.names("demo")
    found = [names[one] for one in gate.read_panel(held.vault, **PANEL).view.pseudonyms]
    return "".join(sorted(found))


def elsewhere(held, clock):
    return open_recovered(held.folder / "v", factor=FACTOR, clock=clock)


def test_who_comes_of_age_is_gone_at_midnight_of_the_study_s_zone(held, clock):
    recording.import_answers(held.vault, sheet(guardian("A", "Ada")), FORM)
    accept(held, "B", "C")
    clock.now = MAJORITY - timedelta(seconds=30)
    assert who(held) == "ABC"
    clock.now = MAJORITY - timedelta(milliseconds=100)
    size = held.vault.trail.log.size()
    assert who(held) == "ABC"
    assert held.vault.trail.log.size() == size + 1  # under the clearance that was kept
    clock.now = MAJORITY
    assert who(held) == "BC"


def test_a_consent_ends_by_law_under_a_kept_clearance(held, clock):
    accept(held, "B", form="disease-research", answer="any_health", when="1996-06-20", commercial="yes")
    accept(held, "C")
    clock.now = datetime(2026, 6, 19, 11, 59, 50, tzinfo=UTC)  # 360 months after midnight of the zone's 20 June
    assert who(held) == "BC"
    clock.now += timedelta(seconds=11)
    assert who(held) == "C"


def test_where_the_last_permission_ends_the_read_is_refused(held, clock):
    accept(held, "B", form="disease-research", answer="any_health", when="1996-06-20", commercial="yes")
    clock.now = datetime(2026, 6, 19, 11, 59, 50, tzinfo=UTC)
    assert who(held) == "B"
    ready = gate.cleared_read(held.vault, **PANEL)
    clock.now += timedelta(seconds=11)
    assert gate.cleared_read(held.vault, **PANEL) is None
    with pytest.raises(Exception, match="cleared on has changed"):
        held.vault.trail.record_guarded(ready.entry, guards=ready.guards, then=ready.then)
    with pytest.raises(RefusedError) as caught:
        gate.read_panel(held.vault, **PANEL)
    assert caught.value.code == "no_one_permitted"


def test_a_permission_that_begins_is_seen_within_a_minute(held, clock):
    accept(held, "B")
    assert who(held) == "B"
    accept(held, "D")
    clock.forward(seconds=61)
    assert who(held) == "BD"


def test_what_ends_by_the_log_s_time_ends_for_a_clock_that_stands_behind(held, clock):
    """Reads and what a cursor tells go by one time: another session's entry, not this machine's clock alone."""
    recording.import_answers(held.vault, sheet(guardian("A", "Ada")), FORM)
    accept(held, "B", "C")
    clock.now = MAJORITY - timedelta(seconds=30)
    before = gate.read_panel(held.vault, **PANEL)
    since = {"since_people": [before.people], "since_rows": before.rows}
    assert gate.changes(held.vault, **PANEL, **since).dropped == ()
    other = elsewhere(held, lambda: MAJORITY + timedelta(seconds=1))
    gate.read_panel(other, **PANEL)
    other.close()
    assert len(gate.changes(held.vault, **PANEL, **since).dropped) == 1
    assert who(held) == "BC"


def test_a_clearance_of_a_time_that_was_wrong_ends_when_a_steward_says_so(held, clock):
    """Decided for the time of an entry from the future, it would else stand until that time comes."""
    accept(held, "B")
    recording.import_answers(held.vault, sheet(guardian("A", "Ada")), FORM)
    wrong = elsewhere(held, lambda: MAJORITY + timedelta(days=2))
    gate.read_panel(wrong, **PANEL)
    wrong.abandon()
    assert who(held) == "B"  # the log says that A is of age
    moments.check_clock(held.vault)
    assert who(held) == "AB"


def test_a_clearance_of_a_time_that_was_wrong_permits_nobody_who_is_not_permitted_yet(held, clock):
    accept(held, "B")
    ahead = Clock()
    ahead.now = clock.now + timedelta(days=400)
    wrong = elsewhere(held, ahead)
    recording.record(wrong, "C", FORM, {"research_use": "yes", "recontact": "yes"})
    ahead.forward(seconds=1)
    gate.read_panel(wrong, **PANEL)
    wrong.abandon()
    assert who(held) == "BC"
    moments.check_clock(held.vault)
    fresh = elsewhere(held, clock)
    afresh = set(gate.view(fresh, **PANEL).pseudonyms)
    fresh.close()
    assert set(gate.read_panel(held.vault, **PANEL).view.pseudonyms) == afresh
