"""Parts have carrier counts, so that an erasure opens nobody else's blocks."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Parts of before have none until they are counted."""
    op.add_column("part", sa.Column("counts_object", sa.Text(), nullable=True))
    op.add_column("part", sa.Column("counts_bytes", BIG, nullable=True))
    op.add_column("part", sa.Column("counts_sha256", sa.LargeBinary(length=32), nullable=True))
    op.add_column("part", sa.Column("counts_key_id", sa.LargeBinary(length=16), nullable=True))


def downgrade() -> None:
    """Forget them; whoever was counted stays readable by their own blocks."""
    for column in ("counts_key_id", "counts_sha256", "counts_bytes", "counts_object"):
        op.drop_column("part", column)
