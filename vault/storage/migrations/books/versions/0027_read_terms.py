"""Terms of guarded reads, which leave no release."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0028"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Each view of a panel was a release of its own before."""
    op.create_table(
        "read_terms",
        sa.Column("terms_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("panel_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("names", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["panel_id"], ["panel.panel_id"], name=op.f("fk_read_terms_panel_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.project_id"], name=op.f("fk_read_terms_project_id")),
        sa.PrimaryKeyConstraint("terms_id", name=op.f("pk_read_terms")),
    )


def downgrade() -> None:
    """Reads are then told by the log alone."""
    op.drop_table("read_terms")
