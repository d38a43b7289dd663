"""The places of people in parts are a layout's, which several parts of the same people share."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Each part of before has a layout of its own, named as the part is, so that digests of its members stay what they were."""
    op.create_table(
        "layout_member",
        sa.Column("layout_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("group_no", BIG, nullable=False),
        sa.Column("slot", BIG, nullable=False),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.subject_id"], name=op.f("fk_layout_member_subject_id")),
        sa.PrimaryKeyConstraint("layout_id", "subject_id", name=op.f("pk_layout_member")),
    )
    op.create_index(op.f("ix_layout_member_subject_id"), "layout_member", ["subject_id"])
    op.execute(
        "INSERT INTO layout_member (layout_id, subject_id, group_no, slot) "
        "SELECT part_id, subject_id, group_no, slot FROM part_member ORDER BY part_id, subject_id"
    )
    op.drop_table("part_member")
    op.add_column("part", sa.Column("layout_id", sa.LargeBinary(16), nullable=False, server_default="-"))
    op.execute("UPDATE part SET layout_id = part_id")


def downgrade() -> None:
    """Write the places anew for each part."""
    op.create_table(
        "part_member",
        sa.Column("part_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("group_no", BIG, nullable=False),
        sa.Column("slot", BIG, nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["part.part_id"], name=op.f("fk_part_member_part_id")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.subject_id"], name=op.f("fk_part_member_subject_id")),
        sa.PrimaryKeyConstraint("part_id", "subject_id", name=op.f("pk_part_member")),
    )
    op.create_index(op.f("ix_part_member_subject_id"), "part_member", ["subject_id"])
    op.execute(
        "INSERT INTO part_member (part_id, subject_id, group_no, slot) "
        "SELECT p.part_id, m.subject_id, m.group_no, m.slot FROM part p JOIN layout_member m ON m.layout_id = p.layout_id"
    )
    op.drop_table("layout_member")
    op.drop_column("part", "layout_id")
