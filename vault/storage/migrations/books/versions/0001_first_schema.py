"""The first schema of the books database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TRIGGERS = {
    "sqlite": (
        "CREATE TRIGGER audit_leaf_no_update BEFORE UPDATE ON audit_leaf BEGIN SELECT RAISE(ABORT, 'audit_leaf is written once'); END",
        "CREATE TRIGGER audit_leaf_no_delete BEFORE DELETE ON audit_leaf BEGIN SELECT RAISE(ABORT, 'audit_leaf is written once'); END",
        "CREATE TRIGGER audit_origin_no_update BEFORE UPDATE ON audit_origin BEGIN SELECT RAISE(ABORT, 'audit_origin is written once'); END",
        "CREATE TRIGGER audit_origin_no_delete BEFORE DELETE ON audit_origin BEGIN SELECT RAISE(ABORT, 'audit_origin is written once'); END",
        "CREATE TRIGGER audit_closing_no_update BEFORE UPDATE ON audit_closing BEGIN SELECT RAISE(ABORT, 'audit_closing is written once'); END",
        "CREATE TRIGGER audit_closing_no_delete BEFORE DELETE ON audit_closing BEGIN SELECT RAISE(ABORT, 'audit_closing is written once'); END",
        "CREATE TRIGGER audit_tile_no_update BEFORE UPDATE ON audit_tile BEGIN SELECT RAISE(ABORT, 'audit_tile is written once'); END",
        "CREATE TRIGGER audit_tile_no_delete BEFORE DELETE ON audit_tile BEGIN SELECT RAISE(ABORT, 'audit_tile is written once'); END",
        "CREATE TRIGGER audit_checkpoint_no_update BEFORE UPDATE ON audit_checkpoint BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is written once'); END",
        "CREATE TRIGGER audit_checkpoint_no_delete BEFORE DELETE ON audit_checkpoint BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is written once'); END",
        "CREATE TRIGGER audit_session_no_update BEFORE UPDATE ON audit_session BEGIN SELECT RAISE(ABORT, 'audit_session is written once'); END",
        "CREATE TRIGGER audit_session_no_delete BEFORE DELETE ON audit_session BEGIN SELECT RAISE(ABORT, 'audit_session is written once'); END",
        "CREATE TRIGGER audit_detail_no_update BEFORE UPDATE ON audit_detail BEGIN SELECT RAISE(ABORT, 'audit_detail is written once'); END",
        "CREATE TRIGGER audit_detail_no_delete BEFORE DELETE ON audit_detail BEGIN SELECT RAISE(ABORT, 'audit_detail is written once'); END",
        "CREATE TRIGGER audit_set_no_update BEFORE UPDATE ON audit_set BEGIN SELECT RAISE(ABORT, 'audit_set is written once'); END",
        "CREATE TRIGGER audit_set_no_delete BEFORE DELETE ON audit_set BEGIN SELECT RAISE(ABORT, 'audit_set is written once'); END",
        "CREATE TRIGGER audit_token_no_update BEFORE UPDATE ON audit_token BEGIN SELECT RAISE(ABORT, 'audit_token is written once'); END",
        "CREATE TRIGGER audit_token_no_delete BEFORE DELETE ON audit_token BEGIN SELECT RAISE(ABORT, 'audit_token is written once'); END",
        "CREATE TRIGGER audit_set_token_no_update BEFORE UPDATE ON audit_set_token BEGIN SELECT RAISE(ABORT, 'audit_set_token is written once'); END",
        "CREATE TRIGGER audit_set_token_no_delete BEFORE DELETE ON audit_set_token BEGIN SELECT RAISE(ABORT, 'audit_set_token is written once'); END",
        "CREATE TRIGGER audit_set_leaf_no_update BEFORE UPDATE ON audit_set_leaf BEGIN SELECT RAISE(ABORT, 'audit_set_leaf is written once'); END",
        "CREATE TRIGGER audit_set_leaf_no_delete BEFORE DELETE ON audit_set_leaf BEGIN SELECT RAISE(ABORT, 'audit_set_leaf is written once'); END",
        "CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head BEGIN SELECT RAISE(ABORT, 'audit_head is written once'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION audit_written_once() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN RAISE EXCEPTION 'the audit log is written once'; END $body$",
        "CREATE TRIGGER audit_leaf_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_leaf FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_origin_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_origin FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_closing_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_closing FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_tile_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_tile FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_checkpoint_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_session_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_session FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_detail_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_detail FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_set_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_set FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_token_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_token FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_set_token_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_set_token FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_set_leaf_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_set_leaf FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
        "CREATE TRIGGER audit_head_written_once BEFORE DELETE OR TRUNCATE ON audit_head FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()",
    ),
}
"""Dialect -> statements that make the log's tables write-once."""


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "audit_checkpoint",
        sa.Column("base", BIG, autoincrement=False, nullable=False),
        sa.Column("size", BIG, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("base", "size", name=op.f("pk_audit_checkpoint")),
    )
    op.create_table(
        "audit_closing",
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("idx", BIG, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "idx", name=op.f("pk_audit_closing")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_detail",
        sa.Column("idx", BIG, autoincrement=False, nullable=False),
        sa.Column("session_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_audit_detail")),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("base", BIG, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("stack", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_head_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "audit_leaf",
        sa.Column("idx", BIG, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_audit_leaf")),
        sa.UniqueConstraint("event_id", name=op.f("uq_audit_leaf_event_id")),
    )
    op.create_table(
        "audit_origin",
        sa.Column("base", BIG, autoincrement=False, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("base", name=op.f("pk_audit_origin")),
        sa.UniqueConstraint("origin", name=op.f("uq_audit_origin_origin")),
    )
    op.create_table(
        "audit_session",
        sa.Column("session_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("audit_read_public", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_audit_session")),
    )
    op.create_table(
        "audit_set",
        sa.Column("set_id", BIG, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("n", BIG, nullable=False),
        sa.PrimaryKeyConstraint("set_id", name=op.f("pk_audit_set")),
        sa.UniqueConstraint("digest", name=op.f("uq_audit_set_digest")),
    )
    op.create_table(
        "audit_set_leaf",
        sa.Column("set_id", BIG, autoincrement=False, nullable=False),
        sa.Column("idx", BIG, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("set_id", "idx", name=op.f("pk_audit_set_leaf")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_set_token",
        sa.Column("token_id", BIG, autoincrement=False, nullable=False),
        sa.Column("set_id", BIG, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("token_id", "set_id", name=op.f("pk_audit_set_token")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("audit_set_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_set_token_set_id"), ["set_id"], unique=False)

    op.create_table(
        "audit_tile",
        sa.Column("base", BIG, autoincrement=False, nullable=False),
        sa.Column("level", BIG, autoincrement=False, nullable=False),
        sa.Column("n", BIG, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("base", "level", "n", name=op.f("pk_audit_tile")),
    )
    op.create_table(
        "audit_token",
        sa.Column("token_id", BIG, autoincrement=False, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_audit_token")),
        sa.UniqueConstraint("token", name=op.f("uq_audit_token_token")),
    )
    op.create_table(
        "consent_batch",
        sa.Column("last_seq", BIG, autoincrement=False, nullable=False),
        sa.Column("events", sa.LargeBinary(), nullable=False),
        sa.Column("times", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("last_seq", name=op.f("pk_consent_batch")),
    )
    op.create_table(
        "consent_form",
        sa.Column("form_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("form_id", "version", name=op.f("pk_consent_form")),
    )
    op.create_table(
        "consent_said",
        sa.Column("said_id", BIG, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("said_id", name=op.f("pk_consent_said")),
        sa.UniqueConstraint("sha256", name=op.f("uq_consent_said_sha256")),
    )
    op.create_table(
        "dataset",
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("assembly", sa.Text(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", name=op.f("pk_dataset")),
        sa.UniqueConstraint("name", name=op.f("uq_dataset_name")),
    )
    op.create_table(
        "erasure",
        sa.Column("erasure_id", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_erasure")),
    )
    op.create_table(
        "job",
        sa.Column("job_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job")),
    )
    op.create_table(
        "key_backup",
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("keystore_seq", BIG, nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.Column("expires", BIG, nullable=False),
        sa.Column("destroyed", BIG, nullable=True),
        sa.PrimaryKeyConstraint("backup_id", name=op.f("pk_key_backup")),
    )
    op.create_table(
        "lease",
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("expires", BIG, nullable=False),
        sa.PrimaryKeyConstraint("prefix", name=op.f("pk_lease")),
    )
    op.create_table(
        "principal",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_principal")),
    )
    op.create_table(
        "project",
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("declaration_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved", BIG, nullable=True),
        sa.Column("self_approved", sa.Boolean(), nullable=False),
        sa.Column("rulings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project")),
        sa.UniqueConstraint("code", name=op.f("uq_project_code")),
    )
    op.create_table(
        "reference_document",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("kind", "version", name=op.f("pk_reference_document")),
    )
    op.create_table(
        "subject",
        sa.Column("subject_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_subject")),
    )
    op.create_table(
        "vault",
        sa.Column("vault_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("set_salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("keystore_seq", BIG, nullable=False),
        sa.Column("reference_version", BIG, nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("vault_id", name=op.f("pk_vault")),
    )
    op.create_table(
        "consent_private",
        sa.Column("seq", BIG, autoincrement=False, nullable=False),
        sa.Column("subject_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.subject_id"], name=op.f("fk_consent_private_subject_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_consent_private")),
    )
    with op.batch_alter_table("consent_private", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consent_private_subject_id"), ["subject_id"], unique=False)

    op.create_table(
        "identity",
        sa.Column("subject_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.subject_id"], name=op.f("fk_identity_subject_id")),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_identity")),
    )
    op.create_table(
        "panel",
        sa.Column("panel_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("n_loci", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.dataset_id"], name=op.f("fk_panel_dataset_id")),
        sa.PrimaryKeyConstraint("panel_id", name=op.f("pk_panel")),
    )
    with op.batch_alter_table("panel", schema=None) as batch_op:
        batch_op.create_index("ix_panel_name_version", ["name", "version"], unique=True)

    op.create_table(
        "part",
        sa.Column("part_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("ordinal", BIG, nullable=False),
        sa.Column("n_subjects", BIG, nullable=False),
        sa.Column("n_sites", BIG, nullable=False),
        sa.Column("n_chunks", BIG, nullable=False),
        sa.Column("total_bytes", BIG, nullable=False),
        sa.Column("directory_object", sa.Text(), nullable=False),
        sa.Column("directory_bytes", BIG, nullable=False),
        sa.Column("directory_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("directory_key_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("length_key_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.dataset_id"], name=op.f("fk_part_dataset_id")),
        sa.PrimaryKeyConstraint("part_id", name=op.f("pk_part")),
    )
    with op.batch_alter_table("part", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_part_dataset_id"), ["dataset_id"], unique=False)

    op.create_table(
        "reference",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subject_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=True),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.subject_id"], name=op.f("fk_reference_subject_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_reference")),
    )
    with op.batch_alter_table("reference", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reference_subject_id"), ["subject_id"], unique=False)

    op.create_table(
        "request",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("submitted_by", sa.Text(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.dataset_id"], name=op.f("fk_request_dataset_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.project_id"], name=op.f("fk_request_project_id")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_request")),
    )
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_request_project_id"), ["project_id"], unique=False)

    op.create_table(
        "ruling",
        sa.Column("ruling_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("allows", sa.Boolean(), nullable=False),
        sa.Column("ruled_by", sa.Text(), nullable=False),
        sa.Column("ruled", BIG, nullable=False),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("confirmed", BIG, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.project_id"], name=op.f("fk_ruling_project_id")),
        sa.PrimaryKeyConstraint("ruling_id", name=op.f("pk_ruling")),
    )
    with op.batch_alter_table("ruling", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ruling_project_id"), ["project_id"], unique=False)

    op.create_table(
        "chunk",
        sa.Column("part_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("ordinal", BIG, nullable=False),
        sa.Column("n_sites", BIG, nullable=False),
        sa.Column("table_version", BIG, nullable=False),
        sa.Column("table_object", sa.Text(), nullable=False),
        sa.Column("table_bytes", BIG, nullable=False),
        sa.Column("table_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("table_key_id", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["part.part_id"], name=op.f("fk_chunk_part_id")),
        sa.PrimaryKeyConstraint("part_id", "ordinal", name=op.f("pk_chunk")),
    )
    op.create_table(
        "container",
        sa.Column("container_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("part_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("chunk", BIG, nullable=False),
        sa.Column("group_no", BIG, nullable=False),
        sa.Column("n_slots", BIG, nullable=False),
        sa.Column("nonce", sa.LargeBinary(length=8), nullable=False),
        sa.Column("header_bytes", BIG, nullable=False),
        sa.Column("total_bytes", BIG, nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["part.part_id"], name=op.f("fk_container_part_id")),
        sa.PrimaryKeyConstraint("container_id", name=op.f("pk_container")),
    )
    with op.batch_alter_table("container", schema=None) as batch_op:
        batch_op.create_index("ix_container_place", ["part_id", "chunk", "group_no"], unique=True)

    op.create_table(
        "erasing_chunk",
        sa.Column("job_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("part_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("ordinal", BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("old_object", sa.Text(), nullable=True),
        sa.Column("old_key_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("new_object", sa.Text(), nullable=True),
        sa.Column("new_key_id", sa.LargeBinary(length=16), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_erasing_chunk_job_id")),
        sa.ForeignKeyConstraint(["part_id"], ["part.part_id"], name=op.f("fk_erasing_chunk_part_id")),
        sa.PrimaryKeyConstraint("job_id", "part_id", "ordinal", name=op.f("pk_erasing_chunk")),
    )
    op.create_table(
        "panel_build",
        sa.Column("build_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("panel_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("part_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("table_versions", BIG, nullable=False),
        sa.Column("n_sites", BIG, nullable=False),
        sa.Column("total_bytes", BIG, nullable=False),
        sa.Column("table_object", sa.Text(), nullable=False),
        sa.Column("table_bytes", BIG, nullable=False),
        sa.Column("table_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("table_key_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("length_key_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.ForeignKeyConstraint(["panel_id"], ["panel.panel_id"], name=op.f("fk_panel_build_panel_id")),
        sa.ForeignKeyConstraint(["part_id"], ["part.part_id"], name=op.f("fk_panel_build_part_id")),
        sa.PrimaryKeyConstraint("build_id", name=op.f("pk_panel_build")),
    )
    with op.batch_alter_table("panel_build", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_panel_build_part_id"), ["part_id"], unique=False)
        batch_op.create_index("ix_panel_build_place", ["panel_id", "part_id"], unique=True)

    op.create_table(
        "part_member",
        sa.Column("part_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("group_no", BIG, nullable=False),
        sa.Column("slot", BIG, nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["part.part_id"], name=op.f("fk_part_member_part_id")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.subject_id"], name=op.f("fk_part_member_subject_id")),
        sa.PrimaryKeyConstraint("part_id", "subject_id", name=op.f("pk_part_member")),
    )
    with op.batch_alter_table("part_member", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_part_member_subject_id"), ["subject_id"], unique=False)

    op.create_table(
        "release",
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("intent_event", sa.Text(), nullable=False),
        sa.Column("outcome_index", BIG, nullable=True),
        sa.Column("manifest_sha256", sa.LargeBinary(length=32), nullable=True),
        sa.Column("subject_set", sa.LargeBinary(length=32), nullable=False),
        sa.Column("n_subjects", BIG, nullable=False),
        sa.Column("n_sites", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.project_id"], name=op.f("fk_release_project_id")),
        sa.ForeignKeyConstraint(["request_id"], ["request.request_id"], name=op.f("fk_release_request_id")),
        sa.PrimaryKeyConstraint("release_id", name=op.f("pk_release")),
    )
    with op.batch_alter_table("release", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_release_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_release_request_id"), ["request_id"], unique=False)

    op.create_table(
        "panel_container",
        sa.Column("container_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("build_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("group_no", BIG, nullable=False),
        sa.Column("n_slots", BIG, nullable=False),
        sa.Column("nonce", sa.LargeBinary(length=8), nullable=False),
        sa.Column("header_bytes", BIG, nullable=False),
        sa.Column("total_bytes", BIG, nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["panel_build.build_id"], name=op.f("fk_panel_container_build_id")),
        sa.PrimaryKeyConstraint("container_id", name=op.f("pk_panel_container")),
    )
    with op.batch_alter_table("panel_container", schema=None) as batch_op:
        batch_op.create_index("ix_panel_container_place", ["build_id", "group_no"], unique=True)

    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(sa.DDL(statement))  # type: ignore[no-untyped-call] # untyped in SQLAlchemy


def downgrade() -> None:
    """Drop every table."""
    with op.batch_alter_table("panel_container", schema=None) as batch_op:
        batch_op.drop_index("ix_panel_container_place")

    op.drop_table("panel_container")
    with op.batch_alter_table("release", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_release_request_id"))
        batch_op.drop_index(batch_op.f("ix_release_project_id"))

    op.drop_table("release")
    with op.batch_alter_table("part_member", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_part_member_subject_id"))

    op.drop_table("part_member")
    with op.batch_alter_table("panel_build", schema=None) as batch_op:
        batch_op.drop_index("ix_panel_build_place")
        batch_op.drop_index(batch_op.f("ix_panel_build_part_id"))

    op.drop_table("panel_build")
    op.drop_table("erasing_chunk")
    with op.batch_alter_table("container", schema=None) as batch_op:
        batch_op.drop_index("ix_container_place")

    op.drop_table("container")
    op.drop_table("chunk")
    with op.batch_alter_table("ruling", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ruling_project_id"))

    op.drop_table("ruling")
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_request_project_id"))

    op.drop_table("request")
    with op.batch_alter_table("reference", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reference_subject_id"))

    op.drop_table("reference")
    with op.batch_alter_table("part", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_part_dataset_id"))

    op.drop_table("part")
    with op.batch_alter_table("panel", schema=None) as batch_op:
        batch_op.drop_index("ix_panel_name_version")

    op.drop_table("panel")
    op.drop_table("identity")
    with op.batch_alter_table("consent_private", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consent_private_subject_id"))

    op.drop_table("consent_private")
    op.drop_table("vault")
    op.drop_table("subject")
    op.drop_table("reference_document")
    op.drop_table("project")
    op.drop_table("principal")
    op.drop_table("lease")
    op.drop_table("key_backup")
    op.drop_table("job")
    op.drop_table("erasure")
    op.drop_table("dataset")
    op.drop_table("consent_said")
    op.drop_table("consent_form")
    op.drop_table("consent_batch")
    op.drop_table("audit_token")
    op.drop_table("audit_tile")
    with op.batch_alter_table("audit_set_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_set_token_set_id"))

    op.drop_table("audit_set_token")
    op.drop_table("audit_set_leaf")
    op.drop_table("audit_set")
    op.drop_table("audit_session")
    op.drop_table("audit_origin")
    op.drop_table("audit_leaf")
    op.drop_table("audit_head")
    op.drop_table("audit_detail")
    op.drop_table("audit_closing")
    op.drop_table("audit_checkpoint")
