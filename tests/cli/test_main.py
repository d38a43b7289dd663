from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import cli.main
from cli import errors
from cli.lazy import CommandSource
from policies.errors import PolicyInputError
from tests.support.commands import SECRET

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = textwrap.dedent("""
    import sys
    import cli.main
    from cli.lazy import CommandSource
    cli.main.Root.entries = {"t": CommandSource("tests.support.commands", "Tests.")}
""")
HEAVY = (
    "alembic",
    "argon2",
    "cryptography",
    "isal",
    "numba",
    "numpy",
    "obstore",
    "pydantic",
    "rich",
    "sqlalchemy",
    "yaml",
    "zstandard",
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("GENOVAULT_HOME", "GENOVAULT_PRINCIPAL", "GENOVAULT_PASSPHRASE", "GENOVAULT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cli.main.Root, "entries", {"t": CommandSource("tests.support.commands", "Tests.")})


def in_a_process(code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", "-c", f"{PRELUDE}\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("usage", 2), ("refused", 3), ("input", 4), ("sheet", 4), ("policy", 4), ("integrity", 5), ("unavailable", 6)],
)
def test_each_error_has_its_exit_code_and_one_line(kind, code, capsys):
    assert cli.main.run(["t", "fail", kind]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("genovault: ")
    assert "Traceback" not in shown.err


def test_bytes_that_are_no_text_are_a_usage_error_and_no_bug():
    with pytest.raises(UnicodeEncodeError) as caught:
        "a\udcff".encode()
    report = errors.describe(caught.value)
    assert (report.exit, report.code) == (2, "not_text")


def test_a_hint_has_its_own_line_and_no_control_characters(capsys):
    cli.main.run(["t", "fail", "input"])
    assert capsys.readouterr().err == "genovault: the input is bad\nhint: line break \ufffd[31m\n"


def test_bad_lines_of_a_sheet_are_listed_by_kind(capsys):
    cli.main.run(["t", "fail", "sheet"])
    shown = capsys.readouterr().err
    assert "genovault: s.csv is rejected: " in shown
    assert shown.splitlines()[-1] == "  10 lines, mrn: is empty (lines 2, 3, 4 …)"
    assert cli.main.run(["--json", "t", "fail", "sheet"]) == 4
    assert [problem["line"] for problem in json.loads(capsys.readouterr().out)["error"]["problems"]] == list(range(2, 12))


def test_every_problem_of_a_policy_is_listed(capsys):
    cli.main.run(["t", "fail", "policy"])
    assert capsys.readouterr().err == "genovault: no such term\n  a[0]: bad\n  a[1]: bad\n"


def test_with_json_an_error_is_a_document_on_stdout_as_well(capsys):
    assert cli.main.run(["--json", "t", "fail", "usage"]) == 2
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"error": {"code": "u", "exit": 2, "hint": "do this", "message": "the usage is wrong"}}
    assert shown.err == "genovault: the usage is wrong\nhint: do this\n"


def test_the_only_problem_of_a_policy_is_told_with_its_place():
    told = errors.describe(PolicyInputError("unknown_field", "this field is not known here", "disclosure.mu2"))
    assert told.message == "disclosure.mu2: this field is not known here"


def test_with_json_the_problems_are_in_the_document(capsys):
    cli.main.run(["t", "fail", "sheet", "--json"])
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["exit"], len(error["problems"])) == ("sheet_rejected", 4, 10)
    assert error["problems"][0] == {"line": 2, "column": "mrn", "reason": "is empty"}


@pytest.mark.parametrize(
    "line", [["t", "nope"], ["nope"], ["t"], ["t", "show", "--nope"], ["t", "fail"], ["--vault"], ["--json"]]
)
def test_a_wrong_line_is_exit_2(line, capsys):
    assert cli.main.run(line) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("genovault: ")
    assert "--help" in shown


def test_no_arguments_show_the_help(capsys):
    assert cli.main.run([]) == 2
    assert "Usage: genovault" in capsys.readouterr().out


def test_a_bug_is_exit_70_with_a_reference_and_nothing_private(capsys):
    assert cli.main.run(["t", "bug"]) == 70
    first = capsys.readouterr().err
    assert first.startswith("genovault: this is a bug in genovault (reference ")
    assert "Traceback" not in first
    assert SECRET not in first
    cli.main.run(["t", "bug"])
    assert capsys.readouterr().err == first  # the same bug has the same reference


def test_the_traceback_of_a_bug_is_for_debugging_and_holds_no_values(capsys, monkeypatch):
    monkeypatch.setenv("GENOVAULT_DEBUG", "1")
    assert cli.main.run(["t", "bug"]) == 70
    shown = capsys.readouterr().err
    assert "ValueError" in shown
    assert "KeyError" in shown
    assert "commands.py" in shown
    assert SECRET not in shown


def test_no_traceback_for_an_expected_error_even_when_debugging(capsys, monkeypatch):
    monkeypatch.setenv("GENOVAULT_DEBUG", "1")
    cli.main.run(["t", "fail", "integrity"])
    assert "Traceback" not in capsys.readouterr().err


def test_being_told_to_end_is_an_interrupt_that_cleans_up():
    code = textwrap.dedent("""
        import os, signal
        def run():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()
            except KeyboardInterrupt:
                return 130
        cli.main.run = run
        cli.main.main()
    """)
    assert in_a_process(code).returncode == 130


@pytest.mark.parametrize("debug", ["0", "1"])
def test_what_a_thread_or_a_destructor_raises_is_told_without_values(debug):
    code = (
        textwrap.dedent("""
        import os, threading
        class Leaks:
            def __del__(self):
                raise ValueError("SAMPLE_1 carries 0/1")
        def fail():
            raise KeyError("SAMPLE_1 carries 0/1")
        def run():
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()
            Leaks()
            return 0
        os.environ["GENOVAULT_DEBUG"] = DEBUG
        cli.main.run = run
        cli.main.main()
    """)
        .replace("DEBUG)", f"{debug!r})")
        .replace("= DEBUG", f"= {debug!r}")
    )
    done = in_a_process(code)
    assert done.stderr.count("this is a bug in genovault (reference ") == 2
    assert "SAMPLE_1" not in done.stderr
    assert ("in fail" in done.stderr) == (debug == "1")


def test_an_interrupt_is_exit_130(capsys):
    assert cli.main.run(["t", "interrupt"]) == 130
    assert capsys.readouterr().err == "genovault: interrupted\n"


@pytest.mark.parametrize(
    "line",
    [
        ["--vault", "v", "--as", "ann", "t", "show", "--word", "w"],
        ["t", "show", "--word", "w", "--as=ann", "--vault", "v"],
        ["t", "--as", "ann", "show", "--vault=v", "--word", "w"],
    ],
)
def test_global_options_stand_anywhere(line, capsys):
    assert cli.main.run([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"folder": "v", "as": "ann", "word": "w"}


def test_global_options_come_from_the_environment_and_the_line_wins(capsys, monkeypatch):
    monkeypatch.setenv("GENOVAULT_HOME", "from-env")
    monkeypatch.setenv("GENOVAULT_PRINCIPAL", "env-ann")
    cli.main.run(["t", "show", "--vault", "v"])
    assert capsys.readouterr().out == "v env-ann \n"


def test_a_tilde_that_no_shell_expanded_is_the_home_folder(capsys, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("GENOVAULT_HOME", "~/v")
    for line in (["t", "show"], ["t", "show", "--vault", "~/v"], ["t", "show", "--vault=~/v"]):
        assert cli.main.run([*line, "--json", "--word", "a~/b"]) == 0
        assert json.loads(capsys.readouterr().out) == {"folder": "/home/ann/v", "as": None, "word": "a~/b"}


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_what_is_redirected_is_utf8_whatever_the_locale(encoding):
    code = "import os; os.environ.pop('GENOVAULT_HOME', 0)\nsys.exit(cli.main.run(['t', 'show', '--word', 'Łukasz Müller', *sys.argv[1:]]))"
    command = [sys.executable, "-c", f"{PRELUDE}\n{code}", "--json"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert json.loads(done.stdout.decode("utf-8"))["word"] == "Łukasz Müller"
    assert "Łukasz Müller" in done.stdout.decode("utf-8")


def test_with_json_nothing_else_is_on_stdout(capsys):
    cli.main.run(["t", "show", "--json"])
    json.loads(capsys.readouterr().out)


def test_a_reader_that_goes_away_ends_the_command_quietly():
    script = f"{PRELUDE}\nsys.exit(cli.main.run(['t', 'flood']))"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


def test_core_files_are_forbidden():
    done = in_a_process("sys.exit(cli.main.run(['t', 'limits', '--json']))")
    assert json.loads(done.stdout)["core"] == [0, 0]


def test_help_imports_nothing_heavy():
    done = in_a_process("code = cli.main.run(['--help']); sys.stderr.write(' '.join(sys.modules)); sys.exit(code)")
    assert done.returncode == 0
    assert "Usage: genovault" in done.stdout
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded.isdisjoint(HEAVY)


def test_the_version(capsys):
    assert cli.main.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("genovault ")
    assert cli.main.run(["--json", "--version"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"version"}
