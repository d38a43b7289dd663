"""Batches of the consent ledger say which format they are of, and the vault which time zone its days are of."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Mark what is there as format 1; a day meant UTC."""
    op.add_column("consent_batch", sa.Column("format", BIG, nullable=False, server_default="1"))
    op.add_column("vault", sa.Column("time_zone", sa.Text(), nullable=False, server_default="UTC"))


def downgrade() -> None:
    """Forget both."""
    op.drop_column("vault", "time_zone")
    op.drop_column("consent_batch", "format")
