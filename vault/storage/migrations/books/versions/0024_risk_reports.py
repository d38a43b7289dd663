"""The last risk report of each request."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Reports of before were kept nowhere."""
    op.create_table(
        "risk_report",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("made", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_risk_report")),
    )
    op.create_index(op.f("ix_risk_report_dataset_id"), "risk_report", ["dataset_id"])


def downgrade() -> None:
    """A report is made anew."""
    op.drop_table("risk_report")
