"""An erasure's memory of itself: what it still has to do and what it has done, sealed under a key of its own (keys reference §12)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import zstandard
from sqlalchemy import update

from vault.crypto.envelope import Binding, open_blob, seal_blob
from vault.crypto.key_wrapping import KeyPurpose
from vault.genotypes.store.site_redaction import Alts
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import OpenKey
from vault.storage.book_tables import JOB_DONE, JobRow

LISTED, DESTROYED, FORGOTTEN, PURGED, REINDEXED, DONE = "listed", "destroyed", "forgotten", "purged", "reindexed", JOB_DONE
MAX_LIST_BYTES = 4 << 20  # of one chunk's list, unpacked: 65,535 sites, 8 alleles of 4 bytes


@dataclass(frozen=True)
class Plan:
    """What a job still has to do, and what it did so far. Sealed under the job's own key."""

    subject: str
    intent: str
    asked: str
    unreadable: str = ""
    releases: tuple[Mapping[str, Any], ...] = ()
    alts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # part -> chunk -> packed list
    destroyed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """An erasure under way: ``state`` is the last step that is complete."""

    job_id: bytes
    state: str
    plan: Plan

    @property
    def erasure_id(self) -> str:
        """As certificates and the log name it."""
        return erasure_id(self.job_id)

    @property
    def subject(self) -> SubjectId:
        """Who is being erased."""
        return SubjectId(bytes.fromhex(self.plan.subject))


def load(vault: UnlockedVault, job_id: bytes) -> Job:
    """A job as the books have it; of a finished one only that it is. Raises IntegrityError ``seal_broken``."""
    with vault.books.read() as tx:
        row = tx.get_one(JobRow, job_id)
    if row.state == DONE:
        return Job(job_id, DONE, Plan("", "", ""))
    key = vault.keys.open(KeyPurpose.JOB, job_id)
    fields = json.loads(open_blob(key.secret, _binding(vault, key, job_id), row.payload))
    fields["releases"] = tuple(fields["releases"])
    return Job(job_id, row.state, Plan(**fields))


def save(vault: UnlockedVault, job: Job) -> None:
    """Keep what a step has reached."""
    key = vault.keys.open(KeyPurpose.JOB, job.job_id)
    sealed = seal(vault, key, job.job_id, job.plan)
    with vault.books.write() as tx:
        tx.execute(update(JobRow).where(JobRow.job_id == job.job_id).values(state=job.state, payload=sealed))


def seal(vault: UnlockedVault, key: OpenKey, job_id: bytes, plan: Plan) -> bytes:
    """A plan as the job's row holds it."""
    text = json.dumps(asdict(plan), separators=(",", ":"))
    return seal_blob(key.secret, _binding(vault, key, job_id), text.encode(), random=vault.random)


def _binding(vault: UnlockedVault, key: OpenKey, job_id: bytes) -> Binding:
    return Binding(
        vault_id=vault.vault_id,
        collection="job",
        record_id=job_id,
        key_id=key.key_id,
        key_version=key.version,
        content_type="genovault/job/1",
    )


def pack(alts: Alts) -> str:
    """A chunk's list as text of a plan."""
    return base64.b64encode(zstandard.ZstdCompressor().compress(alts.astype("<u2").tobytes())).decode()


def unpack(text: str) -> Alts:
    """The list that ``pack`` made."""
    raw = zstandard.ZstdDecompressor().decompress(base64.b64decode(text), max_output_size=MAX_LIST_BYTES)
    return np.frombuffer(raw, "<u2").reshape(-1, 2).astype(np.int64)


def erasure_id(job_id: bytes) -> str:
    """What people call the erasure."""
    return f"er-{job_id[:8].hex()}"
