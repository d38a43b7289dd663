"""Tables of the books: subjects, datasets, consent, projects, requests, releases.

Clear columns hold random ids, closed codes, counts and times; everything that a person wrote or that names somebody is sealed
(the branch or key that opens a blob is named beside the column). Decisions over a million subjects read clear columns only.
"""

from __future__ import annotations

from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.base import BIG, Base, Code, Count, Digest, Id, Micros, Sealed


class VaultRow(Base):
    """The vault itself: one row."""

    __tablename__ = "vault"

    vault_id: Mapped[Id] = mapped_column(primary_key=True)
    origin: Mapped[Code]  # origin line of the log's checkpoints
    set_salt: Mapped[Id]  # salt of subject sets in audit leaves
    created: Mapped[Micros]


class PrincipalRow(Base):
    """Somebody who acts."""

    __tablename__ = "principal"

    name: Mapped[Code] = mapped_column(primary_key=True)
    role: Mapped[Code]
    state: Mapped[Code]  # active | disabled
    created: Mapped[Micros]


class SubjectRow(Base):
    """A person whose data is held."""

    __tablename__ = "subject"

    subject_id: Mapped[Id] = mapped_column(primary_key=True)
    state: Mapped[Code]  # active | restricted | erased
    created: Mapped[Micros]


class IdentityRow(Base):
    """Who a subject is. Sealed under the subject's identity key."""

    __tablename__ = "identity"

    subject_id: Mapped[Id] = mapped_column(ForeignKey("subject.subject_id"), primary_key=True)
    version: Mapped[Count]
    sealed: Mapped[Sealed]


class ReferenceRow(Base):
    """Blind index: keyed hash of a reference (kind and value) to a subject. The key derives from the identity branch."""

    __tablename__ = "reference"

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    subject_id: Mapped[Id] = mapped_column(ForeignKey("subject.subject_id"), index=True)
    dataset_id: Mapped[bytes | None] = mapped_column(LargeBinary(16))  # the dataset whose import registered it; None: a sheet


class DatasetRow(Base):
    """One imported call set on one assembly."""

    __tablename__ = "dataset"

    dataset_id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[Code] = mapped_column(unique=True)
    assembly: Mapped[Code]
    created: Mapped[Micros]


class PartRow(Base):
    """One import into a dataset: files x samples."""

    __tablename__ = "part"

    part_id: Mapped[Id] = mapped_column(primary_key=True)
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("dataset.dataset_id"), index=True)
    ordinal: Mapped[Count]
    n_subjects: Mapped[Count]
    n_sites: Mapped[Count]
    n_chunks: Mapped[Count]
    total_bytes: Mapped[Count]
    directory_object: Mapped[Code]
    directory_bytes: Mapped[Count]
    directory_sha256: Mapped[Digest]
    directory_key_id: Mapped[Id]
    length_key_id: Mapped[Id]  # key of the length tables of all containers
    created: Mapped[Micros]


class PartMemberRow(Base):
    """Which slot of which group holds a subject's blocks in a part."""

    __tablename__ = "part_member"

    part_id: Mapped[Id] = mapped_column(ForeignKey("part.part_id"), primary_key=True)
    subject_id: Mapped[Id] = mapped_column(ForeignKey("subject.subject_id"), primary_key=True, index=True)
    group_no: Mapped[Count]
    slot: Mapped[Count]


class ChunkRow(Base):
    """A run of consecutive sites of a part, and the current version of its sealed site table."""

    __tablename__ = "chunk"

    part_id: Mapped[Id] = mapped_column(ForeignKey("part.part_id"), primary_key=True)
    ordinal: Mapped[Count] = mapped_column(primary_key=True)
    n_sites: Mapped[Count]
    table_version: Mapped[Count]
    table_object: Mapped[Code]
    table_bytes: Mapped[Count]
    table_sha256: Mapped[Digest]
    table_key_id: Mapped[Id]


class ContainerRow(Base):
    """The sealed blocks of one chunk for one group of subjects."""

    __tablename__ = "container"

    container_id: Mapped[Id] = mapped_column(primary_key=True)
    part_id: Mapped[Id] = mapped_column(ForeignKey("part.part_id"))
    chunk: Mapped[Count]
    group_no: Mapped[Count]
    n_slots: Mapped[Count]
    nonce: Mapped[bytes] = mapped_column(LargeBinary(8))
    header_bytes: Mapped[Count]
    total_bytes: Mapped[Count]
    object: Mapped[Code]
    sha256: Mapped[Digest]

    __table_args__ = (Index("ix_container_place", "part_id", "chunk", "group_no", unique=True),)


class PanelRow(Base):
    """A named, versioned list of loci. Loci are sealed under the books branch."""

    __tablename__ = "panel"

    panel_id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[Code]
    version: Mapped[Count]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("dataset.dataset_id"))
    n_loci: Mapped[Count]
    sealed: Mapped[Sealed]
    created: Mapped[Micros]

    __table_args__ = (Index("ix_panel_name_version", "name", "version", unique=True),)


class FormRow(Base):
    """A consent form as it was when somebody first answered it. Its text is public."""

    __tablename__ = "consent_form"

    form_id: Mapped[Code] = mapped_column(primary_key=True)
    version: Mapped[Code] = mapped_column(primary_key=True)
    sha256: Mapped[Digest]
    body: Mapped[str] = mapped_column(Text)
    created: Mapped[Micros]


class ConsentEventRow(Base):
    """One immutable entry of the consent ledger, in ledger order.

    ``said`` is the canonical text of the codes that decide (few distinct ones exist, so deciding interns them); ``sealed`` holds
    signer, evidence and notes under the subject's identity key; ``head`` chains all rows.
    """

    __tablename__ = "consent_event"

    seq: Mapped[int] = mapped_column(BIG, primary_key=True, autoincrement=False)
    event_id: Mapped[Code] = mapped_column(unique=True)
    subject_id: Mapped[Id] = mapped_column(ForeignKey("subject.subject_id"), index=True)
    legal_time: Mapped[Micros]
    recorded_at: Mapped[Micros]
    said: Mapped[str] = mapped_column(Text)
    sealed: Mapped[Sealed]
    head: Mapped[Digest]


class ProjectRow(Base):
    """An approved purpose. The declaration is sealed under the books branch; every change raises ``version``."""

    __tablename__ = "project"

    project_id: Mapped[Id] = mapped_column(primary_key=True)
    code: Mapped[Code] = mapped_column(unique=True)
    version: Mapped[Count]
    state: Mapped[Code]  # draft | approved | suspended | closed
    sealed: Mapped[Sealed]
    declaration_sha256: Mapped[Digest]
    created: Mapped[Micros]
    created_by: Mapped[Code]
    approved_by: Mapped[str | None] = mapped_column(Text)
    approved: Mapped[int | None] = mapped_column(BIG)  # microseconds since 1970 UTC
    self_approved: Mapped[bool] = mapped_column(Boolean)


class RequestRow(Base):
    """One ask of a project. What exactly is asked (loci) is sealed under the books branch."""

    __tablename__ = "request"

    request_id: Mapped[Code] = mapped_column(primary_key=True)
    project_id: Mapped[Id] = mapped_column(ForeignKey("project.project_id"), index=True)
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("dataset.dataset_id"))
    kind: Mapped[Code]  # records | counts | presence
    state: Mapped[Code]  # open | denied
    sealed: Mapped[Sealed]
    submitted_by: Mapped[Code]
    created: Mapped[Micros]


class ReleaseRow(Base):
    """A view that left the vault, or is leaving it."""

    __tablename__ = "release"

    release_id: Mapped[Code] = mapped_column(primary_key=True)
    request_id: Mapped[str | None] = mapped_column(Text, ForeignKey("request.request_id"), index=True)  # None: an engine's view
    project_id: Mapped[Id] = mapped_column(ForeignKey("project.project_id"), index=True)
    state: Mapped[Code]  # staging | committed | released | aborted
    version: Mapped[Count]  # of the sealed record
    intent_event: Mapped[Code]
    outcome_index: Mapped[int | None] = mapped_column(BIG)
    manifest_sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    subject_set: Mapped[Digest]  # the audit log's set of the subjects in it
    n_subjects: Mapped[Count]
    n_sites: Mapped[Count]
    sealed: Mapped[Sealed]  # folders, manifest, what was asked; books branch
    created: Mapped[Micros]


class JobRow(Base):
    """Work that spans SQL and keys or objects: intent, idempotent steps, done. Replayed at open."""

    __tablename__ = "job"

    job_id: Mapped[Id] = mapped_column(primary_key=True)
    kind: Mapped[Code]
    state: Mapped[Code]  # pending | done
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[Micros]


class LeaseRow(Base):
    """An object prefix that somebody is writing: the sweeper leaves it alone until it expires."""

    __tablename__ = "lease"

    prefix: Mapped[Code] = mapped_column(primary_key=True)
    expires: Mapped[Micros]
