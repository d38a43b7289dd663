"""Tables of the books: subjects, datasets, consent, projects, requests, releases.

Clear columns hold random ids, closed codes, counts and times; everything that a person wrote or that identifies a person is sealed
(the branch or key that opens a blob is named beside the column). Decisions over a million subjects read clear columns only.

Over 350 lines because the schema is one list of tables with foreign keys between all collections.
"""

from __future__ import annotations

from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.base import BIG, Base, Code, Count, Digest, Id, Micros, Sealed
from vault.storage.stored_types import LARGEST

RELEASE_UNFINISHED = ("staging", "committed")  # states of a release that a killed process leaves behind
JOB_DONE = "done"


class VaultRow(Base):
    """Vault: one row."""

    __tablename__ = "vault"

    vault_id: Mapped[Id] = mapped_column(primary_key=True)
    origin: Mapped[Code]  # origin line of the log's checkpoints
    set_salt: Mapped[Id]  # salt of subject sets in audit leaves
    keystore_seq: Mapped[Count]  # newest keystore that an entry of the log speaks of: an older one is a rollback
    reference_version: Mapped[Count]  # newest version of the index key: it grows whenever one is renewed or added
    created: Mapped[Micros]
    time_zone: Mapped[Code] = mapped_column(Text, server_default="UTC")  # IANA name: whose days the typed dates are
    settings: Mapped[Code | None]  # vault.json as the vault was last told (``session.settings``); NULL until it is upgraded
    incarnation: Mapped[Id | None]  # drawn by init, restore and whatever else begins a life of its own; NULL until it is upgraded


class PrincipalRow(Base):
    """A principal."""

    __tablename__ = "principal"

    name: Mapped[Code] = mapped_column(primary_key=True)
    role: Mapped[Code]
    state: Mapped[Code]  # active | disabled
    created: Mapped[Micros]


class SubjectRow(Base):
    """A subject: a person whose data is held."""

    __tablename__ = "subject"

    subject_id: Mapped[Id] = mapped_column(primary_key=True)
    state: Mapped[Code]  # active | erasing | erased; what may be done with the data is in the consent ledger
    created: Mapped[Micros]


class IdentityRow(Base):
    """Identity of a subject, sealed under the subject's identity key."""

    __tablename__ = "identity"

    subject_id: Mapped[Id] = mapped_column(ForeignKey("subject.subject_id"), primary_key=True)
    version: Mapped[Count]
    sealed: Mapped[Sealed]


class PeopleDigestRow(Base):
    """Digest over the identities of every subject whose id begins with one byte (``vault.subjects.people_digests``)."""

    __tablename__ = "people_digest"

    bucket: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)  # 0 to 255
    digest: Mapped[Digest]


class ReferenceRow(Base):
    """Blind index: keyed hash of a reference (kind and value) to a subject. The keys are of the identity branch, each for some of the people."""

    __tablename__ = "reference"

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    subject_id: Mapped[Id] = mapped_column(ForeignKey("subject.subject_id"), index=True)
    dataset_id: Mapped[bytes | None] = mapped_column(LargeBinary(16))  # the dataset whose import registered it; None: a sheet
    key_version: Mapped[Count] = mapped_column(index=True, server_default="1")  # of the index key that the digest is made with


class DatasetRow(Base):
    """One imported call set on one assembly."""

    __tablename__ = "dataset"

    dataset_id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[Code] = mapped_column(unique=True)
    assembly: Mapped[Code]
    created: Mapped[Micros]
    contigs: Mapped[Code | None]  # JSON list: contigs of personal parts, as their files spell them; those of parts are sealed
    assay_rule: Mapped[Code | None]  # JSON: what counts as assayed in files with reference blocks; NULL before the first of them


class PartRow(Base):
    """One import into a dataset: files x samples, of two people or more (of before: of one, too); or imports of one person each, joined."""

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
    members_sha256: Mapped[Digest] = mapped_column(server_default="-")  # of the members of the part's layout
    assayed: Mapped[Code | None]  # "all", or the SHA-256 of a list of places
    source: Mapped[Code | None]  # SHA-256 of the imported files (vault.genotypes.ingest.source_digest)
    counts_object: Mapped[Code | None]  # carrier counts, for erasure; NULL in parts of before until they are counted
    counts_bytes: Mapped[int | None] = mapped_column(BIG)
    counts_sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    counts_key_id: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    compacted: Mapped[Code | None]  # made of parts of one person each: calls | tracked; NULL: an import
    layout_id: Mapped[Id] = mapped_column(server_default="-")  # parts of the same people share one, and the places in it


class AssayedPlacesRow(Base):
    """A list of places declared as assayed, by its digest, which part rows name."""

    __tablename__ = "assayed_places"

    sha256: Mapped[Code] = mapped_column(primary_key=True)
    body: Mapped[bytes]  # zstd of vault.genotypes.assayed's text


class LayoutMemberRow(Base):
    """Place of a subject's blocks in every part of a layout: group and slot."""

    __tablename__ = "layout_member"

    layout_id: Mapped[Id] = mapped_column(primary_key=True)
    subject_id: Mapped[Id] = mapped_column(ForeignKey("subject.subject_id"), primary_key=True, index=True)
    group_no: Mapped[Count]
    slot: Mapped[Count]


class PersonalPartRow(Base):
    """One import of one person into a dataset: one object, all of it sealed under keys that derive from that person's."""

    __tablename__ = "personal_part"

    part_id: Mapped[Id] = mapped_column(primary_key=True)
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("dataset.dataset_id"), index=True)
    subject_id: Mapped[Id] = mapped_column(ForeignKey("subject.subject_id"), index=True)
    ordinal: Mapped[Count]  # among the parts of both kinds
    state: Mapped[Code]  # live | joined: its calls are in a compacted part | erasing: nobody's, until its object is deleted
    n_sites: Mapped[Count]
    has_track: Mapped[bool] = mapped_column(Boolean)  # the file said what was assayed as reference
    object: Mapped[Code]
    total_bytes: Mapped[Count]
    sha256: Mapped[Digest]
    index_bytes: Mapped[Count]  # of the sealed index, at the end of the object
    assayed: Mapped[Code | None]  # as in ``part``
    source: Mapped[Code | None]  # as in ``part``
    created: Mapped[Micros]
    joined: Mapped[Id | None]  # the compacted part that has its calls


class ChunkRow(Base):
    """A run of consecutive sites of a part, and the current version of its sealed site table."""

    __tablename__ = "chunk"

    part_id: Mapped[Id] = mapped_column(ForeignKey("part.part_id"), primary_key=True)
    ordinal: Mapped[Count] = mapped_column(primary_key=True)
    # Memory is taken for as many, before their table is opened.
    n_sites: Mapped[Count] = mapped_column(info={"range": (0, 1 << 16)})
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


class PanelBuildRow(Base):
    """Panel build: the panel's sites of one part, one sealed block per subject. Derived: it may be deleted and made again.

    ``table_versions``: sum of the part's table versions when it was made; with any other sum it is stale and not read.
    """

    __tablename__ = "panel_build"

    build_id: Mapped[Id] = mapped_column(primary_key=True)
    panel_id: Mapped[Id] = mapped_column(ForeignKey("panel.panel_id"))
    part_id: Mapped[Id] = mapped_column(ForeignKey("part.part_id"), index=True)
    table_versions: Mapped[Count]
    n_sites: Mapped[Count] = mapped_column(info={"range": (0, 1 << 16)})  # as of a chunk
    total_bytes: Mapped[Count]
    table_object: Mapped[Code]
    table_bytes: Mapped[Count]
    table_sha256: Mapped[Digest]
    table_key_id: Mapped[Id]
    length_key_id: Mapped[Id]
    created: Mapped[Micros]

    __table_args__ = (Index("ix_panel_build_place", "panel_id", "part_id", unique=True),)


class PanelContainerRow(Base):
    """The blocks of a panel's build for one group of the part."""

    __tablename__ = "panel_container"

    container_id: Mapped[Id] = mapped_column(primary_key=True)
    build_id: Mapped[Id] = mapped_column(ForeignKey("panel_build.build_id"))
    group_no: Mapped[Count]
    n_slots: Mapped[Count]
    nonce: Mapped[bytes] = mapped_column(LargeBinary(8))
    header_bytes: Mapped[Count]
    total_bytes: Mapped[Count]
    object: Mapped[Code]
    sha256: Mapped[Digest]

    __table_args__ = (Index("ix_panel_container_place", "build_id", "group_no", unique=True),)


class FormRow(Base):
    """Consent form as it was when it was first answered. Its text is public."""

    __tablename__ = "consent_form"

    form_id: Mapped[Code] = mapped_column(primary_key=True)
    version: Mapped[Code] = mapped_column(primary_key=True)
    sha256: Mapped[Digest]
    body: Mapped[str] = mapped_column(Text)
    created: Mapped[Micros]


class ConsentStatementRow(Base):
    """One distinct statement of consent events, as canonical text without ids and times; events of many subjects share it."""

    __tablename__ = "consent_said"

    statement_id: Mapped[int] = mapped_column("said_id", BIG, primary_key=True, autoincrement=False)
    sha256: Mapped[Digest] = mapped_column(unique=True)
    body: Mapped[str] = mapped_column(Text)


class ConsentBatchRow(Base):
    """Consent events that were recorded together, up to ``last_seq``: all that decides, packed as the chain hashes it.

    Columns of numbers and random ids, so that a million events are read in one go (``vault.consent.ledger_columns``).
    """

    __tablename__ = "consent_batch"

    last_seq: Mapped[int] = mapped_column(BIG, primary_key=True, autoincrement=False)
    events: Mapped[bytes] = mapped_column(LargeBinary)  # one fixed part for each event
    times: Mapped[bytes] = mapped_column(LargeBinary)  # times that the marks of the texts stand for
    head: Mapped[Digest]  # the chain's value after them
    format: Mapped[Count] = mapped_column(BIG, server_default="1")  # layout of the events, bound by the chain


class ConsentPrivateRow(Base):
    """Identifying part of a consent event: signer, evidence, notes. Sealed under the subject's identity key."""

    __tablename__ = "consent_private"

    seq: Mapped[int] = mapped_column(BIG, primary_key=True, autoincrement=False)
    subject_id: Mapped[Id] = mapped_column(ForeignKey("subject.subject_id"), index=True)
    sealed: Mapped[Sealed]


class RulingRow(Base):
    """A steward's ruling on one condition of a project. Never changed but for its confirmation by a second steward."""

    __tablename__ = "ruling"

    ruling_id: Mapped[Code] = mapped_column(primary_key=True)
    project_id: Mapped[Id] = mapped_column(ForeignKey("project.project_id"), index=True)
    item: Mapped[Code]  # a topic or a modifier's code
    allows: Mapped[bool] = mapped_column(Boolean)
    ruled_by: Mapped[Code]
    ruled: Mapped[Micros]
    confirmed_by: Mapped[str | None] = mapped_column(Text)
    confirmed: Mapped[Micros | None]  # in force from then on
    sealed: Mapped[Sealed]  # the reason given; books branch


class ReferenceDocumentRow(Base):
    """Public data that decisions use: a disease ontology, named places on the genome. The newest of a kind counts."""

    __tablename__ = "reference_document"

    kind: Mapped[Code] = mapped_column(primary_key=True)  # ontology | loci | majority
    version: Mapped[Code] = mapped_column(primary_key=True)
    sha256: Mapped[Digest]
    body: Mapped[bytes] = mapped_column(LargeBinary)  # zstd
    created: Mapped[Micros]


class ProjectRow(Base):
    """A project with the version of its declaration that is in force, or the draft. The declaration is sealed under the books branch.

    ``version``: of the row, which every change raises; ``declared_version``: of the declaration.
    """

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
    approved: Mapped[Micros | None]
    self_approved: Mapped[bool] = mapped_column(Boolean)
    rulings: Mapped[Code]  # items that stewards have allowed, sorted, with commas
    declared_version: Mapped[Count] = mapped_column(server_default="1")


class ProjectVersionRow(Base):
    """A version of a project's declaration that the project does not have: proposed, or of before."""

    __tablename__ = "project_version"

    project_id: Mapped[Id] = mapped_column(ForeignKey("project.project_id"), primary_key=True)
    version: Mapped[Count] = mapped_column(primary_key=True)
    state: Mapped[Code]  # proposed | replaced | taken_back | superseded
    sealed: Mapped[Sealed]  # declaration and reason; books branch
    declaration_sha256: Mapped[Digest]
    created: Mapped[Micros]
    created_by: Mapped[Code]
    approved_by: Mapped[str | None] = mapped_column(Text)
    approved: Mapped[Micros | None]
    self_approved: Mapped[bool] = mapped_column(Boolean)


class RecipientRow(Base):
    """A recipient's Crypt4GH key in the recipient book. Retired keys stay; a name has one that is not."""

    __tablename__ = "recipient"

    recipient_id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[Code]
    state: Mapped[Code]  # added | confirmed | retired
    public: Mapped[Digest]  # X25519 public key
    added_by: Mapped[Code]
    added: Mapped[Micros]
    confirmed_by: Mapped[str | None] = mapped_column(Text)
    confirmed: Mapped[Micros | None]
    self_confirmed: Mapped[bool] = mapped_column(Boolean)
    retired: Mapped[Micros | None]
    sealed: Mapped[Sealed]  # the columns above, under the books branch


class RequestRow(Base):
    """Request of a project. The loci asked for are sealed under the books branch."""

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
    """Release: a view that left the vault or is leaving it."""

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


class HoldingRow(Base):
    """People whom a principal has received of a panel, as one set of the log's: a holding has a row for each set that differed."""

    __tablename__ = "holding"

    project_id: Mapped[Id] = mapped_column(ForeignKey("project.project_id"), primary_key=True)
    holder: Mapped[Code] = mapped_column(primary_key=True)  # the principal
    panel_id: Mapped[Id] = mapped_column(ForeignKey("panel.panel_id"), primary_key=True)
    names: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)  # version of the key that made the pseudonyms
    subject_set: Mapped[Digest] = mapped_column(primary_key=True)
    release_id: Mapped[Code]  # the view that brought it first
    sealed: Mapped[Sealed]  # the columns before, once more; books branch


class NoticeRow(Base):
    """Records that the recipients of a release, or whoever has a holding, have to drop."""

    __tablename__ = "notice"

    notice_id: Mapped[Code] = mapped_column(primary_key=True)
    project_id: Mapped[Id] = mapped_column(ForeignKey("project.project_id"), index=True)
    ref: Mapped[Code] = mapped_column(index=True)  # id of the release or holding
    state: Mapped[Code]  # open | acknowledged | called_off
    version: Mapped[Count]  # of the sealed record
    opened_event: Mapped[Code]  # of the log, to which every later entry about it refers
    created: Mapped[Micros]
    due: Mapped[Micros]
    issued: Mapped[Micros | None]  # its file was written last
    late: Mapped[Micros | None]  # the log says that it was not answered in time
    sealed: Mapped[Sealed]  # what to drop, who was told, what they said, and the columns before; books branch


class ResolutionRow(Base):
    """A request to be told whose a pseudonym is, with the signatures of the two people that it takes."""

    __tablename__ = "resolution"

    resolution_id: Mapped[Code] = mapped_column(primary_key=True)
    project_id: Mapped[Id] = mapped_column(ForeignKey("project.project_id"))
    opened_event: Mapped[Code]  # of the log, to which every later entry about it refers: they tell what became of it
    opened_by: Mapped[Code]
    opened: Mapped[Micros]
    expires: Mapped[Micros]
    signer: Mapped[Digest]
    signature: Mapped[bytes] = mapped_column(LargeBinary(64))
    approved_by: Mapped[str | None] = mapped_column(Text)
    approved: Mapped[Micros | None]
    approver: Mapped[bytes | None] = mapped_column(LargeBinary(32))  # the key of the second signature
    second_signature: Mapped[bytes | None] = mapped_column(LargeBinary(64))
    sealed: Mapped[Sealed]  # pseudonym, reason, case; books branch


class JobRow(Base):
    """Work that spans SQL and keys or objects: intent, idempotent steps, done. Replayed at open."""

    __tablename__ = "job"

    job_id: Mapped[Id] = mapped_column(primary_key=True)
    kind: Mapped[Code]
    state: Mapped[Code]  # the last step that is complete; done
    payload: Mapped[bytes] = mapped_column(LargeBinary)  # empty once done
    created: Mapped[Micros]


class ErasingChunkRow(Base):
    """Chunk whose site table may still list private alleles of an erased person: unreadable until the row is gone.

    ``old_*``, ``new_*``: the table being replaced and its successor, so that a killed process leaves neither object nor key.
    """

    __tablename__ = "erasing_chunk"

    job_id: Mapped[Id] = mapped_column(ForeignKey("job.job_id"), primary_key=True)
    part_id: Mapped[Id] = mapped_column(ForeignKey("part.part_id"), primary_key=True)
    ordinal: Mapped[Count] = mapped_column(
        primary_key=True, info={"range": (-2, LARGEST)}
    )  # of the chunk; -1: the directory, -2: the carrier counts
    state: Mapped[Code]  # pending | writing | swapped
    old_object: Mapped[str | None] = mapped_column(Text)
    old_key_id: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    new_object: Mapped[str | None] = mapped_column(Text)
    new_key_id: Mapped[bytes | None] = mapped_column(LargeBinary(16))


class ErasureRow(Base):
    """An erasure that was completed, with its signed certificate, which does not name the subject."""

    __tablename__ = "erasure"

    erasure_id: Mapped[Code] = mapped_column(primary_key=True)
    certificate: Mapped[str] = mapped_column(Text)
    created: Mapped[Micros]


class KeyBackupRow(Base):
    """Backup of the keys: until it expires or is destroyed, it opens data erased since."""

    __tablename__ = "key_backup"

    backup_id: Mapped[Code] = mapped_column(primary_key=True)
    keystore_seq: Mapped[Count]
    created: Mapped[Micros]
    expires: Mapped[Micros]
    destroyed: Mapped[Micros | None]


class LeaseRow(Base):
    """Lease on an object prefix being written: the sweeper leaves it alone until it expires."""

    __tablename__ = "lease"

    prefix: Mapped[Code] = mapped_column(primary_key=True)
    expires: Mapped[Micros]
    retired: Mapped[bool | None] = mapped_column(Boolean)  # true of a part that was compacted: readers may have it open


class CollectionHeadRow(Base):
    """The whole of a small table, digested and signed by whoever changed it last: no row of it is read that this does not cover."""

    __tablename__ = "collection_head"

    name: Mapped[Code] = mapped_column(primary_key=True)
    counter: Mapped[Count]  # one more with each change
    digest: Mapped[Digest]
    listing: Mapped[bytes] = mapped_column(LargeBinary)  # label and digest of each row: says which record was edited
    listing_sha256: Mapped[Digest]
    signer: Mapped[Digest]  # Ed25519 public key of an unlock slot
    signature: Mapped[bytes] = mapped_column(LargeBinary(64))


class ApprovalRow(Base):
    """An act that others rest on, signed by the key of the principal who did it (``docs/formats/books.md`` §8)."""

    __tablename__ = "approval"

    act: Mapped[Code] = mapped_column(primary_key=True)  # as in the log
    kind: Mapped[Code] = mapped_column(primary_key=True)  # project | ruling
    ref: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # id of the project or ruling
    principal: Mapped[Code] = mapped_column(primary_key=True)
    content: Mapped[Digest]  # of what was approved
    signed: Mapped[Micros]
    carried_by: Mapped[str | None] = mapped_column(Text)  # administrator who signed for an act of before the upgrade
    signer: Mapped[Digest]  # Ed25519 public key of an unlock slot
    signature: Mapped[bytes] = mapped_column(LargeBinary(64))
