"""A vault with a small cohort, below the level of consent: for tests of datasets and panels."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.held import FACTOR, empty_vault
from vault.genotypes.import_job import ImportOptions, ImportReport, import_files
from vault.session.unlocked_vault import UnlockedVault, open_vault

_CALLS = ("0/0", "0/0", "0|1", "1|1", "./.", "0/1", "1", "0/1/1", "2|0")


def new_vault(folder: Path) -> UnlockedVault:
    """A new vault in the folder, unlocked, whose passphrase costs nothing to try."""
    shutil.copytree(empty_vault(), folder / "v")
    return open_vault(folder / "v", factor=FACTOR)


def cohort_vcf(*, samples: int, contigs: Sequence[str], sites: int, prefix: str = "S") -> str:
    """Random calls of every kind at 100, 110, 120, … of each contig."""
    draw = random.Random(samples)
    lines = ["##fileformat=VCFv4.3"]
    names = "\t".join(f"{prefix}{i}" for i in range(samples))
    lines.append(f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}")
    for contig in contigs:
        for i in range(sites):
            calls = "\t".join(draw.choice(_CALLS) for _ in range(samples))
            lines.append(f"{contig}\t{100 + 10 * i}\trs{i}\tA\tC,G\t.\tPASS\t.\tGT\t{calls}")
    return "\n".join(lines) + "\n"


def load(session: UnlockedVault, folder: Path, text: str, name: str, **options: Any) -> ImportReport:
    """Import VCF text on GRCh38; unknown samples are registered."""
    path = folder / f"{name}-{len(list(folder.iterdir()))}.vcf"
    path.write_text(text)
    return import_files(session, [path], name=name, assembly="GRCh38", options=ImportOptions(unknown="register", **options))
