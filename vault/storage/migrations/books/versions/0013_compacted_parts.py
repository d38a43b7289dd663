"""Parts of one person each may be joined in a part of several people; what was joined stays listed, and its objects a while."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was joined before."""
    op.add_column("part", sa.Column("compacted", sa.Text(), nullable=True))
    op.add_column("personal_part", sa.Column("joined", sa.LargeBinary(length=16), nullable=True))
    op.add_column("lease", sa.Column("retired", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Forget which parts were joined: those that are in a compacted part read as before, as of one import."""
    op.drop_column("lease", "retired")
    op.drop_column("personal_part", "joined")
    op.drop_column("part", "compacted")
