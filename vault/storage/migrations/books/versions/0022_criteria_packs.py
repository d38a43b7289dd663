"""Packs of criteria that may be asked of genotypes in place."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Nothing was matched in place before."""
    op.create_table(
        "criteria_pack",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", BIG, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("panel_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added", BIG, nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=True),
        sa.Column("proposed", BIG, nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved", BIG, nullable=True),
        sa.Column("retired", BIG, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_criteria_pack")),
    )


def downgrade() -> None:
    """Approvals are then told by the log alone."""
    op.drop_table("criteria_pack")
