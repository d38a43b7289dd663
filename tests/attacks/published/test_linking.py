"""Two projects that put their views together: by names and order, and by the genotypes themselves (docs/design/disclosure.md §7)."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import people
from tests.support.attack_figures import shown
from tests.support.held import Held
from tests.support.outside import shared
from vault import gate
from vault.access import projects, release_names, releases
from vault.access.release_names import Naming
from vault.crypto.key_wrapping import KeyPurpose
from vault.subjects.bech32m import CHECKSUM_SYMBOLS
from vault.views import deidentify

ATTACK = "Linking two projects"


def linked(first, second, truth):
    """Share of people whose partner in the other view has the same key and is alone with it; ``truth`` maps names of the first to the second's."""
    found = {}
    for name, key in second.items():
        found.setdefault(key, []).append(name)
    return sum(found.get(key) == [truth[name]] for name, key in first.items()) / len(first)


def keys(code, view):
    """What each person of a view could be linked by: name without the project's prefix and checksum, place in the order, genotypes."""
    calls = np.ascontiguousarray(view.genotypes[:, :, :2].sum(axis=2, dtype=np.int16).T)
    return {
        "name": {name: name.removeprefix(code)[:-CHECKSUM_SYMBOLS] for name in view.pseudonyms},
        "order": {name: at for at, name in enumerate(view.pseudonyms)},
        "genotypes": {name: calls[at].tobytes() for at, name in enumerate(view.pseudonyms)},
    }


def shares(views, truth):
    """Share of people linked, by each way."""
    first, second = (keys(code, view) for code, view in views.items())
    return {how: linked(first[how], second[how], truth) for how in first}


def made(held):
    return {code: gate.view(held.vault, project=code, dataset="cohort") for code in ("one", "two")}


@pytest.mark.long
def test_two_projects_link_people_by_genotypes_and_by_nothing_else(tmp_path, monkeypatch):
    held = Held.make(tmp_path)
    held.load(shared(people.CHR22), assembly="GRCh37")
    held.everyone_consents()
    for code in ("one", "two"):
        held.project(code)
    views = made(held)
    partner = {sample: name for name, sample in held.names("two").items()}
    guarded = shares(views, {name: partner[sample] for name, sample in held.names("one").items()})
    told = [release.content.bits["mean"] for release in releases.list_all(held.vault)]
    held.reopen()  # nothing of the views before is kept
    key = held.vault.keys.open(KeyPurpose.PROJECT, projects.load(held.vault, "one").project_id).secret
    monkeypatch.setattr(release_names, "naming", lambda _vault, project, *_: Naming(key, "project:one", project.code))
    monkeypatch.setattr(deidentify, "row_order", lambda _key, names: np.arange(len(names)))
    views = made(held)
    held.vault.close()
    off = shares(views, dict(zip(*(view.pseudonyms for view in views.values()), strict=True)))
    assert off == {"name": 1, "order": 1, "genotypes": guarded["genotypes"]}
    assert guarded["name"] == 0
    assert guarded["order"] <= 0.005
    assert guarded["genotypes"] >= 0.99
    assert min(told) > 30
    on = f"1000 Genomes, {len(partner):,} people, two projects' views of 500,000 bases of chromosome 22"
    for how, measured, bound in (
        ("name", "people linked by name", "0"),
        ("order", "people linked by their place in the order", "≤ 0.005"),
        ("genotypes", "people linked by their genotypes", "≥ 0.99: told, not stopped"),
    ):
        shown(ATTACK, measured, on=on, off=off[how], guarded=guarded[how], bound=bound, tolerance=0.005)
