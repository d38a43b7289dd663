"""The Python door: open, ask, close."""

from __future__ import annotations

import pydoc
from pathlib import Path

import numpy as np
import pytest

import vault
from policies import purposes, reasons
from tests.support import vaults
from tests.support.vaults import PASSPHRASE, PERMITTED, opened, verified
from vault.access import projects
from vault.audit.entry import decode_leaf
from vault.crypto import keystore
from vault.crypto.keystore import KeyFileFactor, Role
from vault.crypto.primitives import Argon2Profile


def test_a_view_as_arrays(folder):
    with vault.open(folder, passphrase=PASSPHRASE) as v:
        view = v.view(project="demo", dataset="cohort", regions=["22:1000-1020", "chr22:1030"])
    assert len(view.pseudonyms) == len(PERMITTED)
    assert view.genotypes.dtype == np.int8
    assert view.genotypes.shape == (len(view.sites), len(PERMITTED), 2)
    assert set(view.sites.pos.tolist()) <= {1000, 1010, 1020, 1030}
    assert view.receipt.startswith("c2sp.org/tlog-proof@v1")


def test_a_panel_view_keeps_what_the_panel_lists(folder):
    with vault.open(str(folder), passphrase=PASSPHRASE) as v:
        view = v.view(project="demo", dataset="cohort", panel="pgx")
    assert view.not_assayed == ("22:99999999",)


def test_closing_signs_the_log(folder):
    with vault.open(folder, passphrase=PASSPHRASE) as v:
        v.view(project="demo", dataset="cohort")
    with opened(folder) as s:
        report = verified(s)
        assert report.ok
        assert report.unsigned == ()


def test_an_engine_opens_with_a_key_file(folder, tmp_path):
    path = tmp_path / "engine.key"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    unlocked = keystore.load(folder).unlock(vaults.FACTOR, principal="ann")
    factor = KeyFileFactor.from_file(path)
    options = {"role": Role.ENGINE, "factor": factor, "profile": Argon2Profile.TEST_ONLY, "random": vaults.os.urandom}
    keystore.add_slot(unlocked, principal="matcher", **options)
    with vaults.opened(folder):  # an administrator's session enters the new principal
        pass
    with vault.open(folder, principal="matcher", key_file=path) as v:
        assert len(v.view(project="demo", dataset="cohort").pseudonyms) == len(PERMITTED)


@pytest.mark.parametrize("given", [{}, {"passphrase": "x", "key_file": "k"}])
def test_exactly_one_way_to_unlock(folder, given):
    with pytest.raises(vault.UsageError) as caught:
        vault.open(folder, **given)
    assert caught.value.code == "factor_needed"


def test_what_is_not_a_vault(tmp_path):
    with pytest.raises(vault.UnavailableError) as caught:
        vault.open(tmp_path, passphrase="x")
    assert caught.value.code == "no_vault"


def test_every_error_of_the_door_has_one_root():
    for error in (vault.UsageError, vault.RefusedError, vault.InputError, vault.IntegrityError, vault.UnavailableError):
        assert issubclass(error, vault.GenovaultError)


def test_an_engine_sees_only_the_projects_that_name_it(folder):
    factor = vaults.add_role(folder, Role.ENGINE)
    with vaults.opened(folder) as s:
        vaults.approve(s, "other", "cohort", people=["somebody"])
    with vault.open(folder, principal="engine", passphrase=factor.passphrase.reveal().decode()) as v:
        assert len(v.view(project="demo", dataset="cohort").pseudonyms) == len(PERMITTED)
        with pytest.raises(vault.RefusedError) as caught:
            v.view(project="other", dataset="cohort")
    assert caught.value.code == "refused"
    with vaults.opened(folder) as s:
        leaves = [decode_leaf(entry.leaf) for entry in s.trail.log.entries()]
    assert {"not_of_project": 1} in [leaf.get("reasons") for leaf in leaves if leaf["act"] == "view.intent"]


@pytest.fixture
def engine(folder, tmp_path):
    """An engine that project demo names among its people, opened."""
    with opened(folder) as s:
        declared = projects.load(s, "demo").declaration
        document = purposes.as_dict(declared) | {"code": "match", "people": ["probe"], "pseudonyms": "project"}
        projects.create(s, document)
        projects.change(s, "match", "approve")
    path = tmp_path / "engine.key"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    unlocked = keystore.load(folder).unlock(vaults.FACTOR, principal="ann")
    options = {"role": Role.ENGINE, "profile": Argon2Profile.TEST_ONLY, "random": vaults.os.urandom}
    keystore.add_slot(unlocked, principal="probe", factor=KeyFileFactor.from_file(path), **options)
    with vaults.opened(folder):  # an administrator's session enters the new principal
        pass
    with vault.open(folder, principal="probe", key_file=path) as v:
        yield v


def test_an_engine_lists_what_it_may_ask_of(engine, folder):
    assert [(one.code, one.state, one.datasets) for one in engine.projects()] == [("match", "approved", ("cohort",))]
    assert [(one.name, one.version, one.dataset) for one in engine.panels()] == [("pgx", 1, "cohort")]
    with vault.open(folder, principal="ann", passphrase=PASSPHRASE) as steward:
        assert {one.code for one in steward.projects()} >= {"demo", "match"}


def test_a_listing_is_in_the_log(engine, folder):
    engine.projects()
    engine.panels()
    with opened(folder) as s:
        acts = [decode_leaf(entry.leaf)["act"] for entry in s.trail.log.entries(0)]
    assert {"project.show", "panel.show"} <= set(acts)


@pytest.mark.parametrize("asked", [{"project": "mach"}, {"project": "demo"}, {"project": "demo", "panel": "pgy"}])
def test_names_of_other_projects_have_the_one_answer(engine, asked):
    with pytest.raises(vault.RefusedError) as caught:
        engine.view(**{"project": "match", "dataset": "cohort", **asked})
    assert str(caught.value) == reasons.UNIFORM


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        ({"dataset": "cohrt"}, "dataset_unknown", "cohort"),
        ({"panel": "pgy"}, "panel_unknown", "pgx"),
        ({"regions": ["23:1-5"]}, "contig_not_held", "it has 22"),
    ],
)
def test_an_engine_is_told_which_name_of_its_own_project_it_mistyped(engine, asked, code, says):
    with pytest.raises(vault.InputError) as caught:
        engine.view(**{"project": "match", "dataset": "cohort", **asked})
    assert caught.value.code == code
    assert says in caught.value.message
    assert caught.value.__context__ is None


def test_one_region_is_a_string(folder):
    with vault.open(folder, passphrase=PASSPHRASE) as v:
        one = v.view(project="demo", dataset="cohort", regions="22:1000-1030")
        several = v.view(project="demo", dataset="cohort", regions=iter(["22:1000-1010", "22:1011-1030"]))
    assert len(one.sites) > 0
    assert one.sites.pos.tolist() == several.sites.pos.tolist()


@pytest.mark.parametrize("empty", [[], (), iter([])])
def test_an_empty_list_of_regions_is_not_everything(folder, empty):
    with vault.open(folder, passphrase=PASSPHRASE) as v:
        with pytest.raises(vault.UsageError) as caught:
            v.view(project="demo", dataset="cohort", regions=empty)
        assert caught.value.code == "regions_empty"
        assert len(v.view(project="demo", dataset="cohort", regions=None).sites) > 0


@pytest.mark.parametrize(
    "asked",
    [
        {"regions": [b"22:1-9"]},
        {"regions": 5},
        {"regions": [22]},
        {"project": None},
        {"dataset": Path("cohort")},
        {"panel": b"pgx"},
    ],
)
def test_what_is_no_text_is_refused_by_its_name(folder, asked):
    with vault.open(folder, passphrase=PASSPHRASE) as v, pytest.raises(vault.UsageError) as caught:
        v.view(**{"project": "demo", "dataset": "cohort", **asked})
    assert caught.value.code == "argument_type"
    assert next(iter(asked)) in caught.value.message


def test_help_shows_the_api():
    text = pydoc.plain(pydoc.render_doc(vault))
    for name in (*vault.__all__, "projects(self)", "panels(self)", "to_pandas(self)", "calls_of(self"):
        assert name in text
    assert "UnlockedVault" not in text.replace("opened: 'UnlockedVault'", "")
