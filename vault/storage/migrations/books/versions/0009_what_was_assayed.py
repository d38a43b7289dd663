"""Parts say what was assayed, so that a panel shows it whoever carries it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Parts of before say nothing."""
    op.create_table(
        "assayed_places",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_assayed_places")),
    )
    op.add_column("part", sa.Column("assayed", sa.Text(), nullable=True))


def downgrade() -> None:
    """Forget what was declared."""
    op.drop_column("part", "assayed")
    op.drop_table("assayed_places")
