"""Replacement: an import after which its people have its calls and no older ones in the dataset.

The import's own transaction ends the older memberships; what those people alone carried in the older parts is blanked after, by a job that
a killed process leaves to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vault.audit.actions import Action
from vault.genotypes import import_job
from vault.genotypes.import_chunks import Progress
from vault.genotypes.import_job import ImportReport
from vault.genotypes.import_plan import ImportOptions
from vault.genotypes.ingest.reading import Reading
from vault.operations.corrections import leaving_job
from vault.operations.erasure.process import alone
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault


def import_instead(
    vault: UnlockedVault,
    files: Sequence[Path],
    *,
    name: str,
    assembly: str,
    options: ImportOptions,
    reason: str,
    progress: Progress | None = None,
    reading: Reading | None = None,
) -> ImportReport:
    """Import files in the place of what their people have in the dataset. Arguments otherwise, and errors, as ``import_files``.

    Raises:
        InputError: ``reason_missing``, ``replace_narrower``. UnavailableError: ``erasure_running``.
    """
    with vault.trail.attempting(Action.DATASET_IMPORT):
        said = require_reason(reason)
    with alone(vault):
        report = import_job.import_files(
            vault,
            files,
            name=name,
            assembly=assembly,
            options=replace(options, replace=said),
            progress=progress,
            reading=reading,
        )
        leaving_job.finish_all(vault)
    return report
