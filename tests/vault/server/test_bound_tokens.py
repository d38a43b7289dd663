"""Tokens that are bound to a client's certificate or to networks, wherever a token or a ticket of it is shown."""

from __future__ import annotations

import ssl
from contextlib import contextmanager

import httpx
import pytest

from policies.token_scopes import TokenScope
from tests.support import served
from tests.support.certificates import certificate
from tests.support.vaults import opened
from vault.access import token_texts
from vault.access.token_bindings import TokenBinding, fingerprint
from vault.audit.entry import decode_leaf

GENOTYPES = "/v1/projects/served/panels/pgx/genotypes"
SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bound")
    cert, key = certificate(folder, "server")
    pairs = {name: certificate(folder, name) for name in ("ours", "theirs")}
    (folder / "ca.pem").write_bytes(b"".join(pair[0].read_bytes() for pair in pairs.values()))
    served.staffed(folder)
    trusts = {}
    for name, pair in pairs.items():
        trusts[name] = ssl.create_default_context(cafile=str(cert))
        trusts[name].load_cert_chain(*pair)
    ours = TokenBinding(fingerprint(pairs["ours"][0].read_bytes()))
    with opened(folder / "v") as s:
        token = served.issue(s, "rita", *TokenScope, binding=ours)
        near = served.issue(s, "rita", binding=TokenBinding(networks=("127.0.0.2/32",)))
    options = ("--tls-cert", str(cert), "--tls-key", str(key), "--client-ca", str(folder / "ca.pem"))
    with served.serving(folder / "v", *options, token=token, trust=trusts["ours"]) as it:
        it.client.near, it.client.trusts = near, trusts
        yield it


@contextmanager
def client(server, whose, token=None, source=None):
    transport = httpx.HTTPTransport(verify=server.client.trusts[whose], local_address=source)
    headers = {"Authorization": f"Bearer {token or server.token}"}
    with httpx.Client(base_url=server.url, headers=headers, transport=transport, timeout=60) as made:
        yield made


@pytest.fixture
def thief(server):
    with client(server, "theirs") as made:
        yield made


def told(server):
    with opened(server.folder) as s:
        leaves = [decode_leaf(entry.leaf) for entry in s.trail.log.entries(0)]
    return [leaf["reasons"] for leaf in leaves if leaf["act"] == "principal.token.shown"]


def test_a_token_is_refused_beside_another_certificate_also_once_it_is_known(server, thief):
    asked = {"dataset": "cohort"}
    before = len(told(server))
    names = list(server.post(GENOTYPES, asked).json()["calls"])[:1]
    assert server.post(GENOTYPES, {**asked, "pseudonyms": names}).status_code == 200
    answers = [
        thief.get("/v1/projects"),
        thief.post(GENOTYPES, json={**asked, "pseudonyms": names}),
        thief.get("/v1/releases/rel-0123456789abcdef/files/manifest.json"),
        thief.get("/variants/served/cohort"),
        thief.get("/v1/requests"),
    ]
    assert [one.status_code for one in answers] == [401] * len(answers)
    assert told(server)[before:] == [{"token_elsewhere": 1}] * len(answers)
    assert server.post(GENOTYPES, {**asked, "pseudonyms": names}).status_code == 200


def test_a_ticket_of_a_bound_token_opens_no_block_elsewhere(server, thief):
    header, body = server.client.get("/variants/served/cohort").json()["htsget"]["urls"]
    made_up = {"Authorization": f"Bearer {token_texts.spelled('0123456789', bytes(32), 'gvs')}"}
    for url in (header, body):
        none, taken = server.client.get(url["url"], headers=made_up), thief.get(url["url"], headers=url["headers"])
        assert (taken.status_code, taken.content) == (none.status_code, none.content) == (404, none.content)
        assert server.client.get(url["url"], headers=url["headers"]).status_code == 200


def test_the_console_takes_a_bound_token_from_its_place_alone_and_ends_elsewhere(server, thief):
    form = {"access_token": server.token}
    assert thief.post("/console/login", data=form, headers=SAME).status_code == 403
    entered = server.client.post("/console/login", data=form, headers=SAME)
    assert entered.status_code == 303
    cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}
    assert server.client.get("/console/requests", headers=cookie).status_code == 200
    gone = thief.get("/console/requests", headers=cookie)
    assert (gone.status_code, gone.headers["location"]) == (303, "/console/login?said=ended")
    assert server.client.get("/console/requests", headers=cookie).status_code == 303, "whose cookie was taken logs in again"


def test_a_token_is_good_from_its_network_alone(server):
    with (
        client(server, "theirs", server.client.near, "127.0.0.2") as inside,
        client(server, "theirs", server.client.near) as outside,
    ):
        assert inside.get("/v1/projects").status_code == 200
        assert outside.get("/v1/projects").status_code == 401
        named = {"X-Forwarded-For": "127.0.0.2", "Forwarded": "for=127.0.0.2"}
        assert outside.get("/v1/projects", headers=named).status_code == 401, "a header is nobody's address"
