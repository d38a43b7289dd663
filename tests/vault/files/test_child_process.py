"""What a process of our own gets from the one that starts it, and what not."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sources import modules, parsed
from vault.audit.verify import workers
from vault.files import child_process

SECRETS = {"GENOVAULT_PASSPHRASE": "a", "AWS_SECRET_ACCESS_KEY": "b", "PGPASSWORD": "c", "PYTHONPATH": "/d", "LD_PRELOAD": ""}
TELLS = (
    "import json, os, sys\n"
    "def main():\n"
    "    fds = [int(n) for n in os.listdir('/proc/self/fd')]\n"
    "    open_fds = [n for n in fds if os.path.exists(f'/proc/self/fd/{n}') and n > 2]\n"
    "    print(json.dumps({'env': dict(os.environ), 'fds': open_fds, 'path': sys.path, 'argv': sys.argv}))\n"
)


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What a child process of a hostile place says of itself."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "tells_all.py").write_text(TELLS)
    monkeypatch.syspath_prepend(str(place))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "working"
    folder.mkdir()
    (folder / "json.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", ["", ".", str(folder), *sys.path])
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        command = child_process.module_command("tells_all")
        done = subprocess.run(command, env=child_process.scrubbed(), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_only_variables_of_the_list_are_passed_on(told):
    assert not SECRETS.keys() & told["env"].keys()
    assert told["env"].keys() <= {*child_process.PASSED_ON, "LC_CTYPE"}


def test_no_name_of_the_list_could_carry_a_secret():
    assert not [
        name for name in child_process.PASSED_ON if any(word in name for word in ("PASS", "SECRET", "TOKEN", "KEY", "GENOVAULT"))
    ]


def test_no_descriptor_is_inherited(told):
    assert told["fds"] == []


def test_the_working_folder_is_not_searched(told):
    assert {"", ".", str(Path.cwd())}.isdisjoint(told["path"])
    assert told["path"] == child_process.search_path()
    assert told["argv"] == ["-c"]


def test_the_verifiers_helpers_get_no_secret_either(told):
    helpers = workers._Helpers()
    found = helpers.run(eval, "(dict(__import__('os').environ), sys.path)")
    helpers.end()
    assert not SECRETS.keys() & found[0].keys()
    assert {"", ".", str(Path.cwd())}.isdisjoint(found[1])


def test_every_process_that_is_started_names_its_environment():
    found, forked = [], set()
    for name, path in modules().items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"subprocess.Popen", "subprocess.run"}:
                found.append((name, {keyword.arg for keyword in node.keywords}))
            if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.system", "os.popen", "os.fork"}:
                forked.add((name, ast.unparse(node)))
    starting = {"vault.audit.verify.workers", "vault.genotypes.ingest.reader_client", "cli.demo_stage", "cli.demo_server"}
    assert {name for name, _ in found} == starting
    assert all("env" in keywords and "pass_fds" not in keywords for _, keywords in found)
    assert forked == {
        ("cli.agent", "os.fork")
    }  # its children have the environment of whoever sent the command (tests/cli/test_agent.py)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_hardened_process_writes_no_core_and_cannot_be_read():
    code = (
        "import ctypes, resource; from vault.files.hardening import forbid_dumps\n"
        "before = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0); forbid_dumps()\n"
        "print(before, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0", "0", "0"]


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
@pytest.mark.parametrize("how", ["init", "open"])
def test_the_library_hardens_the_process_that_makes_or_opens_a_vault(how, tmp_path):
    code = (
        "import ctypes, sys; from pathlib import Path\n"
        "from vault.errors import GenovaultError; from vault.operations import create; from vault.session import unlocked_vault\n"
        "secret = unlocked_vault.factor(passphrase='correct horse battery')\n"
        "calls = {'init': lambda: create.init(Path(sys.argv[1]) / 'a', steward='', factor=secret),\n"
        "         'open': lambda: unlocked_vault.open_vault(Path(sys.argv[1]) / 'b', factor=secret)}\n"
        "try: calls[sys.argv[2]]()\n"
        "except GenovaultError: print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code, str(tmp_path), how], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0"]
