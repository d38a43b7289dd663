"""Parts keep the digest of the files that they came from, so that the same batch is known again."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Parts of before say nothing."""
    op.add_column("part", sa.Column("source", sa.Text(), nullable=True))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("part", "source")
