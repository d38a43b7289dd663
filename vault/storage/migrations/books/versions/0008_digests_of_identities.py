"""Digests over people's identities, 256 for all."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CONTEXT = b"\x00\x13genovault/people/v1\x00\x08"  # as ``people_digests`` had it when this was written


def upgrade() -> None:
    """Digest the identities as they are: a vault of before is looked over when it is upgraded as a whole."""
    op.create_table(
        "people_digest",
        sa.Column("bucket", BIG, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_people_digest")),
    )
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT subject_id, version, sealed FROM identity ORDER BY subject_id"))
    listed: dict[int, bytearray] = {}
    for subject, version, sealed in rows:
        listed.setdefault(bytes(subject)[0], bytearray()).extend(
            bytes(subject) + version.to_bytes(8, "big") + hashlib.sha256(bytes(sealed)).digest()
        )
    for bucket, content in listed.items():
        digest = hashlib.sha256(CONTEXT + bucket.to_bytes(8, "big") + bytes(content)).digest()
        insert = sa.text("INSERT INTO people_digest (bucket, digest) VALUES (:bucket, :digest)")
        connection.execute(insert, {"bucket": bucket, "digest": digest})


def downgrade() -> None:
    """Forget them."""
    op.drop_table("people_digest")
