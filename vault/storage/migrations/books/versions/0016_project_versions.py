"""A project's declaration has versions: those proposed, replaced, taken back and superseded beside the one that the project has."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Every project has the first version of its declaration."""
    op.add_column("project", sa.Column("declared_version", BIG, nullable=False, server_default="1"))
    op.create_table(
        "project_version",
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("declaration_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved", BIG, nullable=True),
        sa.Column("self_approved", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.project_id"], name=op.f("fk_project_version_project_id_project")),
        sa.PrimaryKeyConstraint("project_id", "version", name=op.f("pk_project_version")),
    )


def downgrade() -> None:
    """Forget versions that no project has."""
    op.drop_table("project_version")
    op.drop_column("project", "declared_version")
