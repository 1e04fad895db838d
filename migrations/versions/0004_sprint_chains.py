"""sprint chains"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "sprint_chain",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("workflow_id", sa.String(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("github_repo_url", sa.String(), nullable=False),
        sa.Column("repository_slug", sa.String(), nullable=False),
        sa.Column("branch_name", sa.String(), nullable=True),
        sa.Column("sprint_start", sa.Integer(), nullable=False),
        sa.Column("sprint_end", sa.Integer(), nullable=False),
        sa.Column("current_sprint_index", sa.Integer(), nullable=False),
        sa.Column("resume_from_sprint", sa.Integer(), nullable=True),
        sa.Column("sprint_pr_urls", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sprint_run_ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.ForeignKeyConstraint(
            ["workflow_id"],
            ["blueprint.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_sprint_chain_project_id"), "sprint_chain", ["project_id"], unique=False)
    op.create_index(op.f("ix_sprint_chain_workflow_id"), "sprint_chain", ["workflow_id"], unique=False)
    op.create_index(
        "sprint_chain_newest_first",
        "sprint_chain",
        ["project_id", "id"],
        unique=False,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_index(
        "sprint_chain_pending",
        "sprint_chain",
        ["status"],
        unique=False,
        postgresql_where="status = 'pending'",
    )


def downgrade() -> None:
    op.drop_index("sprint_chain_pending", table_name="sprint_chain", postgresql_where="status = 'pending'")
    op.drop_index(
        "sprint_chain_newest_first", table_name="sprint_chain", postgresql_where="deleted_at IS NULL"
    )
    op.drop_index(op.f("ix_sprint_chain_workflow_id"), table_name="sprint_chain")
    op.drop_index(op.f("ix_sprint_chain_project_id"), table_name="sprint_chain")
    op.drop_table("sprint_chain")
