"""merge jobs"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "github_delivery",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_github_delivery_received_at"), "github_delivery", ["received_at"], unique=False)
    op.create_table(
        "merge_job",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("github_repo_url", sa.String(), nullable=False),
        sa.Column("repository_slug", sa.String(), nullable=False),
        sa.Column("branch_name", sa.String(), nullable=True),
        sa.Column("base_sha", sa.String(), nullable=True),
        sa.Column("current_step_label", sa.String(), nullable=True),
        sa.Column("current_step_progress", sa.String(), nullable=True),
        sa.Column("last_progress_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cost_usd", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_read_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_write_tokens", sa.Integer(), nullable=False),
        sa.Column("descriptions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("integrated_sha", sa.String(), nullable=True),
        sa.Column("pull_requests", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("base_branch", sa.String(), nullable=True),
        sa.Column("pr_url", sa.String(), nullable=True),
        sa.Column("conflicts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("merge_strategy", sa.String(40), nullable=False),
        sa.Column("skip_ci_check", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("head_sha", sa.String(), nullable=True),
        sa.Column("merge_sha", sa.String(), nullable=True),
        sa.Column("waiting", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.ForeignKeyConstraint(
            ["requested_by"],
            ["member.id"],
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_merge_job_project_id"), "merge_job", ["project_id"], unique=False)
    op.create_index(
        "merge_job_by_head_sha",
        "merge_job",
        ["head_sha"],
        unique=False,
        postgresql_where="status IN ('pending', 'running')",
    )
    op.create_index(
        "merge_job_newest_first",
        "merge_job",
        ["project_id", "id"],
        unique=False,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_index(
        "merge_job_one_a_run",
        "merge_job",
        ["run_id"],
        unique=True,
        postgresql_where="status IN ('pending', 'running')",
    )
    op.create_index(
        "merge_job_pending", "merge_job", ["status"], unique=False, postgresql_where="status = 'pending'"
    )
    op.create_index(
        "run_by_head_sha", "run", ["head_sha"], unique=False, postgresql_where="head_sha IS NOT NULL"
    )
    op.create_index(
        "run_by_pull_request", "run", ["pr_number"], unique=False, postgresql_where="pr_number IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_index("run_by_pull_request", table_name="run", postgresql_where="pr_number IS NOT NULL")
    op.drop_index("run_by_head_sha", table_name="run", postgresql_where="head_sha IS NOT NULL")
    op.drop_index("merge_job_pending", table_name="merge_job", postgresql_where="status = 'pending'")
    op.drop_index(
        "merge_job_one_a_run", table_name="merge_job", postgresql_where="status IN ('pending', 'running')"
    )
    op.drop_index("merge_job_newest_first", table_name="merge_job", postgresql_where="deleted_at IS NULL")
    op.drop_index(
        "merge_job_by_head_sha", table_name="merge_job", postgresql_where="status IN ('pending', 'running')"
    )
    op.drop_index(op.f("ix_merge_job_project_id"), table_name="merge_job")
    op.drop_table("merge_job")
    op.drop_index(op.f("ix_github_delivery_received_at"), table_name="github_delivery")
    op.drop_table("github_delivery")
