from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cli import output
from cli.output import Output, ProgressBar, counted


def test_a_document_is_sorted_and_alone(capsys):
    shown = Output(json=True)
    shown.line("for people")
    shown.table(["a"], [[1]])
    shown.document({"b": 1, "a": [Path("x"), date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)]})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": ["x", "2026-01-02", "2026-01-02T00:00:00Z"], "b": 1}
    assert text.index('"a"') < text.index('"b"')


@pytest.mark.parametrize("value", [float("nan"), b"bytes", {1, 2}, object()])
def test_what_json_lacks_is_a_bug(value):
    with pytest.raises((TypeError, ValueError)):
        Output(json=True).document({"a": value})


def test_people_get_lines_and_tables_only(capsys):
    shown = Output()
    shown.document({"a": 1})
    shown.line("hello")
    shown.table(["name", "n"], [["ann", 1], ["[red]bob", None]])
    assert capsys.readouterr().out == "hello\nname      n\nann       1\n[red]bob\n"


def test_a_table_in_a_pipe_is_never_cut(capsys):
    long = "x" * 500
    Output().table(["name", "other"], [[long, "y" * 300]])
    assert f"{long}  {'y' * 300}" in capsys.readouterr().out


def test_text_from_files_cannot_drive_the_terminal(capsys):
    shown = Output()
    shown.line("a\x1b[2Jb\rc\u202ed")
    shown.table(["n"], [["\x1b]0;x\x07"]])
    assert capsys.readouterr().out == "a\ufffd[2Jb\ufffdc\ufffdd\nn\n\ufffd]0;x\ufffd\n"


def test_progress_is_silent_without_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(output, "_PROGRESS_AFTER", 0.0)
    with Output().progress("importing", unit="bytes") as tick:
        tick(1, 2)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_progress_waits_a_second_then_goes_to_stderr(capsys, monkeypatch):
    bar = ProgressBar("importing", unit="bytes", shown=True)
    bar(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(output, "_PROGRESS_AFTER", 0.0)
    bar(2, 2, "7 sites")
    bar.close()
    bar.close()
    shown = capsys.readouterr()
    assert shown.out == ""


@pytest.mark.parametrize(("unit", "shown"), [("bytes", "2.0 MB/s"), ("keys", "2,000,000 keys/s")])
def test_progress_says_rate_and_note(unit, shown, monkeypatch):
    clock = iter([0.0, 2.0, 2.0])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(clock, 2.0))
    bar = ProgressBar("importing", unit=unit, shown=True)
    bar(4_000_000, 8_000_000, "7 sites")
    (task,) = bar._progress.tasks
    bar.close()
    assert (task.fields["rate"], task.fields["note"], task.percentage) == (shown, "7 sites", 50.0)


@pytest.mark.parametrize("text", ["\x9b2J", "\u202e", "\u200b", "\x7f", "\u2028", "\U000e0041", "\ud800", "\x1b[2J"])
def test_a_document_drives_no_terminal_and_is_the_same_text(capsys, text):
    Output(json=True).document({"a": f"Łukasz {text}", text: [text]})
    shown = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "Łukasz" in shown
    assert json.loads(shown) == {"a": f"Łukasz {text}", text: [text]}


def test_data_goes_to_files_as_it_is_and_to_a_terminal_neutral(capsys, monkeypatch):
    Output().data("a\u200b,b\r\n")
    Output(json=True).data("x")
    assert capsys.readouterr().out == "a\u200b,b\r\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    Output().data("a\u200b,b\r\n")
    assert capsys.readouterr().out == "a\ufffd,b\n"


@pytest.mark.parametrize(
    ("number", "nouns", "said"),
    [(1, ("notice",), "1 notice"), (0, ("notice",), "0 notices"), (2504, ("person", "people"), "2,504 people")],
)
def test_a_number_has_its_noun(number, nouns, said):
    assert counted(number, *nouns) == said
