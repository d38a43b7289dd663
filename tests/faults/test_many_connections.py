"""Ten thousand open connections, as many as the limits here allow: others are served, what was begun is answered, and memory has an end.

Clients and server have processes of their own, so that each needs a descriptor for a connection; clients come from several addresses of this machine, each of
which has ports of its own.
"""

from __future__ import annotations

import resource
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support import served
from vault.server import connections

MOST = 10_000
ADDRESSES = 10
BESIDE = 500  # descriptors that the test needs for itself
PANEL = "/v1/projects/served/panels/pgx"
ASKED = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def many():
    """Number of connections that this process may open, with its limit raised."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = MOST if before[1] == resource.RLIM_INFINITY else min(MOST, before[1] - BESIDE)
    assert found > 2 * connections.OPEN, "this system lets a process open too few files to try it"
    resource.setrlimit(resource.RLIMIT_NOFILE, (found + BESIDE, before[1]))
    yield found
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def opened_from(stack, url, number):
    """A connection from one of the addresses."""
    place = (url.hosts[number % ADDRESSES], 0)
    made = stack.enter_context(socket.create_connection(("127.0.0.1", url.port), timeout=120, source_address=place))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closed by a reset: no port waits for a minute
    return made


class Place:
    """Port of a server, and addresses of this machine to come from."""

    def __init__(self, url: str) -> None:
        self.port = int(url.rpartition(":")[2])
        self.hosts = [f"127.0.0.{2 + n}" for n in range(ADDRESSES)]


def held_by(process):
    """Resident memory in MiB, and open files."""
    place = Path(f"/proc/{process.pid}")
    kib = next(int(line.split()[1]) for line in (place / "status").read_text().splitlines() if line.startswith("VmRSS"))
    return kib / 1024, len(list((place / "fd").iterdir()))


@pytest.mark.long
def test_ten_thousand_open_connections_keep_nobody_out_and_fill_nothing(tmp_path, many):
    token = served.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it, ExitStack() as stack:
        cursor = it.post(f"{PANEL}/genotypes", {"dataset": "cohort"}).json()["cursor"]
        waited = []

        def wait() -> None:
            with httpx.Client(base_url=it.url, headers={"Authorization": f"Bearer {token}"}, timeout=120) as client:
                asked = {"dataset": "cohort", "since": cursor, "wait": "30"}
                waited.append(client.get(f"{PANEL}/changes", params=asked).status_code)

        waiting, place = threading.Thread(target=wait), Place(it.url)
        waiting.start()
        memory, _ = held_by(it.process)
        for number in range(many):
            opened_from(stack, place, number)
            if number % 1_000 == 0:
                assert httpx.get(f"{it.url}/livez").status_code == 204
        for _ in range(20):
            answer = httpx.post(
                f"{it.url}{PANEL}/genotypes", json={"dataset": "cohort"}, headers={"Authorization": f"Bearer {token}"}, timeout=60
            )
            assert answer.status_code == 200
        after, files = held_by(it.process)
        waiting.join()
        assert waited == [200], "what was begun is answered"
        assert files < connections.OPEN + BESIDE
        assert after - memory < 128, "MiB"


@pytest.mark.long
def test_each_of_ten_thousand_that_ask_is_answered_whole_or_refused(tmp_path, many):
    token = served.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it, ExitStack() as stack:
        place, memory = Place(it.url), held_by(it.process)[0]
        asking = [opened_from(stack, place, number) for number in range(many)]
        for one in asking:
            try:
                one.sendall(ASKED)
            except OSError:
                continue
        answers = [answer_of(one) for one in asking]
        whole = [answer for answer in answers if answer]
        assert {answer.partition(b"\r\n")[0].split()[1] for answer in whole} <= {b"204", b"429", b"503"}
        assert all(answer.endswith(b"\r\n\r\n") or b"content-length" in answer for answer in whole)
        assert len(whole) >= connections.OPEN // 2, "the newest are answered"
        assert httpx.get(f"{it.url}/livez").status_code == 204
        after, files = held_by(it.process)
        assert files < connections.OPEN + BESIDE
        assert after - memory < 128, "MiB"


def answer_of(connection):
    """First bytes of an answer, or nothing where the connection was closed or reset before one began."""
    try:
        return connection.recv(10_000)
    except ConnectionError:
        return b""
