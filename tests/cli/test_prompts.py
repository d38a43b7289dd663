from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli import prompts
from vault.errors import GenovaultError, InputError, UnavailableError


@pytest.fixture
def terminal(monkeypatch):
    """A person who answers with the given texts."""

    def answering(*answers: str) -> None:
        pending = iter(answers)
        monkeypatch.setattr(prompts, "has_terminal", lambda: True)
        monkeypatch.setattr(prompts.getpass, "getpass", lambda _: next(pending))

    monkeypatch.delenv("GENOVAULT_PASSPHRASE", raising=False)
    monkeypatch.setattr(prompts, "has_terminal", lambda: False)
    return answering


def passphrase_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "passphrase"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def code_of(*arguments, **options) -> str:
    with pytest.raises(GenovaultError) as caught:
        prompts.ask_passphrase(*arguments, **options)
    return caught.value.code


def test_without_a_terminal_nothing_is_asked(terminal):
    assert code_of(None) == "passphrase_needed"


def test_the_file_goes_before_the_environment(terminal, tmp_path, monkeypatch):
    monkeypatch.setenv("GENOVAULT_PASSPHRASE", "from env")
    assert prompts.ask_passphrase(None) == "from env"
    assert prompts.ask_passphrase(passphrase_file(tmp_path, b"from file\n")) == "from file"


@pytest.mark.parametrize("content", [b" a b ", b" a b \n", b" a b \r\n", b" a b \nsecond line\n"])
def test_the_first_line_of_the_file_is_the_passphrase(content, terminal, tmp_path):
    assert prompts.ask_passphrase(passphrase_file(tmp_path, content)) == " a b "


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o622])
def test_a_file_that_others_can_read_or_write_is_refused(terminal, tmp_path, mode):
    assert code_of(passphrase_file(tmp_path, b"x\n", mode)) == "passphrase_file_exposed"


def test_a_pipe_into_which_nobody_writes_is_an_error_in_the_end(terminal, monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setattr("vault.files.given_files.PIPE_SECONDS", 0.01)
    assert code_of(Path(f"/dev/fd/{reader}")) == "passphrase_file_unreadable"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/null", "/", "/nowhere"])
def test_a_device_or_folder_is_no_passphrase_file(terminal, place):
    assert code_of(Path(place)) == "passphrase_file_unreadable"


def test_a_line_without_end_is_refused(terminal, tmp_path):
    assert code_of(passphrase_file(tmp_path, b"x" * 5_000)) == "passphrase_file_unreadable"


def test_a_pipe_serves_as_a_file(terminal, tmp_path):
    reader, writer = os.pipe()
    os.write(writer, b"piped\n")
    os.close(writer)
    assert prompts.ask_passphrase(Path(f"/dev/fd/{reader}")) == "piped"
    os.close(reader)


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "passphrase_empty"), (b"\n", "passphrase_empty"), (b"\xff\n", "passphrase_file_unreadable")]
)
def test_a_file_without_a_passphrase_is_refused(content, code, terminal, tmp_path):
    assert code_of(passphrase_file(tmp_path, content)) == code


def test_a_missing_file_is_refused(terminal, tmp_path):
    assert code_of(tmp_path / "none") == "passphrase_file_unreadable"


def test_an_empty_variable_is_no_passphrase(terminal, monkeypatch):
    monkeypatch.setenv("GENOVAULT_PASSPHRASE", "")
    assert code_of(None) == "passphrase_empty"


def test_a_new_passphrase_is_asked_twice(terminal):
    terminal("correct horse battery", "correct horse battery")
    assert prompts.ask_passphrase(None, new=True) == "correct horse battery"
    terminal("a", "b")
    assert code_of(None, new=True) == "passphrase_mismatch"
    terminal("a")
    assert prompts.ask_passphrase(None) == "a"


def test_a_confirmation_is_never_taken_for_granted(terminal):
    assert prompts.confirm("Sure?", yes=True)
    with pytest.raises(GenovaultError) as caught:
        prompts.confirm("Sure?", yes=False)
    assert caught.value.code == "confirmation_needed"


def test_a_hint_names_the_option_of_the_passphrase_that_is_missing(monkeypatch):
    for variable, option in (
        (prompts.PASSPHRASE_VARIABLE, "--passphrase-file"),
        (prompts.NEW_PASSPHRASE_VARIABLE, "--new-passphrase-file"),
    ):
        monkeypatch.delenv(variable, raising=False)
        with pytest.raises(UnavailableError) as caught:
            prompts.ask_passphrase(None, new=True, variable=variable)
        assert option in caught.value.hint


def test_a_new_passphrase_has_to_be_strong_and_one_in_use_does_not(monkeypatch):
    monkeypatch.setenv(prompts.PASSPHRASE_VARIABLE, "a")
    assert prompts.ask_passphrase(None) == "a"
    with pytest.raises(InputError) as caught:
        prompts.ask_passphrase(None, new=True)
    assert caught.value.code == "passphrase_weak"
