"""The first schema of the keys database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "branch_epoch",
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("epoch", BIG, nullable=False),
        sa.Column("wraps", BIG, nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.PrimaryKeyConstraint("branch", "epoch", name=op.f("pk_branch_epoch")),
    )
    op.create_table(
        "erased",
        sa.Column("erasure_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_erased")),
    )
    op.create_table(
        "subject_token",
        sa.Column("subject_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "version", name=op.f("pk_subject_token")),
        sa.UniqueConstraint("token", name=op.f("uq_subject_token_token")),
    )
    op.create_table(
        "wrapped_key",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("owner", sa.LargeBinary(length=16), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("key_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("epoch", BIG, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "owner", "version", name=op.f("pk_wrapped_key")),
        sa.UniqueConstraint("key_id", name=op.f("uq_wrapped_key_key_id")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("wrapped_key")
    op.drop_table("subject_token")
    op.drop_table("erased")
    op.drop_table("branch_epoch")
