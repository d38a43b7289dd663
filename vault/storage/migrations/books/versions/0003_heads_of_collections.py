"""Heads of collections: digested, signed and bound to the head of the log."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HEAD = (("state", sa.LargeBinary(32)), ("epoch", BIG), ("mac", sa.LargeBinary(32)))


def upgrade() -> None:
    """Make room; a vault of before has none of it until it is upgraded as a whole."""
    op.create_table(
        "collection_head",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("counter", BIG, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("listing", sa.LargeBinary(), nullable=False),
        sa.Column("listing_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("signer", sa.LargeBinary(32), nullable=False),
        sa.Column("signature", sa.LargeBinary(64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_collection_head")),
    )
    for name, kind in HEAD:  # SQLite adds a column without making the table anew, so its triggers stay
        op.add_column("audit_head", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """Forget what was signed."""
    for name, _ in reversed(HEAD):
        op.drop_column("audit_head", name)
    op.drop_table("collection_head")
