"""learnings and their versions"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "learning",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=True),
        sa.Column("correct_behavior", sa.String(), nullable=True),
        sa.Column("severity", sa.String(40), nullable=False),
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("applicable_roles", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("sandbox_id", sa.String(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["sandbox_id"], ["sandbox.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "learning_newest_first", "learning", ["project_id", "id"], postgresql_where="deleted_at IS NULL"
    )
    op.create_index(
        "learning_approved",
        "learning",
        ["project_id"],
        postgresql_where="status = 'approved' AND deleted_at IS NULL",
    )
    for name in ("project_id", "run_id", "sandbox_id"):
        op.create_index(op.f(f"ix_learning_{name}"), "learning", [name])
    op.create_table(
        "learning_occurrence",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("learning_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("sandbox_id", sa.String(), nullable=True),
        sa.Column("source_key", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["learning_id"], ["learning.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["sandbox_id"], ["sandbox.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "learning_occurrence_once_a_run", "learning_occurrence", ["learning_id", "run_id"], unique=True
    )
    op.create_index("learning_occurrence_by_source_key", "learning_occurrence", ["source_key"], unique=True)
    for name in ("run_id", "sandbox_id"):
        op.create_index(op.f(f"ix_learning_occurrence_{name}"), "learning_occurrence", [name])
    op.create_table(
        "learning_version",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("learnings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("learning_count", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "version"),
    )
    op.create_index(op.f("ix_learning_version_project_id"), "learning_version", ["project_id"])
    op.create_index(
        "learning_version_active",
        "learning_version",
        ["project_id"],
        unique=True,
        postgresql_where="is_active",
    )
    op.create_table(
        "learning_extraction",
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
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("thinking_effort", sa.String(40), nullable=False),
        sa.Column("instructions", sa.String(), nullable=True),
        sa.Column("max_cost_usd", sa.Numeric(precision=16, scale=8), nullable=True),
        sa.Column("found_count", sa.Integer(), nullable=False),
        sa.Column("merged_count", sa.Integer(), nullable=False),
        sa.Column("summary", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_learning_extraction_project_id"), "learning_extraction", ["project_id"])
    op.create_index("learning_extraction_once_a_run", "learning_extraction", ["run_id"], unique=True)
    op.create_index(
        "learning_extraction_unfinished",
        "learning_extraction",
        ["status"],
        postgresql_where="status IN ('pending', 'running')",
    )
    op.alter_column("agent_session", "sandbox_id", existing_type=sa.String(), nullable=True)


def downgrade() -> None:
    # Sessions without a sandbox are of extractions, which go with their table.
    op.execute("DELETE FROM agent_session WHERE sandbox_id IS NULL")
    op.alter_column("agent_session", "sandbox_id", existing_type=sa.String(), nullable=False)
    op.drop_table("learning_extraction")
    op.drop_table("learning_version")
    op.drop_table("learning_occurrence")
    op.drop_table("learning")
