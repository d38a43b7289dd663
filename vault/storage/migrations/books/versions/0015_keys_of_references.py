"""References are under several keys: each row says which version of the index key its digest is made with."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """All references of before are under the one key that there was."""
    op.add_column("reference", sa.Column("key_version", BIG, nullable=False, server_default="1"))
    op.execute("UPDATE reference SET key_version = (SELECT reference_version FROM vault)")
    op.create_index(op.f("ix_reference_key_version"), "reference", ["key_version"])


def downgrade() -> None:
    """Only the newest key's are found then."""
    op.drop_index(op.f("ix_reference_key_version"), "reference")
    op.drop_column("reference", "key_version")
