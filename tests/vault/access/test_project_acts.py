"""Accesses of a part of the log are held against what stood then, as in the whole; what was found before is not looked for again."""

from __future__ import annotations

import pytest

from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import project_acts, projects
from vault.access.approved_accesses import examine
from vault.audit import reader
from vault.errors import GenovaultError


@pytest.fixture(scope="module")
def s(tmp_path_factory):
    with opened(vaults.copy(tmp_path_factory.mktemp("parts"), whole=False)) as s:
        vaults.approve(s, "late", "cohort")
        gate.view(s, project="demo", dataset="cohort", panel="pgx")
        asked = vaults.ask(s)
        projects.change(s, "late", "suspend")
        with pytest.raises(GenovaultError):
            gate.view(s, project="late", dataset="cohort", panel="pgx")
        gate.view(s, project="demo", dataset="cohort", regions=["22:1000-1100"])
        projects.change(s, "demo", "close")
        assert asked
        yield s


@pytest.mark.parametrize("length", [1, 2, 5, 1_000])
def test_the_parts_of_a_log_tell_what_the_whole_tells(s, length):
    whole, size = examine(s), s.trail.log.size()
    assert whole.accesses >= 2
    found = {}
    for stop in range(size, 0, -length):
        part = examine(s, first=max(0, stop - length), stop=None if stop == size else stop)
        assert part.unsigned == frozenset()
        found |= {one.index: one for project in part.projects for one in project.accesses}
    assert found == {one.index: one for project in whole.projects for one in project.accesses}
    newest = {one.code: one.state for one in examine(s, first=size - 1).projects}
    assert newest == {one.code: one.state for one in whole.projects if one.state}


def test_what_was_looked_through_is_not_read_again(s, monkeypatch):
    examine(s, first=s.trail.log.size() - 1)
    read = []
    real = reader.LogReader.entries_saying
    monkeypatch.setattr(
        reader.LogReader,
        "entries_saying",
        lambda self, marks, start, stop: read.append(stop - start) or real(self, marks, start, stop),
    )
    size = s.trail.log.size()
    project_acts.before(s, size, ())
    project_acts.before(s, size, ())
    assert read == [0, 0]
