"""The example engine behind a server: what it reports is what it reports beside the vault, and it drops whoever withdraws."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import engine
import pytest

from tests.support import served
from tests.support.vaults import opened
from vault import gate
from vault.consent import recording

SCRIPT = Path(engine.__file__)
PLACE = ("--project", "served", "--dataset", "cohort", "--panel", "pgx")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    token = served.staffed(folder)
    (folder / "token").write_text(f"{token}\n")
    with served.serving(folder / "v", token=token) as it:
        yield it


def arguments(server, *more):
    return ["--url", server.url, "--token-file", str(server.folder.parent / "token"), *PLACE, *more]


def test_its_report_is_that_of_a_view_in_process(server, capsys):
    assert engine.main(arguments(server, "--json")) == 0
    said = json.loads(capsys.readouterr().out)
    with opened(server.folder) as s:
        view = gate.view(s, project="served", dataset="cohort", panel="pgx")
    expected = json.loads(engine.document(view, engine.run(view)))
    by_name = lambda matches: sorted(matches, key=lambda one: (one["pseudonym"], one["gene"]))  # noqa: E731 - used twice here
    assert by_name(said["matches"]) == by_name(expected["matches"])
    assert said["people"] == len(view.pseudonyms)


def test_it_drops_who_withdraws_while_it_runs(server):
    command = [sys.executable, str(SCRIPT), *arguments(server, "--follow", "1")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first = next(line for line in running.stdout if "waiting for changes" in line)
        with opened(server.folder) as s:
            recording.withdraw(s, "S04")
        out, err = running.communicate(timeout=120)
    finally:
        running.kill()
    assert (running.returncode, err) == (0, "")
    assert out.count("dropped served1") == 1
    held = int(first.split()[1])
    assert f"holding {held - 1} people\n" in out


def test_a_refusal_is_one_line(server, capsys, tmp_path):
    (tmp_path / "token").write_text("gvt_x")
    assert engine.main(["--url", server.url, "--token-file", str(tmp_path / "token"), *PLACE]) == 1
    assert capsys.readouterr().err.startswith("engine: this token is not accepted")


def test_neither_server_nor_vault_is_a_usage_error(monkeypatch):
    monkeypatch.delenv("GENOVAULT_HOME", raising=False)
    with pytest.raises(SystemExit) as caught:
        engine.main([*PLACE])
    assert caught.value.code == 2
