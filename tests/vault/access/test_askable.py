"""What a principal may ask of is listed for those who may see it, and for nobody else."""

from __future__ import annotations

import pytest

from tests.support import vaults
from tests.support.vaults import opened
from vault.access import askable, projects
from vault.crypto.keystore import Role
from vault.errors import InputError


def seen_by(monkeypatch, s, role, principal):
    monkeypatch.setattr(s, "role", role)
    monkeypatch.setattr(s, "principal", principal)
    return {one.code for one in askable.visible_projects(s)}, {one.name for one in askable.visible_panels(s)}


@pytest.mark.parametrize("role", [Role.ENGINE, Role.RESEARCHER])
def test_those_who_are_told_nothing_see_approved_projects_that_name_them(folder, monkeypatch, role):
    with opened(folder) as s:
        vaults.approve(s, "mine", "cohort", people=["mila"])
        vaults.approve(s, "paused", "cohort", people=["mila"])
        projects.change(s, "paused", "suspend")
        assert seen_by(monkeypatch, s, role, "mila") == ({"mine"}, {"pgx"})
        assert seen_by(monkeypatch, s, role, "max") == (set(), set())
        for look, name in ((askable.visible_project, "mine"), (askable.visible_panel, "pgx")):
            with pytest.raises(InputError) as caught:
                look(s, name)
            assert caught.value.code in {"project_unknown", "panel_unknown"}


def test_stewards_see_all(folder):
    with opened(folder) as s:
        vaults.approve(s, "other", "cohort", people=["mila"])
        assert {one.code for one in askable.visible_projects(s)} >= {"demo", "other"}
        assert askable.visible_panel(s, "pgx").version == 1
