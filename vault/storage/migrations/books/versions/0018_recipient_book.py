"""Recipients of extracts and their keys."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """The book is empty at first."""
    op.create_table(
        "recipient",
        sa.Column("recipient_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("public", sa.LargeBinary(length=32), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added", BIG, nullable=False),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("confirmed", BIG, nullable=True),
        sa.Column("self_confirmed", sa.Boolean(), nullable=False),
        sa.Column("retired", BIG, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("recipient_id", name=op.f("pk_recipient")),
    )


def downgrade() -> None:
    """Forget recipients; nothing can be sealed to them any more."""
    op.drop_table("recipient")
