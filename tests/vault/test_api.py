"""The Python door: open, ask, close."""

from __future__ import annotations

import numpy as np
import pytest

import vault
from tests.support import vaults
from tests.support.vaults import PASSPHRASE, PERMITTED, opened, verified
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
