"""Admission: limits by token and source, heads that are read in one way, and bugs that nobody is told of."""

from __future__ import annotations

import asyncio
import json

import pytest

from vault.server.admission import OF_ONE, SOURCE, Admission, token_key
from vault.server.connections import source_of
from vault.server.heads import MOST_HEADERS, is_plain_path
from vault.server.metrics import STEP, Metrics

TOKEN = (b"authorization", b"Bearer gvt_1")
HOST = (b"host", b"x")


def standing():
    """A clock by which no second passes, however slow the machine is."""
    return 1_000.0


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/", True),
        ("/v1/projects/p/panels/pgx_1.0/genotypes", True),
        ("/variants/p/d%C3%A4ten", True),
        ("//v1", False),
        ("/v1//x", False),
        ("/v1/./x", False),
        ("/v1/../x", False),
        ("/v1/%2e%2E/x", False),
        ("/v1/%2e", False),
        ("/v1/a%2fb", False),
        ("/v1/a%5cb", False),
        ("/v1/a%00", False),
        ("/v1/a%0d%0aX:", False),
        ("/v1/%ff", False),
        ("/v1/%zz", False),
        ("v1", False),
        ("http://x/v1", False),
        ("*", False),
        ('/v1/"x"', False),
        ("", False),
    ],
)
def test_a_path_has_one_meaning_or_is_none(path, plain):
    assert is_plain_path(path.encode()) is plain


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([HOST] + [(b"x-%d" % number, b"") for number in range(MOST_HEADERS)], 431, "headers_too_many"),
        ([HOST, TOKEN, TOKEN], 400, "header_repeated"),
        ([HOST, HOST], 400, "header_repeated"),
        ([], 400, "host_missing"),
        ([HOST, (b"content-length", b"3"), (b"transfer-encoding", b"chunked")], 400, "length_ambiguous"),
    ],
)
def test_a_head_that_two_programs_read_in_two_ways_is_refused(headers, status, code):
    app = Admission(_answering(200), Metrics())
    assert _ask(app, headers)[:2] == (status, code)


def test_a_token_has_its_rate_and_another_s_is_its_own():
    app = Admission(_answering(200), Metrics(), rate=1.0, clock=standing)
    other = (b"authorization", b"Bearer gvt_2")
    assert [_ask(app, [HOST, TOKEN])[0] for _ in range(4)] == [200, 200, 429, 429]
    status, code, headers = _ask(app, [HOST, TOKEN])
    assert (status, code) == (429, "too_many_requests")
    assert int(headers["retry-after"]) >= 1
    assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("2", "0")
    assert headers["cache-control"] == "no-store"
    assert _ask(app, [HOST, other])[0] == 200


def test_who_knows_an_accessor_alone_uses_up_nobody_s_bucket():
    guessed = {"path": "/", "headers": [(b"authorization", b"Bearer gvt_ABCDEFGHIJ_guess")]}
    own = {"path": "/", "headers": [(b"authorization", b"Bearer gvt_ABCDEFGHIJ_secret")]}
    assert token_key(guessed) != token_key(own)


def test_a_token_has_one_bucket_however_it_is_spelled():
    def key(*headers, path="/v1/projects"):
        scope = {"type": "http", "path": path, "scheme": "http", "client": ("127.0.0.1", 1), "server": ("h", 80)}
        return token_key({**scope, "headers": [HOST, *headers]})

    assert len({key((b"authorization", shown)) for shown in (b"Bearer gvt_1", b"bEARER   gvt_1 ", b"bearer gvt_1")}) == 1
    session, junk = b"genovault-loopback=abc", (b"authorization", b"Bearer junk")
    pages = [
        key((b"cookie", session), path="/console/"),
        key((b"cookie", b"junk=1; " + session + b"; __Host-genovault=junk"), path="/console/"),
        key((b"cookie", session), junk, path="/console/requests"),
    ]
    assert len(set(pages)) == 1
    assert pages[0] not in ("", key((b"cookie", b"genovault-loopback=def"), path="/console/"))
    assert key((b"cookie", b"junk=1"), path="/console/") == ""


def test_guessing_tokens_from_elsewhere_is_slower_than_asking():
    app = Admission(_answering(401), Metrics(), clock=standing)
    asked = [_ask(app, [HOST, (b"authorization", b"Bearer %d" % number)], source="192.0.2.1")[0] for number in range(100)]
    assert 10 < asked.count(401) < 40
    assert asked[-1] == 429
    assert _ask(app, [HOST, TOKEN], source="192.0.2.2")[0] == 401, "another source is asked nothing"


def test_one_token_has_so_many_requests_at_a_time():
    release = asyncio.Event()

    async def slow(scope, receive, send):
        await release.wait()
        await _answering(200)(scope, receive, send)

    async def main():
        app = Admission(slow, Metrics())
        held = [asyncio.create_task(_asked(app, [HOST, TOKEN])) for _ in range(OF_ONE)]
        await asyncio.sleep(0)
        assert (await _asked(app, [HOST, TOKEN]))[0] == 429
        other = asyncio.create_task(_asked(app, [HOST, (b"authorization", b"Bearer gvt_2")]))
        await asyncio.sleep(0)
        release.set()
        assert {one[0] for one in await asyncio.gather(*held, other)} == {200}
        assert (await _asked(app, [HOST, TOKEN]))[0] == 200

    asyncio.run(main())


def test_a_bug_goes_to_who_serves_and_to_nobody_who_asks():
    told = []

    async def broken(scope, receive, send):
        raise KeyError("patient-0815")

    async def main():
        sent = []

        async def send(message):
            sent.append(message)

        await Admission(broken, Metrics(), tell=told.append)(_scope([HOST]), None, send)
        return sent

    assert asyncio.run(main()) == []
    assert [type(error) for error in told] == [KeyError]


def test_figures_tell_load_and_not_that_somebody_asked():
    metrics = Metrics()
    app = Admission(_answering(200), metrics)
    for _ in range(STEP - 1):
        _ask(app, [HOST, TOKEN])
    assert " 1\n" not in metrics.text({})
    assert f" {STEP}" not in metrics.text({})
    _ask(app, [HOST, TOKEN])
    assert f'genovault_answers_total{{route="other",status="2xx"}} {STEP}' in metrics.text({"sealed": 0})
    assert "genovault_sealed 0\n" in metrics.text({"sealed": 0})


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        (("127.0.0.1", 5), ""),
        (("::1", 5, 0, 0), ""),
        (("::ffff:127.0.0.1", 5, 0, 0), ""),
        ("/run/genovault/socket", ""),
        (None, ""),
        (("192.0.2.7", 5), "192.0.2.7"),
        (("::ffff:192.0.2.7", 5, 0, 0), "192.0.2.7"),
        (("2001:db8::1", 5, 0, 0), "2001:db8::/64"),
        (("2001:db8::2", 9, 0, 0), "2001:db8::/64"),
        (("fe80::1%eth0", 9, 0, 3), "fe80::/64"),
    ],
)
def test_a_source_is_an_address_or_the_network_of_one_customer(peer, source):
    assert source_of(peer) == source


def _answering(status):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def _scope(headers, source=""):
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/v1",
        "raw_path": b"/v1",
        "query_string": b"",
        "headers": headers,
        "state": {SOURCE: source},
    }


def _ask(app, headers, source=""):
    return asyncio.run(_asked(app, headers, source))


async def _asked(app, headers, source=""):
    """Status, code and headers of an answer."""
    sent = []

    async def send(message):
        sent.append(message)

    await app(_scope(headers, source), None, send)
    body = json.loads(sent[1]["body"])
    return sent[0]["status"], body.get("code"), {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
