"""Parts of one person are one object under that person's keys; datasets say what counts as assayed in them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Parts of before stay as they are."""
    op.add_column("dataset", sa.Column("contigs", sa.Text(), nullable=True))
    op.add_column("dataset", sa.Column("assay_rule", sa.Text(), nullable=True))
    op.create_table(
        "personal_part",
        sa.Column("part_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("ordinal", BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("n_sites", BIG, nullable=False),
        sa.Column("has_track", sa.Boolean(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("total_bytes", BIG, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("index_bytes", BIG, nullable=False),
        sa.Column("assayed", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("created", BIG, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.dataset_id"], name=op.f("fk_personal_part_dataset_id_dataset")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.subject_id"], name=op.f("fk_personal_part_subject_id_subject")),
        sa.PrimaryKeyConstraint("part_id", name=op.f("pk_personal_part")),
    )
    op.create_index(op.f("ix_personal_part_dataset_id"), "personal_part", ["dataset_id"])
    op.create_index(op.f("ix_personal_part_subject_id"), "personal_part", ["subject_id"])


def downgrade() -> None:
    """Forget personal parts: of people who have no other, nothing is left."""
    op.drop_table("personal_part")
    op.drop_column("dataset", "assay_rule")
    op.drop_column("dataset", "contigs")
