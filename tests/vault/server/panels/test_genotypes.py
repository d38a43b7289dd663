"""Panels over the wire: JSON, Arrow and the view in process say the same, row by row; a cursor brings what came and names what is to go."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pytest

import vault
from policies.token_scopes import TokenScope
from tests.support import served
from tests.support.vaults import opened
from vault import gate
from vault.consent import recording

PANEL = "/v1/projects/served/panels/pgx"
ARROW = {"Accept": "application/vnd.apache.arrow.stream"}


@pytest.fixture
def client(server):
    with vault.connect(server.url, token=server.token) as it:
        yield it


@pytest.fixture
def panel(client):
    return client.panel("served", dataset="cohort", name="pgx")


def embedded(server):
    with opened(server.folder) as s:
        return gate.view(s, project="served", dataset="cohort", panel="pgx")


def test_json_arrow_and_the_view_in_process_say_the_same(server, panel):
    view = embedded(server)
    wire, plain = panel.genotypes(), server.post(f"{PANEL}/genotypes", {"dataset": "cohort"}).json()
    calls = {name: view.calls_of(name) for name in view.pseudonyms}
    assert plain["calls"] == calls == {name: wire.calls_of(name) for name in wire.pseudonyms}
    assert wire.variants() == view.variants()
    assert wire.sites.info.items() == view.sites.info.items()
    assert (wire.assembly, wire.not_assayed, wire.whole, wire.drop) == (view.assembly, view.not_assayed, True, ())
    assert wire.sites_id == plain["sites_id"]
    order = [wire.pseudonyms.index(name) for name in view.pseudonyms]
    assert np.array_equal(wire.genotypes[:, order], view.genotypes)
    assert np.array_equal(wire.phased[:, order], view.phased)


def test_pyarrow_and_polars_read_the_stream(server):
    answer = server.post(f"{PANEL}/genotypes", {"dataset": "cohort", "sites": True}, **ARROW)
    assert answer.headers["content-type"] == ARROW["Accept"]
    table, frame = pa.ipc.open_stream(answer.content).read_all(), pl.read_ipc_stream(io.BytesIO(answer.content))
    assert table["pseudonym"].to_pylist() == frame["pseudonym"].to_list()
    assert table["alleles"].to_pylist() == frame["alleles"].to_list()
    said = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    assert said["genovault.sites_id"] == answer.headers["genovault-sites-id"]
    assert said["genovault.cursor"] == answer.headers["genovault-cursor"]
    assert said["genovault.entry"] == answer.headers["genovault-entry"]
    sites = pa.ipc.open_stream(base64.b64decode(said["genovault.site_table"])).read_all()
    assert len(sites) == int(said["genovault.sites"])


def test_one_row_is_the_bulk_s_row_and_has_its_entry(server, panel):
    whole = panel.genotypes()
    before = entries(server)
    some = panel.genotypes(whole.pseudonyms[:3])
    assert set(some.pseudonyms) == set(whole.pseudonyms[:3])
    assert some.sites_id == whole.sites_id
    for name in some.pseudonyms:
        assert np.array_equal(some.row(name), whole.row(name))
    new = entries(server)[len(before) :]
    assert json.loads(new[-1])["outcome"] == "done"
    assert some.entry == len(before) + len(new) - 1
    assert panel.genotypes(["served-000000"]).pseudonyms == ()


def test_the_receipt_of_an_answer_proves_its_entry(panel, client):
    entry = panel.genotypes().entry
    assert client.receipt(entry).startswith("c2sp.org/tlog-proof")
    assert f"index {entry}\n" in client.receipt(entry)


def test_the_site_table_is_given_by_the_id_of_now_alone(server, panel):
    now = panel.genotypes().sites_id
    path = f"{PANEL}/sites/{now}?dataset=cohort"
    plain = server.client.get(path).json()
    assert [(one["pos"], one["ref"]) for one in plain["sites"]] == [(one.pos, one.ref) for one in panel.genotypes().variants()]
    assert server.client.get(path, headers=ARROW).headers["content-type"] == ARROW["Accept"]
    other = server.client.get(f"{PANEL}/sites/{'0' * 64}?dataset=cohort")
    elsewhere = server.client.get(f"/v1/projects/demo/panels/pgx/sites/{now}?dataset=cohort")
    for answer in (other, elsewhere):
        assert (answer.status_code, answer.json()["code"]) == (403, "refused")
    assert server.client.get(f"{PANEL}/sites/x?dataset=cohort").status_code == 400
    assert panel.sites("0" * 64) is None


def test_since_a_cursor_come_those_who_came_and_go_those_who_went(server, panel):
    whole = panel.genotypes()
    again = panel.genotypes(since=whole.cursor)
    assert (again.pseudonyms, again.drop, again.whole) == ((), (), False)
    with opened(server.folder) as s:
        recording.withdraw(s, "S07")
    less = panel.genotypes(since=whole.cursor)
    left = set(whole.pseudonyms) - set(panel.genotypes().pseudonyms)
    if less.whole:  # sites changed with the person
        assert set(less.pseudonyms) == set(whole.pseudonyms) - left
    else:
        assert (less.pseudonyms, set(less.drop)) == ((), left)
    assert len(left) == 1
    after = panel.genotypes(since=less.cursor)
    assert (after.pseudonyms, after.drop, after.whole) == ((), (), False)


def test_a_cursor_that_does_not_hold_is_one_answer_and_leaves_an_entry(server, panel):
    good = panel.genotypes().cursor
    with opened(server.folder) as s:
        other = served.issue(s, "rob")
    with vault.connect(server.url, token=other) as c:
        theirs = c.panel("served", dataset="cohort", name="pgx").genotypes().cursor
    before = entries(server)
    body, _, mac = good.partition(".")
    raw = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**raw, "panel": "other"}).encode()).decode().rstrip("=")
    attacks = [theirs, f"{forged}.{mac}", good[:-1], good + "A", body, f"{body}.", ".", "x" * 2_000]
    answers = [server.post(f"{PANEL}/genotypes", {"dataset": "cohort", "since": one}) for one in attacks]
    assert {(one.status_code, one.json()["code"]) for one in answers} == {(400, "cursor_invalid")}
    assert len({one.text for one in answers}) == 1
    new = [json.loads(leaf) for leaf in entries(server)[len(before) :]]
    assert [one["reasons"] for one in new if one["act"] == "view.changes"] == [{"cursor_invalid": 1}] * len(attacks)
    elsewhere = server.post("/v1/projects/served/panels/other/genotypes", {"dataset": "cohort", "since": good})
    assert elsewhere.json()["code"] == "cursor_invalid"


def test_pseudonyms_and_a_cursor_are_one_too_many(server, panel):
    asked = {"dataset": "cohort", "since": "x", "pseudonyms": []}
    assert server.post(f"{PANEL}/genotypes", asked).json()["code"] == "since_and_names"
    with pytest.raises(vault.UsageError):
        panel.genotypes([], since="x")


def test_a_token_without_the_scope_is_refused_with_an_entry(server):
    with opened(server.folder) as s:
        reading = served.issue(s, "rita", TokenScope.READ)
    before = entries(server)
    with vault.connect(server.url, token=reading) as c, pytest.raises(vault.RefusedError):
        c.panel("served", dataset="cohort", name="pgx").genotypes()
    (new,) = entries(server)[len(before) :]
    assert (json.loads(new)["act"], json.loads(new)["outcome"]) == ("view.intent", "refused")


def test_what_may_be_listed_is_listed_and_corrected(client):
    assert [one.code for one in client.projects()] == ["served"]
    assert [one.name for one in client.panels("served")] == ["pgx"]
    with pytest.raises(vault.InputError) as caught:
        client.panel("served", dataset="cohort", name="nosuch").genotypes()
    assert caught.value.code == "panel_unknown"


def entries(server):
    with opened(server.folder) as s:
        return [entry.leaf for entry in s.trail.log.entries(0)]
