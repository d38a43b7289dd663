"""Budgets of counts, and the answers that were drawn."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Nothing was counted before."""
    op.create_table(
        "budget",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("spent", BIG, nullable=False),
        sa.PrimaryKeyConstraint("scope", "owner", "dataset_id", name=op.f("pk_budget")),
    )
    op.create_table(
        "budget_family",
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("family", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", name=op.f("pk_budget_family")),
    )
    op.create_table(
        "budget_raise",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("number", BIG, autoincrement=False, nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("nats", BIG, nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=True),
        sa.Column("proposed", BIG, nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("approved", BIG, nullable=False),
        sa.PrimaryKeyConstraint("scope", "owner", "number", name=op.f("pk_budget_raise")),
    )
    op.create_table(
        "stored_answer",
        sa.Column("answer_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("drawn", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("answer_id", name=op.f("pk_stored_answer")),
    )
    op.create_index(op.f("ix_stored_answer_dataset_id"), "stored_answer", ["dataset_id"])


def downgrade() -> None:
    """Spending is then told by the log alone."""
    for table in ("stored_answer", "budget_raise", "budget_family", "budget"):
        op.drop_table(table)
