"""Streams in process: a ticket opens nothing, a stream is what the extract is, and what changes ends a ticket at once."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta

import pytest

from policies.token_scopes import TokenScope
from tests.support import served, vaults
from tests.support.vaults import FACTOR, opened, verified
from vault import gate
from vault.access import access_tokens, notices, projects, releases, stream_tickets
from vault.access.stream_tickets import StreamAsked
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor
from vault.errors import InputError, RefusedError, UnavailableError
from vault.extracts import bgzf
from vault.extracts.stream_format import StreamFormat
from vault.gate import accesses
from vault.operations import release_checks, release_recovery
from vault.session import principals
from vault.views import deidentify

REGION = StreamAsked("served", "cohort", regions=("22:1001-1200",))
PANEL = StreamAsked("served", "cohort", panel="pgx")
RECORDS = "%CHROM\t%POS\t%REF\t%ALT\t%FILTER\t%AC\t%AN[\t%SAMPLE=%GT]\n"


@pytest.fixture
def held(tmp_path):
    served.staffed(tmp_path)
    with opened(tmp_path / "v") as s:
        token = served.issue(s, "rita", TokenScope.STREAM)
    with opened(tmp_path / "v", factor=PassphraseFactor.from_text(served.PASSPHRASE), principal="service") as service:
        yield Held(service, tmp_path / "v", token)


class Held:
    """A service and a researcher's token."""

    def __init__(self, service, folder, token):
        self.service, self.folder, self.token = service, folder, token

    def ticket(self, asked):
        who = access_tokens.authenticate(self.service, self.token)
        text, _ = gate.stream_ticket(self.service.acting(who.person), asked, accessor=who.accessor)
        return text.reveal().decode()

    def fetch(self, text):
        return gate.stream_header(self.service, text) + b"".join(gate.stream_body(self.service, text))

    def refused(self, text):
        for fetch in (gate.stream_header, gate.stream_body):
            with pytest.raises(RefusedError) as caught:
                fetch(self.service, text)
            assert caught.value.code == "refused"
        return self.leaves()[-1]["reasons"]

    def leaves(self):
        return [json.loads(entry.leaf) for entry in self.service.trail.log.entries(0)]

    def steward(self, act):
        with opened(self.folder) as s:
            return act(s)


def query(data, tmp_path, name="it"):
    (tmp_path / name).write_bytes(data)
    ran = subprocess.run(["bcftools", "query", "-f", RECORDS, tmp_path / name], capture_output=True, text=True, check=True)
    assert not ran.stderr
    return by_name(ran.stdout)


def by_name(text):
    """Records with calls by name: columns have their own order in each release."""
    return [(*line.split("\t")[:7], *sorted(line.split("\t")[7:])) for line in text.splitlines()]


@pytest.mark.parametrize("kind", StreamFormat)
def test_a_stream_has_the_records_of_the_extract(held, tmp_path, kind):
    def extract(s):
        gate.extract(s, vaults.ask(s, project="served", regions=REGION.regions), tmp_path / "out")

    held.steward(extract)
    kept = by_name(
        subprocess.run(
            ["bcftools", "query", "-f", RECORDS, tmp_path / "out" / "genotypes.vcf.gz"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    asked = StreamAsked("served", "cohort", regions=REGION.regions, kind=kind)
    assert kept
    assert query(held.fetch(held.ticket(asked)), tmp_path) == kept


@pytest.mark.parametrize("kind", StreamFormat)
def test_a_panel_and_the_part_of_it_that_is_asked_for(held, tmp_path, kind):
    whole = query(held.fetch(held.ticket(StreamAsked("served", "cohort", panel="pgx", kind=kind))), tmp_path)
    part = StreamAsked("served", "cohort", panel="pgx", regions=("22:1011-1020",), kind=kind)
    some = query(held.fetch(held.ticket(part)), tmp_path)
    assert [record[1] for record in whole] == ["1010", "1020", "1030"]
    assert some == [record for record in whole if record[1] == "1020"]


def test_a_ticket_opens_nothing_and_names_nobody(held):
    before = held.leaves()
    held.ticket(REGION)
    (leaf,) = held.leaves()[len(before) :]
    assert (leaf["act"], leaf["outcome"]) == ("stream.ticket", "done")
    assert leaf["actor"] == {"kind": "service", "id": "service", "for": "rita"}
    assert "subj" not in leaf
    assert not releases.list_all(held.service)


def test_each_block_has_its_entry_and_each_body_a_release(held):
    text, before = held.ticket(REGION), len(held.leaves())
    held.fetch(text)
    told = [(leaf["act"], leaf["outcome"], leaf["subj"]["n"] if "subj" in leaf else 0) for leaf in held.leaves()[before:]]
    assert told == [("stream.header", "done", 10), ("view.intent", "intent", 10), ("view.outcome", "done", 0)]
    assert {"stream"} <= set(held.leaves()[-1]["flags"])
    (release,) = releases.list_all(held.service)
    assert (release.state, release.n_subjects) == (releases.RELEASED, 10)


def test_header_and_retried_block_are_the_same_bytes_and_every_ticket_has_that_header(held):
    text = held.ticket(REGION)
    first, head = b"".join(gate.stream_body(held.service, text)), gate.stream_header(held.service, text)
    assert b"".join(gate.stream_body(held.service, text)) == first
    assert gate.stream_header(held.service, held.ticket(StreamAsked("served", "cohort", regions=("21:1-600",)))) == head
    only = held.ticket(StreamAsked("served", "cohort", header_only=True))
    assert gate.stream_header(held.service, only) == head
    with pytest.raises(RefusedError):
        gate.stream_body(held.service, only)


def test_where_nothing_is_to_be_shown_the_file_is_whole_and_without_sites(held, tmp_path):
    for regions in (("22:900000000-900000100",), ("21:1-2",)):
        data = held.fetch(held.ticket(StreamAsked("served", "cohort", regions=regions)))
        assert data.endswith(bgzf.EOF_BLOCK)
        assert query(data, tmp_path) == []


def test_who_withdrew_ends_every_ticket_and_is_in_none_that_follows(held, tmp_path):
    text = held.ticket(REGION)
    names = {call.partition("=")[0] for call in query(held.fetch(text), tmp_path)[0][7:]}
    held.steward(lambda s: recording.withdraw(s, "S09"))
    assert held.refused(text) == {"ticket_outdated": 1}
    left = {call.partition("=")[0] for call in query(held.fetch(held.ticket(REGION)), tmp_path)[0][7:]}
    assert len(names - left) == 1
    assert left < names


def test_who_came_ends_a_ticket_as_well(held):
    text = held.ticket(REGION)
    held.steward(lambda s: recording.record(s, "S11", "broad-research", {"research_use": "yes"}))
    assert held.refused(text) == {"ticket_outdated": 1}


def test_a_revoked_token_a_closed_project_and_a_disabled_person_end_a_ticket(held):
    text = held.ticket(REGION)
    held.steward(lambda s: access_tokens.revoke(s, held.token.split("_")[1]))
    assert held.refused(text) == {"token_refused": 1}
    held.token = held.steward(lambda s: served.issue(s, "rob", TokenScope.STREAM))
    text = held.ticket(REGION)
    held.steward(lambda s: projects.change(s, "served", "suspend"))
    assert held.refused(text) == {"project_not_approved": 1}
    held.steward(lambda s: principals.disable(s, "rob"))
    assert held.refused(text) == {"token_refused": 1}


def test_a_ticket_is_over_in_minutes(held):
    text, now = held.ticket(REGION), held.service.clock
    held.service.clock = lambda: now() + stream_tickets.LASTING + timedelta(seconds=1)
    assert held.refused(text) == {"ticket_expired": 1}
    held.service.clock = lambda: now() + stream_tickets.LASTING + stream_tickets.KEPT + timedelta(seconds=2)
    held.ticket(REGION)
    before = len(held.leaves())
    with pytest.raises(RefusedError):
        gate.stream_body(held.service, text)
    assert len(held.leaves()) == before  # whoever shows nothing that was given leaves no entry


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"pseudonyms": "release"}, "stream_unnamed"),
        ({"approval": "each"}, "stream_unapproved"),
        ({"delivery": "sealed", "recipients": [{"name": "lab"}]}, "stream_sealed"),
        ({"kinds": ["counts"]}, "outside_project"),
    ],
)
def test_projects_that_do_not_hand_out_in_the_clear_have_no_streams(held, changes, code):
    def project(s):
        vaults.approve(s, "closed", "cohort", people=["rita"], **changes)

    held.steward(project)
    who = access_tokens.authenticate(held.service, held.token)
    with pytest.raises(RefusedError) as caught:
        gate.stream_ticket(held.service.acting(who.person), StreamAsked("closed", "cohort"), accessor=who.accessor)
    assert caught.value.code == "refused"
    assert held.leaves()[-1]["reasons"] == {code: 1}


@pytest.mark.parametrize(
    "asked",
    [
        StreamAsked("served", "nosuch"),
        StreamAsked("served", "other"),
        StreamAsked("demo", "cohort"),
        StreamAsked("served", "cohort", panel="nosuch"),
        StreamAsked("served", "cohort", regions=("17:1-10",)),
        StreamAsked("served", "cohort", panel="pgx", regions=("17:1-10",)),
    ],
)
def test_what_is_not_there_and_what_is_not_allowed_are_one_refusal(held, asked):
    with pytest.raises(RefusedError) as caught:
        held.ticket(asked)
    assert caught.value.code == "refused"


def test_a_region_that_is_none_is_said_to_everybody(held):
    with pytest.raises(InputError):
        held.ticket(StreamAsked("served", "cohort", regions=("22:5-1",)))


def in_windows(monkeypatch):
    """More windows than one, of few sites."""
    monkeypatch.setattr(deidentify, "FEWEST_SITES", 512)
    monkeypatch.setattr(deidentify, "WINDOW_CALLS", 1)


def test_what_fits_no_window_leaves_behind_its_intent_and_ends_with_its_outcome(held, tmp_path, monkeypatch):
    whole = query(held.fetch(held.ticket(StreamAsked("served", "cohort"))), tmp_path)
    in_windows(monkeypatch)
    text = held.ticket(StreamAsked("served", "cohort"))
    stream = gate.stream_body(held.service, text)
    assert held.leaves()[-1]["outcome"] == "intent"
    data = gate.stream_header(held.service, text) + b"".join(stream)
    assert query(data, tmp_path) == whole
    assert [leaf["outcome"] for leaf in held.leaves() if leaf["act"].startswith("view.")][-2:] == ["intent", "done"]


def cut(held):
    """The last outcome, and the state of its release."""
    end = [leaf for leaf in held.leaves() if leaf["act"] == "view.outcome"][-1]
    return end["outcome"], end["reasons"], "cut" in end["flags"], releases.list_all(held.service)[0].state


def test_a_reader_who_goes_away_has_what_was_sent(held, monkeypatch):
    in_windows(monkeypatch)
    stream = gate.stream_body(held.service, held.ticket(StreamAsked("served", "cohort")))
    stream.close()
    assert cut(held) == ("done", {"interrupted": 1}, True, releases.RELEASED)
    assert not verified(held.service).findings
    assert not list(release_checks.findings(held.service))


def test_a_withdrawal_stops_a_stream_that_is_under_way(held, monkeypatch):
    in_windows(monkeypatch)
    stream = gate.stream_body(held.service, held.ticket(StreamAsked("served", "cohort")))
    held.steward(lambda s: recording.withdraw(s, "S09"))
    with pytest.raises(RefusedError) as caught:
        list(stream)
    assert caught.value.code == "consent_changed"
    assert cut(held) == ("done", {"consent_changed": 1}, True, releases.RELEASED)


def test_a_revoked_token_stops_a_stream_that_is_under_way(held, monkeypatch):
    in_windows(monkeypatch)
    stream = gate.stream_body(held.service, held.ticket(StreamAsked("served", "cohort")))
    held.steward(lambda s: access_tokens.revoke(s, held.token.split("_")[1]))
    with pytest.raises(RefusedError):
        list(stream)
    assert cut(held) == ("done", {"token_refused": 1}, True, releases.RELEASED)


def test_a_stream_whose_process_ended_is_closed_as_one_that_left(held, monkeypatch):
    in_windows(monkeypatch)
    monkeypatch.setattr(accesses, "cut", lambda *_, **__: None)  # a process that is killed says nothing
    stream = gate.stream_body(held.service, held.ticket(StreamAsked("served", "cohort")))
    stream.close()
    assert held.leaves()[-1]["outcome"] == "intent"
    assert release_recovery.recover(held.service) == 1
    assert cut(held) == ("done", {"interrupted": 1}, True, releases.RELEASED)
    assert not list(release_checks.findings(held.service))


def test_one_that_was_killed_before_its_first_byte_left_nothing(held, monkeypatch):
    def killed(*_, **__):
        raise UnavailableError("log_unavailable", "as in a kill: nothing is said")

    monkeypatch.setattr(accesses, "commit", killed)
    with pytest.raises(UnavailableError):
        gate.stream_body(held.service, held.ticket(REGION))
    assert release_recovery.recover(held.service) == 1
    end = [leaf for leaf in held.leaves() if leaf["act"] == "view.outcome"][-1]
    assert (end["outcome"], releases.list_all(held.service)[0].state) == ("aborted", releases.ABORTED)


@pytest.mark.parametrize("asked", [REGION, StreamAsked("served", "cohort"), PANEL])
def test_a_limit_of_bits_is_kept_to_before_the_first_byte(held, monkeypatch, asked):
    in_windows(monkeypatch)

    def limited(s):
        vaults.approve(s, "few", "cohort", people=["rita"], disclosure={"max_bits": 1})
        text, _ = access_tokens.issue(s, "rita", project="few", scopes=[TokenScope.STREAM], expires=s.clock() + timedelta(days=1))
        return text.reveal().decode()

    held.token = held.steward(limited)
    few = StreamAsked("few", "cohort", panel=asked.panel, regions=asked.regions)
    with pytest.raises(RefusedError):
        gate.stream_body(held.service, held.ticket(few))
    end = [leaf for leaf in held.leaves() if leaf["act"] == "view.outcome"][-1]
    assert (end["outcome"], end["reasons"]) == ("refused", {"too_many_bits": 1})


def test_what_a_person_holds_of_a_panel_is_theirs_and_not_the_service_s(held):
    held.fetch(held.ticket(PANEL))
    with opened(held.folder, factor=FACTOR) as s:
        assert not list(release_checks.notices_and_holdings(s))


def test_a_token_has_so_many_tickets_at_a_time(held, monkeypatch):
    monkeypatch.setattr(stream_tickets, "MOST", 2)
    first = [held.ticket(REGION), held.ticket(PANEL)]
    with pytest.raises(RefusedError):
        held.ticket(REGION)
    assert held.leaves()[-1]["reasons"] == {"tickets_full": 1}
    assert all(held.fetch(text) for text in first)
    now = held.service.clock
    held.service.clock = lambda: now() + stream_tickets.LASTING + timedelta(seconds=1)
    assert held.ticket(REGION)


@pytest.mark.parametrize("asked", [PANEL, REGION])
def test_who_fetched_is_told_whom_to_drop(held, asked):
    held.fetch(held.ticket(asked))
    held.steward(lambda s: recording.withdraw(s, "S03"))
    notices_left = held.steward(notices.list_all)
    assert [(one.content.kind, one.content.recipients) for one in notices_left] == [
        ("holding", ("rita",)) if asked.panel else ("release", ("served",))
    ]


def test_a_ticket_that_somebody_edits_is_not_accepted(held):
    text = held.ticket(REGION)
    held.service.books.checkpoint_wal()
    vaults.sql(held.folder / "books.db", "UPDATE stream_ticket SET expires = expires + 1000000000")
    assert held.steward(lambda s: [found.code for found in release_checks.budgets_and_answers(s)]) == ["stream_ticket_altered"]
    with pytest.raises(RefusedError):
        gate.stream_body(held.service, text)
