"""Where a server listens: what it says of an address that is another's, and of half of TLS."""

from __future__ import annotations

import gc
import socket

import pytest

from vault.errors import UnavailableError, UsageError
from vault.server.listening import COLLECTED, Listening, keep_what_stays, serve
from vault.server.seal import Seal


def test_an_address_that_another_process_holds_is_never_said_to_be_served(tmp_path):
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = Listening(host="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(UnavailableError) as refused:
            serve(Seal(tmp_path, "service"), where, spool=tmp_path / "spool", begun=lambda: told.append("serving"))
    assert refused.value.code == "address_taken"
    assert told == []


def test_half_of_tls_names_the_options_that_make_it_whole(tmp_path):
    with pytest.raises(UsageError) as refused:
        Listening(tls_cert=tmp_path / "tls.crt").require_private()
    assert refused.value.code == "tls_incomplete"
    assert refused.value.hint == "--tls-cert, --tls-key"


def test_what_was_made_to_serve_is_left_alone_by_the_collector_of_cycles():
    usual, kept = gc.get_threshold(), gc.get_freeze_count()
    ring: list[object] = []
    ring.append(ring)
    try:
        keep_what_stays()
        assert gc.get_threshold() == COLLECTED
        assert gc.get_freeze_count() > kept
        assert not any(one is ring for one in gc.get_objects())
    finally:
        gc.set_threshold(*usual)
