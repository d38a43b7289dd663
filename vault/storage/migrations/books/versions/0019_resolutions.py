"""Requests to be told whose a pseudonym is."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """There were none before."""
    op.create_table(
        "resolution",
        sa.Column("resolution_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("opened_event", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("opened", BIG, nullable=False),
        sa.Column("expires", BIG, nullable=False),
        sa.Column("signer", sa.LargeBinary(length=32), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved", BIG, nullable=True),
        sa.Column("approver", sa.LargeBinary(length=32), nullable=True),
        sa.Column("second_signature", sa.LargeBinary(length=64), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.project_id"], name=op.f("fk_resolution_project_id")),
        sa.PrimaryKeyConstraint("resolution_id", name=op.f("pk_resolution")),
    )


def downgrade() -> None:
    """The log tells what was asked."""
    op.drop_table("resolution")
