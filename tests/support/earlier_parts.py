"""Imports as programs of before personal parts made them: also one person's file became a part with shared tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from vault.genotypes import import_job, import_parts
from vault.genotypes.store.part_records import Owner


@contextmanager
def shared_tables() -> Iterator[None]:
    """Imports in the block make parts with shared tables, of however many people."""
    with mock.patch.object(import_job, "_write", _write):
        yield


def _write(vault: Any, plan: Any, new: Any, chunks: Any) -> import_parts.SharedPart:
    keys = import_job._keys(vault, plan)
    owner = Owner(vault.vault_id, plan.dataset.dataset_id, plan.part_ids[0])
    people = {subject: keys[subject] for subject in plan.subjects}
    return import_parts.write_shared(vault, owner, people, (plan.slots, None), chunks, new=new)
