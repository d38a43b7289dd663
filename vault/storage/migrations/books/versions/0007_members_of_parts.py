"""The digest of a part's members stands in the part's record."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

CONTEXT = b"\x00\x19genovault/part-members/v1\x00\x10"  # as ``part_members`` had it when this was written


def upgrade() -> None:
    """Digest the members as they are: a vault of before is looked over when it is upgraded as a whole."""
    op.add_column("part", sa.Column("members_sha256", sa.LargeBinary(32), nullable=False, server_default="-"))
    connection = op.get_bind()
    members = sa.text("SELECT subject_id FROM part_member WHERE part_id = :part ORDER BY subject_id")
    for part in connection.execute(sa.text("SELECT part_id FROM part")).scalars().all():
        listed = b"".join(map(bytes, connection.execute(members, {"part": part}).scalars()))
        digest = hashlib.sha256(CONTEXT + bytes(part) + listed).digest()
        connection.execute(
            sa.text("UPDATE part SET members_sha256 = :digest WHERE part_id = :part"), {"digest": digest, "part": part}
        )


def downgrade() -> None:
    """Forget it."""
    op.drop_column("part", "members_sha256")
