"""work chains"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "work_chain",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("workflow_id", sa.String(), nullable=False),
        sa.Column("github_repo_url", sa.String(), nullable=False),
        sa.Column("repository_slug", sa.String(), nullable=False),
        sa.Column("branch_name", sa.String(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("issue_ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("issue_run_ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("issue_pr_urls", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("current_issue_index", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
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
    op.create_index(op.f("ix_work_chain_project_id"), "work_chain", ["project_id"], unique=False)
    op.create_index(op.f("ix_work_chain_workflow_id"), "work_chain", ["workflow_id"], unique=False)
    op.create_index(
        "work_chain_newest_first",
        "work_chain",
        ["project_id", "id"],
        unique=False,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_index(
        "work_chain_pending",
        "work_chain",
        ["status"],
        unique=False,
        postgresql_where="status = 'pending' AND asked_at IS NOT NULL",
    )


def downgrade() -> None:
    op.drop_index(
        "work_chain_pending",
        table_name="work_chain",
        postgresql_where="status = 'pending' AND asked_at IS NOT NULL",
    )
    op.drop_index("work_chain_newest_first", table_name="work_chain", postgresql_where="deleted_at IS NULL")
    op.drop_index(op.f("ix_work_chain_workflow_id"), table_name="work_chain")
    op.drop_index(op.f("ix_work_chain_project_id"), table_name="work_chain")
    op.drop_table("work_chain")
