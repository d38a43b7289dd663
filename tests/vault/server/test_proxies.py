"""Where a request comes from behind a proxy: by the word of a trusted one alone, and of what it says the end."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import UsageError
from vault.server.admission import SOURCE
from vault.server.connections import ADDRESS, CERTIFICATE
from vault.server.proxies import MOST_HOPS, UNNAMED, Forwarding, TrustedProxies, parse

TRUSTED = parse(["127.0.0.1/32", "10.0.0.0/8", "2001:db8:1::/48", "unix"])
PEER = "127.0.0.1"


def placed(*headers, peer=PEER, proxies=TRUSTED):
    """Address, source and certificate of a request with some headers."""
    seen = {}

    async def app(scope, _receive, _send):
        seen.update(scope["state"])

    state = {ADDRESS: peer, SOURCE: "" if peer in ("", PEER) else peer, CERTIFICATE: "its own"}
    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    asyncio.run(Forwarding(app, proxies)({"type": "http", "headers": lines, "state": state}, None, None))
    return seen[ADDRESS], seen[SOURCE], seen[CERTIFICATE]


def xff(value):
    return "X-Forwarded-For", value


def forwarded(value):
    return "Forwarded", value


NAMED = [
    ([xff("192.0.2.1")], "192.0.2.1"),
    ([xff("198.51.100.7, 192.0.2.1")], "192.0.2.1"),  # what stands before it is the client's word
    ([xff("198.51.100.7"), xff("192.0.2.1")], "192.0.2.1"),  # several lines are one list
    ([xff("192.0.2.1, 10.1.1.1,\t10.2.2.2")], "192.0.2.1"),  # proxies in a row
    ([xff("nonsense, 192.0.2.1")], "192.0.2.1"),
    ([xff("10.3.3.3, 10.1.1.1")], "10.3.3.3"),  # proxies alone: the farthest asks
    ([xff("::ffff:192.0.2.1")], "192.0.2.1"),
    ([forwarded("for=192.0.2.1")], "192.0.2.1"),
    ([forwarded('For="192.0.2.1:4711";proto=https;by=10.1.1.1')], "192.0.2.1"),
    ([forwarded('proto=https;for="[2001:db8:2::1]:80"')], "2001:db8:2::1"),
    ([forwarded('for=unknown, for=192.0.2.1, for="[2001:db8:1::9]"')], "192.0.2.1"),
    ([xff("192.0.2.1"), forwarded("for=192.0.2.1")], "192.0.2.1"),
    # what a proxy quotes is a client's word, such as its Host
    ([forwarded('for=192.0.2.1;host="a,for=198.51.100.7;x="')], "192.0.2.1"),
    ([forwarded('for=192.0.2.1;host="a, for=198.51.100.7; x";proto=https')], "192.0.2.1"),
    ([forwarded('for=192.0.2.1;host="\\",for=198.51.100.7;x=\\""')], "192.0.2.1"),
    ([forwarded('for="'), forwarded("for=192.0.2.1")], "192.0.2.1"),
]


@pytest.mark.parametrize(("headers", "address"), NAMED)
def test_the_last_that_is_no_proxy_is_the_client(headers, address):
    source = "2001:db8:2::/64" if ":" in address else address
    assert placed(*headers) == (address, source, "its own")
    assert placed(*headers, peer="") == (address, source, "its own"), "over the socket"


UNREADABLE = [
    [xff("")],
    [xff("192.0.2.1,")],
    [xff("192.0.2.1:4711")],
    [xff("[2001:db8::1]")],
    [xff("unix:")],
    [xff("unknown")],
    [xff("192.0.2.1 192.0.2.2")],
    [xff("192.0.2.256")],
    [xff("fe80::1%eth0")],
    [xff("192.0.2.1, bad, 10.1.1.1")],
    [forwarded("for=unknown")],
    [forwarded("for=_hidden")],
    [forwarded("for=2001:db8::1")],  # wants quotes
    [forwarded("for=192.0.2.1;for=192.0.2.2")],
    [forwarded("by=192.0.2.1")],
    [forwarded('for="192.0.2.1')],
    [forwarded('for=198.51.100.7;a=", for=192.0.2.1;host="x"')],  # a quote that the client left open
    [forwarded('for=198.51.100.7;a=", for=192.0.2.1;host="x\\""')],
    [forwarded("for=192.0.2.1 for=198.51.100.7")],
    [xff("192.0.2.1"), forwarded("for=192.0.2.2")],  # one of them may be the client's own
    [xff("192.0.2.1"), forwarded("for=unknown")],
]


@pytest.mark.parametrize("headers", UNREADABLE)
def test_what_names_no_address_is_one_source_and_in_no_network(headers):
    assert placed(*headers) == ("", UNNAMED, "its own")


@pytest.mark.parametrize("peer", ["127.0.0.2", "192.0.2.9", "2001:db8:2::1"])
def test_from_anybody_else_the_headers_mean_nothing(peer):
    assert placed(xff("198.51.100.7"), forwarded("for=198.51.100.7"), peer=peer) == (peer, peer, "its own")


def test_without_trusted_proxies_and_without_headers_nothing_changes():
    none = TrustedProxies()
    assert placed(xff("192.0.2.1"), proxies=none) == (PEER, "", "its own")
    assert placed(xff("192.0.2.1"), peer="", proxies=none) == ("", "", "its own")
    assert placed(xff("192.0.2.1"), peer="", proxies=parse(["127.0.0.1"])) == ("", "", "its own")
    assert placed() == (PEER, "", "its own")
    assert placed(("X-Real-IP", "192.0.2.1"), ("X-Client-Cert", "x")) == (PEER, "", "its own")


@given(st.lists(st.text(alphabet='0123456789abcdef.:,; "[]=for%', max_size=20)), st.ip_addresses(v=4))
def test_no_word_of_a_client_moves_it_behind_its_proxy(words, address):
    if TRUSTED.holds(address):
        return
    said = placed(xff(", ".join([*words, str(address)])))[:1]
    assert said == (str(address),)


def test_a_list_without_end_is_read_from_its_end_and_no_further():
    assert placed(xff(", ".join(["192.0.2.1"] + ["10.1.1.1"] * MOST_HOPS)))[0] == "10.1.1.1"


@pytest.mark.parametrize("text", ["", "x", "0.0.0.0/0", "::/0", "10.0.0.1/8", "UNIX"])
def test_what_is_no_proxy_is_refused(text):
    with pytest.raises(UsageError) as caught:
        parse([text])
    assert caught.value.code == "proxy_malformed"
