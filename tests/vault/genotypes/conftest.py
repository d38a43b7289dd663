"""A vault with one small dataset "cohort", for tests that read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.held import Held
from tests.vault.genotypes.vaults import cohort_vcf, load, new_vault
from vault.genotypes.catalog import datasets


@pytest.fixture
def session(tmp_path):
    opened = new_vault(tmp_path)
    load(opened, tmp_path, cohort_vcf(samples=20, contigs=("1", "2"), sites=12), "cohort")
    yield opened
    opened.close()


@pytest.fixture
def dataset(session):
    return datasets.by_name(session, "cohort")


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    held = Held.make(tmp_path)
    yield held
    held.vault.close()
