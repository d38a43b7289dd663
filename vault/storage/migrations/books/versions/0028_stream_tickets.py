"""Tickets of streams."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0026"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """No stream was given before."""
    op.create_table(
        "stream_ticket",
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("accessor", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("ticket", name=op.f("pk_stream_ticket")),
    )


def downgrade() -> None:
    """Whoever holds a ticket asks for another one."""
    op.drop_table("stream_ticket")
