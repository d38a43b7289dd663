"""Cohorts whose ids together are longer than a field of a context may be, as those of more than 4,095 people are: here by a smaller field."""

from __future__ import annotations

import pytest
import yaml

from policies.declarations import project_template
from policies.purposes import RequestKind
from tests.support import counted, matched
from tests.support.counted import COMMON
from vault import gate
from vault.access import projects, requests
from vault.crypto import context


@pytest.fixture
def short_fields(monkeypatch):
    """Fields too short for the ids of 130 people."""
    monkeypatch.setattr(context, "MAX_FIELD_BYTES", 2_000)


@pytest.fixture
def held(tmp_path):
    found = counted.make(tmp_path)
    yield found
    found.vault.abandon()


@pytest.mark.usefixtures("short_fields")
def test_carriers_are_counted(held):
    found, again = counted.ask(held, COMMON), counted.ask(held, COMMON)
    assert (again.charged, again.answers, again.cohort) == (0, found.answers, found.cohort)


@pytest.mark.usefixtures("short_fields")
def test_a_request_is_reported_on(held):
    projects.create(held.vault, yaml.safe_load(project_template("records", "cohort")))
    projects.change(held.vault, "records", "approve")
    spec = requests.Spec(regions=("22:1-1000",))
    asked = requests.submit(held.vault, "records", "cohort", kind=RequestKind.RECORDS, spec=spec)
    assert gate.risk(held.vault, asked.request_id)["n"] == len(counted.PEOPLE)


@pytest.mark.usefixtures("short_fields")
def test_people_are_matched(tmp_path):
    found = matched.make(tmp_path)
    first, again = matched.ask(found), matched.ask(found)
    assert matched.numbers(first)["common"] == 60
    assert [set(one.matched) for one in again.criteria] == [set(one.matched) for one in first.criteria]
    found.vault.abandon()
