"""The present code opens, verifies and releases from a vault of an earlier version as that version did (README.md beside this file)."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.audit_log import seeded
from tests.support.held import FACTOR, Held
from tests.support.releases import pinned
from vault import gate
from vault.access.releases import list_all
from vault.consent import recording
from vault.errors import UnavailableError
from vault.extracts.verification import verify_release
from vault.operations import doctor, key_rotation, upgrade
from vault.operations.erasure import process
from vault.operations.recovery import open_recovered

ARCHIVE = Path(__file__).with_name("vault-4e26e28.tar.gz")
NEXT = {
    "all": {},
    "bcf": {"file_format": "bcf"},
    "panel": {"panel": "pgx"},
    "region": {"regions": ("22:16000000-16000250",)},
}
"""Releases that the earlier version made next, in this order, and what was asked for."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive."""
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="tar")  # "data" would not keep the modes of folders, which doctor looks at
    return folder


@pytest.fixture
def held(made, tmp_path):
    """A copy of the vault, opened at the time and with the randomness of the recorded releases."""
    shutil.copytree(made / "vault", tmp_path / "v")
    clock, random = (lambda: datetime(2026, 3, 2, 10, tzinfo=UTC)), seeded(2)
    opened = open_recovered(tmp_path / "v", factor=FACTOR, clock=clock, random=random)
    yield Held(tmp_path, opened, clock, random)
    opened.close()


COLUMNS = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT NEW_1"
ANOTHER = f"##fileformat=VCFv4.3\n##contig=<ID=22>\n{COLUMNS}\n22 16000100 . A G . . . GT 0|1\n".replace(" ", "\t")
"""A VCF of one more person."""


def contents(release: Path) -> dict[str, object]:
    """Files of a release by name, unpacked; the manifest without the digests of packed files; no index."""
    found: dict[str, object] = {path.name: path.read_bytes() for path in release.iterdir() if path.suffix not in (".csi", ".tbi")}
    for name in [name for name in found if name.startswith("genotypes.")]:
        found[name] = gzip.decompress(found[name])
    manifest = json.loads(found["manifest.json"])["manifest"]
    kept = [(file["name"], file["format"]) for file in manifest["files"] if file["format"] != "tbi/1"]
    found["manifest.json"] = {**manifest, "files": kept}
    return found


def test_the_log_verifies_and_doctor_finds_no_error(held):
    assert held.verified().ok
    report = doctor.examine(held.vault)
    assert report.ok
    assert report.skipped == ()
    noticed = [finding.code for finding in report.findings if finding.severity is not doctor.Severity.NOTE]
    assert noticed == ["not_upgraded"]


def test_its_releases_verify(held, made):
    keys = pinned(held.vault)
    for name in ("released", "released-bcf"):
        assert verify_release(made / name, **keys).manifest.counts.subjects == 19
    assert [release.state for release in list_all(held.vault)] == ["released", "released"]


@pytest.fixture
def upgraded(held, tmp_path):
    """The same, upgraded and opened again."""
    upgrade.upgrade(held.vault, {held.vault.unlocked.slot.slot_id: FACTOR})
    held.vault.close()
    opened = open_recovered(tmp_path / "v", factor=FACTOR, clock=held.clock, random=held.random)
    yield Held(tmp_path, opened, held.clock, held.random)
    opened.close()


def test_before_it_is_upgraded_it_shows_views_and_takes_withdrawals_only(held):
    before = gate.view(held.vault, project="compat", dataset="cohort")
    recording.withdraw(held.vault, "sample:SAMPLE_1")
    assert len(gate.view(held.vault, project="compat", dataset="cohort").pseudonyms) == len(before.pseudonyms) - 1
    with pytest.raises(UnavailableError) as caught:
        held.extract("compat", out="refused")
    assert caught.value.code == "upgrade_needed"
    assert held.verified().ok


def test_upgraded_it_releases_what_the_earlier_version_released(upgraded, made):
    assert upgraded.verified().ok
    assert doctor.examine(upgraded.vault).ok
    for name, asked in NEXT.items():
        now, then = contents(upgraded.extract("compat", out=name, **asked)), contents(made / "next" / name)
        assert now.keys() - {"LIMITS.txt"} == then.keys()  # which that version did not write
        assert now["manifest.json"]["counts"] == then["manifest.json"]["counts"]
    assert upgraded.vault.books.altered() == {}


def test_an_upgrade_is_done_once(upgraded):
    assert not upgrade.upgrade(upgraded.vault, {}).needed


def test_work_goes_on_in_it(upgraded):
    recording.withdraw(upgraded.vault, "sample:SAMPLE_1")
    process.erase(upgraded.vault, "sample:SAMPLE_2")
    assert key_rotation.rotate(upgraded.vault) > 0
    upgraded.load(upgraded.write("more.vcf", ANOTHER), name="more")
    release = upgraded.extract("compat", out="after")
    assert contents(release)["manifest.json"]["counts"]["subjects"] == 16
    assert doctor.examine(upgraded.vault).ok
    assert upgraded.verified().ok
