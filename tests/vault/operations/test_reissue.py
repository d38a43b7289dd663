"""An extract made anew: the same people without those who left, under the same names, and nobody else; or refused."""

from __future__ import annotations

import gzip
import json
from unittest.mock import Mock

import pytest

from tests.support import vaults
from tests.support.releases import pinned
from vault import gate
from vault.access import notice_records, notices, projects, releases
from vault.consent import recording
from vault.errors import InputError, RefusedError
from vault.extracts.verification import verify_release
from vault.operations import key_rotation, release_recovery
from vault.operations.reissue import reissue


def people(folder):
    with gzip.open(folder / "genotypes.vcf.gz", "rt") as file:
        return set(next(line for line in file if line.startswith("#CHROM")).split()[9:])


def test_who_left_is_gone_and_the_others_keep_their_names(s, tmp_path):
    old = gate.extract(s, vaults.ask(s), tmp_path / "old")
    recording.withdraw(s, "S03")
    (notice,) = notices.list_all(s)
    recording.record(s, "S11", "broad-research", {"research_use": "yes", "recontact": "yes"})
    new = reissue(s, old.release_id, tmp_path / "new")
    assert people(tmp_path / "new") == people(tmp_path / "old") - {notice.content.drops[0].pseudonym}
    assert (new.n_subjects, new.content.asked["replaces"]) == (old.n_subjects - 1, old.release_id)
    assert "replaces" not in old.content.asked
    assert notices.load(s, notice.notice_id).state == notice_records.OPEN
    recording.withdraw(s, "S04")
    assert {one.ref for one in notices.list_all(s)} == {old.release_id, new.release_id}
    again = reissue(s, new.release_id, tmp_path / "again")
    assert (again.n_subjects, again.content.asked["replaces"]) == (old.n_subjects - 2, new.release_id)


def test_nobody_left_is_a_refusal(s, tmp_path):
    old = gate.extract(s, vaults.ask(s), tmp_path / "old")
    recording.record(s, "S11", "broad-research", {"research_use": "yes", "recontact": "yes"})
    for sample in vaults.PERMITTED:
        recording.withdraw(s, sample)
    with pytest.raises(RefusedError) as caught:
        reissue(s, old.release_id, tmp_path / "new")
    assert caught.value.code == "no_one_permitted"
    assert not (tmp_path / "new").exists()
    assert [release.state for release in releases.list_all(s)] == [releases.RELEASED]


def test_a_suspended_project_releases_nothing_anew(s, tmp_path):
    old = gate.extract(s, vaults.ask(s), tmp_path / "old")
    projects.change(s, "demo", "suspend")
    with pytest.raises(RefusedError):
        reissue(s, old.release_id, tmp_path / "new")


def test_names_that_cannot_be_kept_are_refused(s, tmp_path):
    vaults.approve(s, "once", "cohort", pseudonyms="release")
    own = gate.extract(s, vaults.ask(s, project="once"), tmp_path / "own")
    old = gate.extract(s, vaults.ask(s), tmp_path / "old")
    key_rotation.renew_project(s, "demo", keep_old=True)
    for release in (own, old):
        with pytest.raises(RefusedError) as caught:
            reissue(s, release.release_id, tmp_path / "new")
        assert caught.value.code == "names_not_kept"


def test_what_goes_out_names_what_it_replaces(s, tmp_path):
    old = gate.extract(s, vaults.ask(s), tmp_path / "old")
    recording.withdraw(s, "S03")
    reissue(s, old.release_id, tmp_path / "new")
    first, second = (json.loads((tmp_path / name / "manifest.json").read_text())["manifest"] for name in ("old", "new"))
    assert ("replaces" in first, second["replaces"]) == (False, old.release_id)
    assert verify_release(tmp_path / "new", **pinned(s)).manifest.replaces == old.release_id
    assert f"release {old.release_id}" in (tmp_path / "new" / "README.txt").read_text()
    assert "Replaces" not in (tmp_path / "old" / "README.txt").read_text()


def test_a_view_is_not_made_anew(s, tmp_path):
    gate.view(s, project="demo", dataset="cohort", regions=["22:1-1200"])
    (view,) = releases.list_all(s)
    for release_id, code in ((view.release_id, "not_an_extract"), ("rel-0", "release_unknown")):
        with pytest.raises(InputError) as caught:
            reissue(s, release_id, tmp_path / "new")
        assert caught.value.code == code


def test_one_that_a_killed_process_had_committed_is_finished(s, tmp_path, monkeypatch):
    """Somebody joined meanwhile who excludes a place: that is no duty of the release that is made anew."""
    old = gate.extract(s, vaults.ask(s), tmp_path / "old")
    recording.withdraw(s, "S03")
    recording.record(s, "S11", "broad-research", {"research_use": "yes", "recontact": "yes"})
    recording.withdraw(s, "S11", scope="loci:APOE")
    with monkeypatch.context() as killed:
        killed.setattr(gate.extracts.publication, "finish", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            reissue(s, old.release_id, tmp_path / "new")
    release_recovery.recover(s)
    assert releases.list_all(s)[0].state == releases.RELEASED
    assert len(people(tmp_path / "new")) == old.n_subjects - 1
