"""Exports that go on where the last one ended, and accountings of a span of time."""

from __future__ import annotations

import csv
import json

import pytest


def lines(shell, name):
    return [json.loads(line) for line in (shell.folder / name).read_text().splitlines()]


def exported(shell, name, since=None, form="jsonl"):
    start = "" if since is None else f" --since {since}"
    return shell.run(f"audit export --format {form} {name}{start} --json").json


def test_runs_that_follow_each_other_leave_nothing_out_and_tell_nothing_twice(vault):
    since, whole = 0, []
    for run in range(4):
        vault.run("audit log")
        done = exported(vault, f"part{run}", since)
        part = lines(vault, f"part{run}")
        assert done["entries"] == len(part)
        assert [line["index"] for line in part] == list(range(since, done["next"]))
        whole += part
        since = done["next"]
    assert exported(vault, "all")["next"] == since + 1  # the run before is an entry itself
    assert lines(vault, "all")[:since] == whole


@pytest.mark.parametrize("form", ["csv", "fhir"])
def test_other_forms_go_on_too(vault, form):
    first = exported(vault, "first", form=form)
    vault.run("audit log")
    rest = exported(vault, "rest", first["next"], form=form)
    assert rest["entries"] == rest["next"] - first["next"] == 2
    if form == "csv":
        with (vault.folder / "rest").open(newline="") as file:
            assert [int(row["index"]) for row in csv.DictReader(file)] == [first["next"], first["next"] + 1]


def test_a_run_without_news_is_empty_but_for_its_own_past(vault):
    first = exported(vault, "first")
    assert [line["leaf"]["act"] for line in lines_of_run(vault, first["next"])] == ["audit.export"]


def lines_of_run(shell, since):
    return [json.loads(line) for line in shell.run(f"audit export --format jsonl - --since {since}").out.splitlines()]


def test_a_day_begins_with_its_first_entry(vault):
    assert exported(vault, "all", "2026-01-01")["entries"] > 0
    assert exported(vault, "none", "2200-01-01")["entries"] == 0


def test_a_log_that_has_become_shorter_is_told(vault):
    ran = vault.try_("audit export --format jsonl part --since 5000 --json")
    assert (ran.code, ran.error) == (5, "log_shorter")
    assert not (vault.folder / "part").exists()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("audit export --format tiles t --since 3", "tiles_are_whole"),
        ("audit export --format jsonl p --since yesterday", "bad_time"),
        ("audit export --format tiles -", "stdout_taken"),
        ("audit disclosures SAMPLE_1 --since yesterday", "bad_time"),
    ],
)
def test_what_cannot_be_is_told_and_leaves_nothing(vault, line, code):
    assert vault.try_(f"{line} --json").error == code
    assert not [path for path in vault.folder.iterdir() if path.name in {"t", "p", "-"}]


@pytest.fixture
def released(consented):
    consented.run("principal add rita --role researcher")
    for folder in ("one", "two"):
        request = consented.run("request submit --project demo --dataset cohort --for rita --json").json["request"]
        consented.run(f"extract {request} --output {folder}")
    return consented


def test_disclosures_of_a_span_of_time(released):
    first, second = released.run("audit disclosures SAMPLE_1 --json").json["disclosures"]
    within = released.run(f"audit disclosures SAMPLE_1 --since {second['time']} --json").json["disclosures"]
    before = released.run(f"audit disclosures SAMPLE_1 --until {second['time']} --json").json["disclosures"]
    assert (within, before) == ([second], [first])
    assert released.run("audit disclosures SAMPLE_1 --until 2020-01-01 --json").json["disclosures"] == []


def test_who_acted_and_for_whom_stand_apart(released):
    found = released.run("audit disclosures SAMPLE_1 --json").json["disclosures"]
    assert [(one["actor"], one["for"]) for one in found] == [("ann", "rita")] * 2
    for line in ("audit disclosures SAMPLE_1", "audit log --act extract"):
        printed = released.run(line).out.splitlines()
        heads = next(row for row in printed if row.startswith("entry"))
        row = next(row for row in printed if row.startswith(f"{found[0]['index']} "))
        by, to = heads.index("by " if "by " in heads else "who"), heads.index("for")
        assert (row[by : by + 3], row[to : to + 4]) == ("ann", "rita")


def test_a_column_that_would_be_empty_is_left_out(vault):
    assert "for" not in vault.run("audit log").out.splitlines()[0].split()
