"""Exact frequency tables, and the panels that are approved for them."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """No table was given before."""
    op.create_table(
        "table_approval",
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("panel_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("alleles", BIG, nullable=False),
        sa.Column("nats", BIG, nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=True),
        sa.Column("proposed", BIG, nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("approved", BIG, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "panel_id", name=op.f("pk_table_approval")),
    )
    op.create_table(
        "frequency_table",
        sa.Column("table_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("panel_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("made", BIG, nullable=False),
        sa.Column("gone", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("table_id", name=op.f("pk_frequency_table")),
    )


def downgrade() -> None:
    """Tables that were given are then in no book: the cohorts to come are not held against it."""
    op.drop_table("frequency_table")
    op.drop_table("table_approval")
