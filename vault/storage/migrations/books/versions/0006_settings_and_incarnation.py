"""The books know vault.json, and which incarnation of the vault they are."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = (("settings", sa.Text()), ("incarnation", sa.LargeBinary(16)))


def upgrade() -> None:
    """Make room; a vault of before has neither until it is upgraded as a whole."""
    for name, kind in COLUMNS:
        op.add_column("vault", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """Forget both."""
    for name, _ in reversed(COLUMNS):
        op.drop_column("vault", name)
