"""answering sessions"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "answering_session",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("github_repo_url", sa.String(), nullable=False),
        sa.Column("repository_slug", sa.String(), nullable=False),
        sa.Column("branch_name", sa.String(), nullable=True),
        sa.Column("base_branch", sa.String(), nullable=True),
        sa.Column("base_sha", sa.String(), nullable=True),
        sa.Column("current_step_label", sa.String(), nullable=True),
        sa.Column("current_step_progress", sa.String(), nullable=True),
        sa.Column("last_progress_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waiting", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("cost_usd", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_read_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_write_tokens", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issue_session_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("question_count", sa.Integer(), nullable=False),
        sa.Column("reviewed_count", sa.Integer(), nullable=False),
        sa.Column("time_limit_seconds", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "answering_session_newest_first",
        "answering_session",
        ["project_id", "id"],
        unique=False,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_index(
        "answering_session_one_at_a_time",
        "answering_session",
        ["issue_session_id"],
        unique=True,
        postgresql_where="status IN ('pending', 'active', 'reviewed')",
    )
    op.create_index(
        "answering_session_pending",
        "answering_session",
        ["status"],
        unique=False,
        postgresql_where="status = 'pending'",
    )
    op.create_index(
        op.f("ix_answering_session_issue_session_id"), "answering_session", ["issue_session_id"], unique=False
    )
    op.create_index(
        op.f("ix_answering_session_project_id"), "answering_session", ["project_id"], unique=False
    )
    op.create_table(
        "session_question",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answering_session_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("assumption", sa.String(), nullable=False),
        sa.Column("correction", sa.String(), nullable=True),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewed_by", sa.String(), nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["answering_session_id"], ["answering_session.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("answering_session_id", "number"),
    )
    op.create_index(op.f("ix_session_question_project_id"), "session_question", ["project_id"], unique=False)
    op.add_column("issue", sa.Column("answers", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("issue", "answers")
    op.drop_index(op.f("ix_session_question_project_id"), table_name="session_question")
    op.drop_table("session_question")
    op.drop_index(op.f("ix_answering_session_project_id"), table_name="answering_session")
    op.drop_index(op.f("ix_answering_session_issue_session_id"), table_name="answering_session")
    op.drop_index(
        "answering_session_pending", table_name="answering_session", postgresql_where="status = 'pending'"
    )
    op.drop_index(
        "answering_session_one_at_a_time",
        table_name="answering_session",
        postgresql_where="status IN ('pending', 'active', 'reviewed')",
    )
    op.drop_index(
        "answering_session_newest_first",
        table_name="answering_session",
        postgresql_where="deleted_at IS NULL",
    )
    op.drop_table("answering_session")
