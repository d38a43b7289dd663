"""Access tokens that are bound to a certificate, or to networks."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tokens of before are bound to nothing."""
    op.add_column("access_token", sa.Column("sealed", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Whoever has a token may show it from anywhere."""
    op.drop_column("access_token", "sealed")
