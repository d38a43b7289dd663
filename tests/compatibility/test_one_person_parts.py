"""One-person parts of an earlier version: read and erased as they are, and upgraded to their people's own (README.md beside this file)."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.audit_log import seeded
from tests.support.held import FACTOR, Held
from vault.genotypes.catalog import datasets, parts
from vault.operations import dataset_upgrade, doctor, upgrade
from vault.operations.corrections import verification
from vault.operations.erasure import process
from vault.operations.recovery import open_recovered

ARCHIVE = Path(__file__).with_name("single-4e26e28.tar.gz")
ASKED = {"all": {}, "panel": {"panel": "pgx"}}
"""Releases that the earlier version made, and what was asked for."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive."""
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="tar")
    return folder


@pytest.fixture
def held(made, tmp_path):
    """A copy of the vault, upgraded; its datasets are as they were."""
    shutil.copytree(made / "vault", tmp_path / "v")
    clock, random = (lambda: datetime(2026, 3, 2, 10, tzinfo=UTC)), seeded(2)
    first = open_recovered(tmp_path / "v", factor=FACTOR, clock=clock, random=random)
    upgrade.upgrade(first, {first.unlocked.slot.slot_id: FACTOR})
    first.close()
    opened = open_recovered(tmp_path / "v", factor=FACTOR, clock=clock, random=random)
    yield Held(tmp_path, opened, clock, random)
    opened.close()


def records(release: Path) -> list[tuple[str, ...]]:
    """The columns of a release's records, people in the order of their pseudonyms."""
    text = gzip.decompress((release / "genotypes.vcf.gz").read_bytes()).decode()
    columns = list(zip(*(line.split("\t") for line in text.splitlines() if not line.startswith("##")), strict=True))
    return columns[:9] + sorted(columns[9:])


def codes(held: Held) -> set[str]:
    report = doctor.examine(held.vault)
    assert report.ok, report.findings
    return {finding.code for finding in report.findings if finding.severity is doctor.Severity.WARNING}


def test_they_are_read_and_doctor_warns(held, made):
    assert codes(held) == {"dataset_upgrade"}
    for name, asked in ASKED.items():
        assert records(held.extract("compat", out=name, **asked)) == records(made / name)


def test_they_are_erased_as_they_are(held):
    process.erase(held.vault, "sample:A")
    assert codes(held) == {"dataset_upgrade"}  # of the other one's
    assert not verification.verify(held.vault, "cohort").damages


def test_upgraded_they_are_their_peoples_own_and_read_as_before(held, made):
    done = dataset_upgrade.upgrade(held.vault, "cohort")
    assert (done.own_parts, done.people) == (3, 2)
    assert codes(held) == set()
    for name, asked in ASKED.items():
        assert records(held.extract("compat", out=name, **asked)) == records(made / name)
    assert not verification.verify(held.vault, "cohort").damages
    assert process.erase(held.vault, "sample:A").content["destroyed"]["personal_parts"] == 2
    assert len(parts.list_all(held.vault, datasets.by_name(held.vault, "cohort").dataset_id)) == 1
    assert codes(held) == set()
    assert held.verified().ok
