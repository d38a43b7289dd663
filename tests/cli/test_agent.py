"""The unlock agent: commands answer as without it, in their own terminal, folder and environment, and it ends when it is told to, or in time."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from cli import agent, forwarding
from tests.support import vaults
from tests.support.agents import COMMAND, children, desk, wait_until
from tests.support.vaults import opened
from vault.crypto import keystore
from vault.crypto.keystore import Role
from vault.session.unlocked_vault import hold, is_held

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="agents are for Linux")

NEEDED = "a passphrase is needed"


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    with desk(tmp_path_factory.mktemp("desk")) as one:
        one.unlock()
        yield one


@pytest.fixture
def own(tmp_path):
    with desk(tmp_path) as one:
        yield one


@pytest.mark.parametrize(
    "line",
    [
        ["project", "list"],
        ["status", "--json"],
        ["--json", "consent", "coverage"],
        ["subject", "show", "S03"],
        ["subject", "show", "nobody"],
        ["subject", "show", "nobody", "--json"],
        ["project", "shwo"],
        ["consent", "explain", "S03", "--project", "nosuch"],
    ],
)
def test_a_command_answers_as_it_does_without(at, line):
    through, without = at.run(*line), at.run(*line, "--no-agent", GENOVAULT_PASSPHRASE=vaults.PASSPHRASE)
    assert (through.returncode, through.stdout, through.stderr) == (without.returncode, without.stdout, without.stderr)


def test_it_runs_in_the_folder_of_whoever_asks(at, tmp_path):
    ran = subprocess.run(
        [*COMMAND, "consent", "export", "S03", "dossier"], cwd=tmp_path, env=at.environment, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "dossier").is_dir()


@pytest.mark.parametrize(
    ("line", "environment"),
    [
        (["project", "list", "--no-agent"], {}),
        (["project", "list"], {"GENOVAULT_AGENT": "0"}),
        (["project", "list", "--as", "ann"], {}),
        (["key", "slots"], {}),
        (["principal", "list"], {}),
    ],
)
def test_without_it_the_passphrase_is_asked_for(at, line, environment):
    ran = at.run(*line, **environment)
    assert ran.returncode == 6
    assert NEEDED in ran.stderr


def test_another_vault_has_another_agent(at, tmp_path):
    ran = at.run("--vault", str(vaults.copy(tmp_path)), "project", "list")
    assert NEEDED in ran.stderr


def test_other_code_runs_its_own_commands(at, monkeypatch):
    monkeypatch.setattr(forwarding, "stamp", lambda: "another")
    for name, value in at.environment.items():
        monkeypatch.setenv(name, value)
    assert forwarding.forwarded(["project", "list"]) is None


def test_one_thread_and_no_open_file_is_what_commands_begin_from(at, monkeypatch):
    process = at.agent(monkeypatch)
    wait_until(lambda: at.run("status").returncode == 0)
    assert len(list(Path(f"/proc/{process}/task").iterdir())) == 1
    open_files = {str(entry.readlink()) for entry in Path(f"/proc/{process}/fd").iterdir()}
    assert not [name for name in open_files if name.startswith(str(at.vault))]


def test_a_signal_reaches_the_command(at):
    with terminal(at, "subject", "erase", "S04") as (process, screen):
        wait_until(lambda: b"[y/N]" in screen)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert at.run("subject", "show", "S04").returncode == 0


def test_an_answer_is_typed_at_the_same_terminal(at):
    with terminal(at, "subject", "erase", "S04") as (process, screen):
        wait_until(lambda: b"[y/N]" in screen)
        os.write(screen.terminal, b"n\n")
        process.wait(60)
    assert at.run("subject", "show", "S04").returncode == 0


def test_a_command_whose_asker_is_gone_ends(own, monkeypatch):
    own.unlock()
    process = own.agent(monkeypatch)
    with terminal(own, "subject", "erase", "S04") as (asking, screen):
        wait_until(lambda: b"[y/N]" in screen)
        asking.kill()
        wait_until(lambda: not children(process))
    assert own.run("subject", "show", "S04").returncode == 0


def test_a_command_goes_on_where_its_agent_is_killed(own, monkeypatch):
    own.unlock()
    process = own.agent(monkeypatch)
    with terminal(own, "subject", "erase", "S04") as (asking, screen):
        wait_until(lambda: b"[y/N]" in screen)
        os.kill(process, signal.SIGKILL)
        os.write(screen.terminal, b"n\n")
        assert asking.wait(60) in (0, 2, 3)
    ran = own.run("project", "list")
    assert NEEDED in ran.stderr, "a socket that nobody listens at is none"
    own.unlock()
    assert own.run("project", "list").returncode == 0


def test_a_command_that_is_killed_says_that_it_did_not_end(own, monkeypatch):
    own.unlock()
    process = own.agent(monkeypatch)
    with terminal(own, "subject", "erase", "S04") as (asking, screen):
        wait_until(lambda: b"[y/N]" in screen)
        wait_until(lambda: children(process))
        for child in children(process):
            os.kill(child, signal.SIGKILL)
        assert asking.wait(60) == forwarding.ENDED


def test_lock_ends_it_at_once(own, monkeypatch):
    own.unlock()
    process = own.agent(monkeypatch)
    assert json.loads(own.run("lock", "--json").stdout) == {"locked": 1}
    assert own.agent(monkeypatch) == 0
    assert not Path(f"/proc/{process}").exists() or "Z" in Path(f"/proc/{process}/stat").read_text()
    assert NEEDED in own.run("project", "list").stderr
    assert json.loads(own.run("lock", "--json").stdout) == {"locked": 0}


def test_it_ends_after_its_rest(own, monkeypatch):
    own.unlock("--for", "1s")
    wait_until(lambda: not own.socket.exists())
    assert own.agent(monkeypatch) == 0
    assert NEEDED in own.run("project", "list").stderr


@pytest.mark.parametrize(("step", "runs"), [(60.0, 8), (200.0, 0), (95.0, 5)])
def test_time_is_counted_from_the_last_command_and_in_all(monkeypatch, step, runs):
    now, ran = [0.0], []
    monkeypatch.setattr(agent, "_now", lambda: now[0])
    monkeypatch.setattr(agent.os, "fork", lambda: ran.append(now[0]) or 1_000_000_000)
    monkeypatch.setattr(agent.os, "waitpid", lambda *_: (0, 0))
    monkeypatch.setattr(agent, "COMMANDS_AT_ONCE", 100)
    asking, connection = socket.socketpair()

    class Listener:
        def accept(self):
            return connection.dup(), None

    def ready(listeners, *_):
        now[0] += step
        return listeners, [], []

    monkeypatch.setattr(agent.select, "select", ready)
    with asking, connection:
        agent._serve(Listener(), None, idle=100.0, most=500.0)
    assert len(ran) == runs


@pytest.mark.parametrize("rest", ["0m", "9h", "15", "m", "-1s", "1d", "99999h"])
def test_a_time_that_is_none_is_refused(at, rest):
    assert at.run("unlock", "--for", rest, GENOVAULT_PASSPHRASE=vaults.PASSPHRASE).returncode == 2


def test_a_removed_slot_opens_nothing_and_ends_its_agent(own, monkeypatch):
    vaults.add_role(own.vault, Role.AUDITOR)
    environment = {"GENOVAULT_PRINCIPAL": "auditor"}
    ran = own.run("unlock", GENOVAULT_PASSPHRASE="passphrase of the auditor", **environment)
    assert ran.returncode == 0, ran.stderr
    assert own.run("status", **environment).returncode == 0
    unlocked = keystore.load(own.vault).unlock(vaults.FACTOR, principal="ann")
    slot = next(slot for slot in unlocked.keystore.slots if slot.principal == "auditor")
    keystore.remove_slot(unlocked, slot.slot_id)
    ran = own.run("project", "list", **environment)
    assert (ran.returncode, "removed" in ran.stderr) == (6, True), ran.stderr
    wait_until(lambda: NEEDED in own.run("project", "list", **environment).stderr)


def test_what_is_held_opens_its_slot_without_the_root(own):
    held = hold(own.vault, factor=vaults.FACTOR, principal="ann")
    with opened(own.vault, factor=held) as s:
        assert not s.unlocked.administers
        assert s.unlocked.root is None
    assert "Secret" not in repr(held)
    unlocked = keystore.load(own.vault).unlock(vaults.FACTOR, principal="ann")
    with pytest.raises(Exception, match="passphrase or key file") as refused:
        keystore.renew(unlocked, {unlocked.slot.slot_id: held}, random=os.urandom)
    assert refused.value.code == "factor_needed"
    assert is_held(own.vault, held)


class terminal:  # noqa: N801 - a context, used as one
    """A command at a terminal of its own; what it shows so far."""

    def __init__(self, at, *line):
        self._at, self._line = at, line
        self.shown = b""

    def __contains__(self, text):
        return text in self.shown

    def __enter__(self):
        self.terminal, far = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *self._line], env=self._at.environment, stdin=far, stdout=far, stderr=far, start_new_session=True
        )
        os.close(far)
        threading.Thread(target=self._read, daemon=True).start()
        return self.process, self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(60)
        os.close(self.terminal)

    def _read(self):
        try:
            while part := os.read(self.terminal, 4_096):
                self.shown += part
        except OSError:
            return
