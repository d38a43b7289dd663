"""Holdings of engines, and records that recipients have to drop."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Views of before are found in the book of releases."""
    op.create_table(
        "holding",
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("panel_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("names", BIG, autoincrement=False, nullable=False),
        sa.Column("subject_set", sa.LargeBinary(length=32), nullable=False),
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["panel_id"], ["panel.panel_id"], name=op.f("fk_holding_panel_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.project_id"], name=op.f("fk_holding_project_id")),
        sa.PrimaryKeyConstraint("project_id", "holder", "panel_id", "names", "subject_set", name=op.f("pk_holding")),
    )
    op.create_table(
        "notice",
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("opened_event", sa.Text(), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.Column("due", BIG, nullable=False),
        sa.Column("issued", BIG, nullable=True),
        sa.Column("late", BIG, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.project_id"], name=op.f("fk_notice_project_id")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_notice")),
    )
    op.create_index(op.f("ix_notice_project_id"), "notice", ["project_id"])
    op.create_index(op.f("ix_notice_ref"), "notice", ["ref"])


def downgrade() -> None:
    """The book of releases tells what was viewed; notices are told by the log alone."""
    op.drop_table("notice")
    op.drop_table("holding")
