"""Extracts that were asked for over the wire, which a process that ends does not lose."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Extracts that waited in a server of before were lost with it."""
    op.create_table(
        "extract_order",
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("release_id", name=op.f("pk_extract_order")),
    )


def downgrade() -> None:
    """They are asked for again."""
    op.drop_table("extract_order")
