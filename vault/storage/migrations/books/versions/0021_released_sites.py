"""Sites that left to each organisation."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Releases of before are in no account."""
    op.create_table(
        "released_sites",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("number", BIG, autoincrement=False, nullable=False),
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("n_sites", BIG, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "number", name=op.f("pk_released_sites")),
    )


def downgrade() -> None:
    """Releases are then in no account."""
    op.drop_table("released_sites")
