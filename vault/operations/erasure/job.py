"""Erasure job: its states and its plan, sealed under a key of its own (docs/design/keys.md §12).

    job       listed → destroyed → forgotten → purged → reindexed → done; the state is the last complete step
    subject   active → erasing → erased
    chunk     pending → writing → swapped → no row; readers refuse the chunk while the row is there

``erasure.process`` drives the job and the subject, ``erasure.swaps`` the chunks.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import zstandard
from sqlalchemy import select, update

from vault.crypto.envelope import Binding, open_blob, seal_blob
from vault.crypto.key_wrapping import KeyPurpose
from vault.genotypes.store.site_redaction import Alts
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import OpenKey
from vault.storage.book_tables import JOB_DONE, ConsentPrivateRow, IdentityRow, JobRow, ReferenceRow

ERASURE_JOB = "erase"  # kind of the job's row
LISTED, DESTROYED, FORGOTTEN, PURGED, REINDEXED, DONE = "listed", "destroyed", "forgotten", "purged", "reindexed", JOB_DONE
ERASING, ERASED = "erasing", "erased"  # of the subject
WRITING, SWAPPED = "writing", "swapped"  # of a chunk that was pending
HOLDING_NAMES = tuple(table.__tablename__ for table in (IdentityRow, ReferenceRow, ConsentPrivateRow, JobRow))
MAX_LIST_BYTES = 4 << 20  # unpacked list of one chunk: 65,535 sites, 8 alleles of 4 bytes


@dataclass(frozen=True)
class ErasurePlan:
    """Steps left and counts so far. Sealed under the job's own key."""

    subject: str
    intent: str
    asked: str
    unreadable: str = ""
    releases: tuple[Mapping[str, Any], ...] = ()
    alts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # part -> chunk -> ``pack``
    moved: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # the same of what others' parts list of theirs
    destroyed: Mapping[str, int] = field(default_factory=dict)
    suppressed: tuple[str, ...] = ()  # codes of references that are not to come back
    merged: tuple[str, ...] = ()  # registrations of the person that were merged into this one
    index: Sequence[int] | None = (
        None  # versions of the keys that the person's references were under; None: all, in jobs of before
    )


@dataclass(frozen=True)
class Job:
    """Erasure under way; ``state`` is its last complete step."""

    job_id: bytes
    state: str
    plan: ErasurePlan

    @property
    def erasure_id(self) -> str:
        """Id in certificates and the log."""
        return erasure_id(self.job_id)

    @property
    def subject(self) -> SubjectId:
        """Subject being erased."""
        return SubjectId(bytes.fromhex(self.plan.subject))

    @property
    def registrations(self) -> list[SubjectId]:
        """The subject, and those that were merged into it."""
        return [self.subject, *(SubjectId(bytes.fromhex(one)) for one in self.plan.merged)]


def unfinished(vault: UnlockedVault) -> list[bytes]:
    """Ids of erasure jobs that are not done, oldest first."""
    with vault.books.read() as tx:
        return list(
            tx.scalars(select(JobRow.job_id).where(JobRow.kind == ERASURE_JOB, JobRow.state != DONE).order_by(JobRow.created))
        )


def load(vault: UnlockedVault, job_id: bytes) -> Job:
    """Load a job; a finished one has an empty plan. Raises IntegrityError ``seal_broken``."""
    with vault.books.read() as tx:
        row = tx.get_one(JobRow, job_id)
    if row.state == DONE:
        return Job(job_id, DONE, ErasurePlan("", "", ""))
    key = vault.keys.open(KeyPurpose.JOB, job_id)
    fields = json.loads(open_blob(key.secret, _binding(vault, key, job_id), row.payload))
    fields["releases"] = tuple(fields["releases"])
    return Job(job_id, row.state, ErasurePlan(**fields))


def save(vault: UnlockedVault, job: Job) -> None:
    """Store the state and plan that a step has reached."""
    key = vault.keys.open(KeyPurpose.JOB, job.job_id)
    sealed = seal(vault, key, job.job_id, job.plan)
    with vault.books.write() as tx:
        tx.execute(update(JobRow).where(JobRow.job_id == job.job_id).values(state=job.state, payload=sealed))


def seal(vault: UnlockedVault, key: OpenKey, job_id: bytes, plan: ErasurePlan) -> bytes:
    """Seal a plan for the job's row."""
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
    """Encode a chunk's list (int64[n, 2]: row, ALT number) as text: uint16 little-endian, zstd, base64."""
    return base64.b64encode(zstandard.ZstdCompressor().compress(alts.astype("<u2").tobytes())).decode()


def unpack(text: str) -> Alts:
    """Decode a list that ``pack`` made, int64[n, 2]."""
    raw = zstandard.ZstdDecompressor().decompress(base64.b64decode(text), max_output_size=MAX_LIST_BYTES)
    return np.frombuffer(raw, "<u2").reshape(-1, 2).astype(np.int64)


def erasure_id(job_id: bytes) -> str:
    """Id of the erasure in certificates and the log, from the job's."""
    return f"er-{job_id[:8].hex()}"
