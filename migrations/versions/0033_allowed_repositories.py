"""the repositories that a project may work on with the server's own access to GitHub"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.create_table(
        "allowed_repository",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("pattern", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "pattern"),
    )
    # Where there is one project, it goes on as before: nobody else was served.
    op.execute(
        """
        INSERT INTO allowed_repository (project_id, pattern, created_at)
        SELECT id, '*', now() FROM project
        WHERE deleted_at IS NULL AND (SELECT count(*) FROM project WHERE deleted_at IS NULL) = 1
        """
    )


def downgrade() -> None:
    op.drop_table("allowed_repository")
