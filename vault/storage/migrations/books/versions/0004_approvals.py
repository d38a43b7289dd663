"""Approvals are signed by the key of whoever gives them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make room; what was approved before is carried over when the vault is upgraded as a whole."""
    op.create_table(
        "approval",
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref", sa.LargeBinary(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(32), nullable=False),
        sa.Column("signed", BIG, nullable=False),
        sa.Column("carried_by", sa.Text(), nullable=True),
        sa.Column("signer", sa.LargeBinary(32), nullable=False),
        sa.Column("signature", sa.LargeBinary(64), nullable=False),
        sa.PrimaryKeyConstraint("act", "kind", "ref", "principal", name=op.f("pk_approval")),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("approval")
