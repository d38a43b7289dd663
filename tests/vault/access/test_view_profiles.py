"""Profiles that a site loads, and people who are left out because they exclude places."""

from __future__ import annotations

import json

import pytest
import yaml

from policies.declarations import project_template
from tests.support.consent_work import permits
from vault import gate
from vault.access import projects, reference_data, releases
from vault.consent import explanations, recording
from vault.errors import InputError, RefusedError

OWN = {
    "format": "profile/1",
    "name": "own",
    "version": 1,
    "source": "ours",
    "date": "2026-01-01",
    "rules": {"fields": ["GT", "FILTER"], "margin": 0, "min_carriers": 1, "opt_outs": "leave_out", "linkage": "none"},
}


def load(held, release="own@1", **changed):
    return reference_data.load(held.vault, reference_data.PROFILE, json.dumps({**OWN, **changed}), version=release)


def test_who_excludes_a_place_is_in_no_release_of_a_project_that_leaves_out(held):
    held.everyone_consents()
    held.project("demo", opt_outs="leave_out")
    held.project("other")
    everybody = permits(held, "demo")
    recording.withdraw(held.vault, "SAMPLE_3", scope="loci:mito")
    checked = gate.check(held.vault, "demo")
    assert (checked.permit, dict(checked.deny)["places_excluded"]) == (everybody - 1, 1)
    assert permits(held, "other") == everybody
    assert "leaves such people out" in " ".join(explanations.explain(held.vault, "SAMPLE_3", "demo").words)
    names = held.names("demo")
    for regions in (["22:1-17000000"], ["X"], []):  # whatever is asked for
        view = gate.view(held.vault, project="demo", dataset="cohort", regions=regions)
        assert "SAMPLE_3" not in {names[name] for name in view.pseudonyms}
        assert len(view.pseudonyms) == everybody - 1
    held.extract("demo", regions=["22:1-17000000"])
    assert releases.list_all(held.vault)[0].n_subjects == everybody - 1


def test_a_site_s_profile_counts_by_its_name_and_version(held):
    held.everyone_consents()
    recording.withdraw(held.vault, "SAMPLE_3", scope="loci:mito")
    document = yaml.safe_load(project_template("demo", "cohort"))
    document["disclosure"]["profile"] = "own@1"
    projects.create(held.vault, document)
    with pytest.raises(InputError) as caught:
        projects.change(held.vault, "demo", "approve")
    assert caught.value.code == "profile_unknown"
    assert [one.code for one in gate.check(held.vault, "demo").refused] == ["profile_unknown"]
    load(held)
    projects.change(held.vault, "demo", "approve")
    assert dict(gate.check(held.vault, "demo").deny)["places_excluded"] == 1
    gate.view(held.vault, project="demo", dataset="cohort")
    reference_data.unload(held.vault, reference_data.PROFILE, "own@1", reason="by mistake")
    with pytest.raises(RefusedError) as refused:
        gate.view(held.vault, project="demo", dataset="cohort")
    assert refused.value.code == "profile_unknown"


def test_a_profile_goes_by_its_own_name_and_by_none_that_is_shipped(held):
    with pytest.raises(InputError, match="own@1, not other@1"):
        load(held, "other@1")
    with pytest.raises(InputError, match="shipped"):
        load(held, "standard@7", name="standard", version=7)
    load(held)
    with pytest.raises(InputError) as caught:
        load(held, source="another text")
    assert caught.value.code == "pack_exists"
