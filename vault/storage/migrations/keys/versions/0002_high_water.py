"""Known extent of the books."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make room for the marks."""
    op.create_table(
        "high_water",
        sa.Column("id", BIG, nullable=False),
        sa.Column("marks", sa.Text(), nullable=False),
        sa.Column("epoch", BIG, nullable=False),
        sa.Column("mac", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_high_water")),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("high_water")
