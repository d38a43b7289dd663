"""Decisions on linkage with an excluded place, kept."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """It was decided anew for each view before."""
    op.create_table(
        "linkage_decision",
        sa.Column("decision_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("made", BIG, nullable=False),
        sa.Column("gone", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_linkage_decision")),
    )


def downgrade() -> None:
    """It is then decided anew for each view."""
    op.drop_table("linkage_decision")
