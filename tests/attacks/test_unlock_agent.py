"""The unlock agent against others: another user, planted folders and sockets, malformed requests, and what its processes show."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import vaults
from tests.support.agents import desk, wait_until

OTHER = 65534  # nobody

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="agents are for Linux")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="another user is played by root alone")


@pytest.fixture
def at(tmp_path):
    with desk(tmp_path) as one:
        yield one


@as_root
def test_another_user_is_served_by_nobody_even_where_the_folder_is_open(at):
    at.unlock()
    assert connecting_as(OTHER, at.socket) == b"denied"
    for path in (at.socket.parent, at.runtime):
        path.chmod(0o755)
    at.socket.chmod(0o777)
    assert connecting_as(OTHER, at.socket) == b"", "the agent hangs up on who is not its user"
    assert at.run("project", "list").returncode == 6, "and its own user trusts no folder that is open to others"
    at.socket.parent.chmod(0o700)
    assert at.run("project", "list").returncode == 0


@as_root
def test_a_folder_of_another_user_is_not_used(at):
    at.unlock()
    os.chown(at.socket.parent, OTHER, OTHER)
    try:
        assert at.run("project", "list").returncode == 6
        ran = at.run("unlock", GENOVAULT_PASSPHRASE=vaults.PASSPHRASE)
        assert (ran.returncode, "could not begin" in ran.stderr) == (6, True)
    finally:
        os.chown(at.socket.parent, 0, 0)


def test_a_link_in_place_of_the_folder_is_not_followed(at, tmp_path):
    at.unlock()
    elsewhere = tmp_path / "elsewhere"
    at.socket.parent.rename(elsewhere)
    at.socket.parent.symlink_to(elsewhere)
    assert at.run("project", "list").returncode == 6
    at.socket.parent.unlink()
    elsewhere.rename(at.socket.parent)
    assert at.run("project", "list").returncode == 0


@as_root
def test_who_listens_as_another_user_gets_no_request(at, monkeypatch):
    at.unlock()
    at.run("lock")
    listening, ready = os.pipe()
    planted = os.fork()
    if planted == 0:
        own = socket.socket(socket.AF_UNIX)
        own.bind(str(at.socket))
        os.setresuid(OTHER, OTHER, OTHER)
        own.listen(1)
        os.write(ready, b"+")
        connection, _ = own.accept()
        os._exit(1 if connection.recv(1) else 0)
    os.read(listening, 1)
    os.close(listening)
    os.close(ready)
    assert at.run("project", "list").returncode == 6
    assert os.waitstatus_to_exitcode(os.waitpid(planted, 0)[1]) == 0
    at.socket.unlink()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x00",
        struct.pack("!I", 0),
        struct.pack("!I", 2**32 - 1) + b"{}",
        struct.pack("!I", 2) + b"[]",
        struct.pack("!I", 100) + b"{",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_runs_nothing_and_stops_nothing(at, sent, monkeypatch):
    at.unlock()
    process = at.agent(monkeypatch)
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(60)
        asking.connect(str(at.socket))
        asking.sendall(sent)
        with suppress(ConnectionError):  # hung up on before everything was read
            asking.shutdown(socket.SHUT_WR)
            assert asking.recv(10) == b""
    assert at.agent(monkeypatch) == process
    assert at.run("project", "list").returncode == 0


def test_no_secret_stands_in_what_a_process_shows(at, tmp_path, monkeypatch):
    secret = tmp_path / "passphrase"
    secret.write_text(vaults.PASSPHRASE)
    secret.chmod(0o600)
    ran = at.run("unlock", "--passphrase-file", str(secret))
    assert ran.returncode == 0
    process = at.agent(monkeypatch)
    shown = b"".join(Path(f"/proc/{process}/{name}").read_bytes() for name in ("cmdline", "environ", "comm"))
    assert vaults.PASSPHRASE.encode() not in shown
    assert vaults.PASSPHRASE not in ran.stdout + ran.stderr
    assert not Path(f"/proc/{process}/cwd").samefile(at.vault)


def test_no_process_of_the_same_user_reads_its_memory(tmp_path):
    program = f"""
import ctypes, os, pathlib
from tests.support import vaults
from vault.session.unlocked_vault import hold
held = hold(pathlib.Path({str(vaults.copy(tmp_path))!r}), factor=vaults.FACTOR)
child = os.fork()
if child == 0:
    os._exit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout == "0\n"


def connecting_as(user, place):
    """What another user reads from a socket: "denied", or what the other end says before it hangs up."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(user, user, user)
            with socket.socket(socket.AF_UNIX) as asking:
                asking.settimeout(60)
                asking.connect(str(place))
                os.write(write, asking.recv(10))
        except PermissionError:
            os.write(write, b"denied")
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    return found


def test_a_stale_socket_is_no_agent(at, monkeypatch):
    at.unlock()
    os.kill(at.agent(monkeypatch), signal.SIGKILL)
    wait_until(lambda: at.agent(monkeypatch) == 0)
    assert at.socket.exists()
    assert at.run("project", "list").returncode == 6
    at.unlock()
    assert at.run("project", "list").returncode == 0
