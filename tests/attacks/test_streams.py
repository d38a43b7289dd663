"""Somebody with a token, or a ticket that was overheard, who wants more of streams than they give."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from policies.token_scopes import TokenScope
from tests.support import served, vaults
from tests.support.vaults import opened, verified
from vault.access import access_tokens, token_texts
from vault.operations.erasure import process as erasure
from vault.server.htsget.questions import MOST_REGIONS

COHORT = "/variants/served/cohort"
REGION = f"{COHORT}?referenceName=22&start=1000&end=1300"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("overheard")
    served.staffed(folder)
    with opened(folder / "v") as s:
        token = served.issue(s, "rita", TokenScope.STREAM)
        vaults.approve(s, "second", "cohort", people=["rita"])
    with served.serving(folder / "v", token=token) as it:
        yield it


def ticket(server, path=REGION, **headers):
    answer = server.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["htsget"]["urls"][-1]["headers"]


def body(server, headers):
    return server.client.get("/blocks/1", headers=headers)


def leaves(server):
    with opened(server.folder) as s:
        return [json.loads(entry.leaf) for entry in s.trail.log.entries(0)]


def test_a_ticket_gives_its_own_view_whatever_is_asked_beside_it(server):
    small, large = ticket(server), ticket(server, COHORT)
    own = body(server, small).content
    for path in ("/blocks/1?referenceName=22", "/blocks/1?format=BCF", f"/blocks/1?project=second&{REGION.partition('?')[2]}"):
        assert server.client.get(path, headers=small).content == own
    assert len(body(server, large).content) > len(own)
    assert body(server, small).content == own


def test_a_token_of_another_project_fetches_nothing_of_this_one_and_the_other_way_round(server):
    with opened(server.folder) as s:
        text, _ = access_tokens.issue(
            s, "rita", project="second", scopes=[TokenScope.STREAM], expires=s.clock() + timedelta(days=1)
        )
    other = {"Authorization": f"Bearer {text.reveal().decode()}"}
    assert server.client.get(REGION, headers=other).status_code == 404
    assert server.client.get(REGION.replace("served", "second")).status_code == 404
    mine, theirs = ticket(server), ticket(server, REGION.replace("served", "second"), **other)
    names = [server.client.get("/blocks/0", headers=one).content for one in (mine, theirs)]
    assert names[0] != names[1]  # pseudonyms of one project are not those of the other


def test_as_many_regions_as_may_be_and_one_more(server):
    regions = [{"referenceName": "22", "start": 1000 + 20 * at, "end": 1010 + 20 * at} for at in range(MOST_REGIONS)]
    answer = server.post(COHORT, {"regions": regions})
    assert answer.status_code == 200
    found = body(server, answer.json()["htsget"]["urls"][1]["headers"])
    assert found.status_code == 200
    assert server.post(COHORT, {"regions": [*regions, regions[0]]}).status_code == 413


def test_secrets_are_in_no_file_of_the_vault_and_in_nothing_that_is_printed(server):
    shown = ticket(server)["Authorization"].removeprefix("Bearer ")
    body(server, {"Authorization": f"Bearer {shown}"})
    body(server, {"Authorization": f"Bearer {shown[:-1]}?"})
    with opened(server.folder) as s:
        s.books.checkpoint_wal()
    stored = b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())
    for secret in (shown, shown.split("_")[2], server.token.split("_", 2)[2]):
        assert secret.encode() not in stored
    assert token_texts.parse(shown, "gvs")[1] not in stored


def test_strangers_fill_no_log(server):
    before = len(leaves(server))
    for number in range(20):
        text = token_texts.spelled(f"{number:010}", bytes(32), "gvs")
        assert body(server, {"Authorization": f"Bearer {text}"}).status_code == 404
        server.client.get(f"{COHORT}.csi", headers={"Authorization": "x"})
        server.client.get(REGION, headers={"Authorization": "Bearer x"})
    assert len(leaves(server)) == before


def test_at_once_from_many_sides_everything_is_answered_and_the_log_holds(server):
    def fetch(_):
        headers = ticket(server)
        return server.client.get("/blocks/0", headers=headers).content, body(server, headers)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fetch, range(24)))
    assert {answer.status_code for _, answer in found} <= {200, 503}
    assert len({head for head, _ in found}) == 1
    assert len({answer.content for _, answer in found if answer.status_code == 200}) == 1
    with opened(server.folder) as s:
        assert not verified(s).findings


def test_who_hangs_up_in_the_middle_holds_nothing(server):
    headers = ticket(server, COHORT)
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as one:
            one.sendall(f"GET /blocks/1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: {headers['Authorization']}\r\n\r\n".encode())
            one.recv(100)
    assert body(server, headers).status_code == 200
    open_intents = {leaf["id"] for leaf in leaves(server) if leaf["act"] == "view.intent" and leaf["outcome"] == "intent"}
    assert open_intents == {leaf["refers"] for leaf in leaves(server) if leaf["act"] == "view.outcome"}


def test_an_erasure_ends_what_is_out(server):
    headers = ticket(server)
    with opened(server.folder) as s:
        erasure.erase(s, "S08")
    assert body(server, headers).status_code == 404
    assert body(server, ticket(server)).status_code == 200
    last = [leaf for leaf in leaves(server) if leaf["act"] == "view.intent" and leaf["outcome"] == "refused"][-1]
    assert last["reasons"] == {"ticket_outdated": 1}
