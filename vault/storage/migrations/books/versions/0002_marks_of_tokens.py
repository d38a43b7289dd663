"""The log finds a token by a short mark of it, a set by its first member and its digest, and the set of an entry."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AT_ONCE = 10_000  # tokens read and marked at a time

LEADS = (
    "UPDATE audit_set SET lead = coalesce((SELECT m.token_id FROM audit_set_token AS m "
    "JOIN audit_token AS t ON t.token_id = m.token_id WHERE m.set_id = audit_set.set_id ORDER BY t.token{} LIMIT 1), 0)"
)
"""The first member of each set in byte order; 0 for a set that somebody took every member from, which verification names."""


def upgrade() -> None:
    """Add what is looked up, and fill it in from what is there."""
    with _unguarded("audit_token"):
        with op.batch_alter_table("audit_token") as batch:
            batch.add_column(sa.Column("mark", BIG, nullable=True))
        _mark_tokens()
        with op.batch_alter_table("audit_token") as batch:
            batch.alter_column("mark", existing_type=BIG, nullable=False)
            batch.drop_constraint(op.f("uq_audit_token_token"), type_="unique")
            batch.create_index(op.f("ix_audit_token_mark"), ["mark"], unique=False)
    with _unguarded("audit_set"):
        with op.batch_alter_table("audit_set") as batch:
            batch.add_column(sa.Column("lead", BIG, nullable=True))
        op.execute(LEADS.format(' COLLATE "C"' if _dialect() == "postgresql" else ""))
        with op.batch_alter_table("audit_set") as batch:
            batch.alter_column("lead", existing_type=BIG, nullable=False)
            batch.drop_constraint(op.f("uq_audit_set_digest"), type_="unique")
            batch.create_unique_constraint(op.f("uq_audit_set_lead_digest"), ["lead", "digest"])
    op.create_index(op.f("ix_audit_set_leaf_idx"), "audit_set_leaf", ["idx"], unique=False)


def downgrade() -> None:
    """Look tokens and sets up by the whole of them again."""
    op.drop_index(op.f("ix_audit_set_leaf_idx"), table_name="audit_set_leaf")
    with _unguarded("audit_set"), op.batch_alter_table("audit_set") as batch:
        batch.drop_constraint(op.f("uq_audit_set_lead_digest"), type_="unique")
        batch.create_unique_constraint(op.f("uq_audit_set_digest"), ["digest"])
        batch.drop_column("lead")
    with _unguarded("audit_token"), op.batch_alter_table("audit_token") as batch:
        batch.drop_index(op.f("ix_audit_token_mark"))
        batch.create_unique_constraint(op.f("uq_audit_token_token"), ["token"])
        batch.drop_column("mark")


def _mark_tokens() -> None:
    connection, last = op.get_bind(), -1
    page = sa.text("SELECT token_id, token FROM audit_token WHERE token_id > :last ORDER BY token_id LIMIT :most")
    while rows := connection.execute(page, {"last": last, "most": AT_ONCE}).all():
        marks = [{"id": number, "mark": int(token[-8:], 16) >> 1} for number, token in rows]
        connection.execute(sa.text("UPDATE audit_token SET mark = :mark WHERE token_id = :id"), marks)
        last = rows[-1].token_id


@contextmanager
def _unguarded(table: str) -> Iterator[None]:
    """Work on a table that is written once, and guard it again: SQLite makes a new one, which has no triggers."""
    if _dialect() == "postgresql":
        op.execute(f"DROP TRIGGER IF EXISTS {table}_written_once ON {table}")
        yield
        op.execute(
            f"CREATE TRIGGER {table}_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()"
        )
        return
    for verb in ("update", "delete"):
        op.execute(f"DROP TRIGGER IF EXISTS {table}_no_{verb}")
    yield
    for verb in ("update", "delete"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is written once'); END"
        )


def _dialect() -> str:
    return op.get_context().dialect.name
