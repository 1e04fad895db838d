"""the main job"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "cost_rate",
        sa.Column("model_prefix", sa.String(), nullable=False),
        sa.Column("input", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("cache_write_5m", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("cache_write_1h", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("cache_read", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("output", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model_prefix"),
    )
    op.create_table(
        "effect",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index(op.f("ix_effect_subject_id"), "effect", ["subject_id"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("event_subject_seq", "event", ["subject_id", "seq"], unique=True)
    op.create_table(
        "idempotency_record",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "key"),
    )
    op.create_index(
        op.f("ix_idempotency_record_created_at"), "idempotency_record", ["created_at"], unique=False
    )
    op.create_table(
        "notification",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("member_id", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dismissed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("notification_newest_first", "notification", ["member_id", "id"], unique=False)
    op.create_index("notification_once", "notification", ["event_id", "member_id", "type"], unique=True)
    op.create_table(
        "pacing",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "project",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("github_repo_url", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_count", sa.Integer(), nullable=False),
        sa.Column("sandbox_system_prompt", sa.String(), nullable=True),
        sa.Column("claude_md", sa.String(), nullable=True),
        sa.Column("issue_discovery_prompt", sa.String(), nullable=True),
        sa.Column("learning_config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("git_commit_name", sa.String(), nullable=False),
        sa.Column("git_commit_email", sa.String(), nullable=False),
        sa.Column("env_vars", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("slug"),
    )
    op.create_table(
        "asset",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("language", sa.String(40), nullable=True),
        sa.Column("active_version", sa.Integer(), nullable=True),
        sa.Column("latest_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_asset_project_id"), "asset", ["project_id"], unique=False)
    op.create_table(
        "blueprint",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("pipeline_steps", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("workflow_graph", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_blueprint_project_id"), "blueprint", ["project_id"], unique=False)
    op.create_table(
        "member",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "email"),
    )
    op.create_index(op.f("ix_member_project_id"), "member", ["project_id"], unique=False)
    op.create_table(
        "persona",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("cli_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("thinking_effort", sa.String(40), nullable=False),
        sa.Column("instructions", sa.String(), nullable=True),
        sa.Column("context_id", sa.String(), nullable=True),
        sa.Column("selected_skills", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("selected_commands", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("selected_scripts", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_persona_project_id"), "persona", ["project_id"], unique=False)
    op.create_table(
        "provider_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("last_four", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "provider"),
    )
    op.create_table(
        "usage_record",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(40), nullable=False),
        sa.Column("cost_usd", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("sandbox_id", sa.String(), nullable=True),
        sa.Column("chain_id", sa.String(), nullable=True),
        sa.Column("issue_session_id", sa.String(), nullable=True),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_usage_record_project_id"), "usage_record", ["project_id"], unique=False)
    op.create_index(op.f("ix_usage_record_run_id"), "usage_record", ["run_id"], unique=False)
    op.create_index("usage_by_day", "usage_record", ["project_id", "date"], unique=False)
    op.create_index("usage_source", "usage_record", ["source_id", "unit"], unique=True)
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("member_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("key_prefix", sa.String(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["member_id"],
            ["member.id"],
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index(op.f("ix_api_key_project_id"), "api_key", ["project_id"], unique=False)
    op.create_table(
        "asset_version",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.String(), nullable=True),
        sa.Column("files", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("asset_id", "version"),
    )
    op.create_table(
        "blueprint_version",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("blueprint_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["blueprint_id"], ["blueprint.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("blueprint_id", "version"),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("run_number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("github_repo_url", sa.String(), nullable=False),
        sa.Column("repository_slug", sa.String(), nullable=False),
        sa.Column("branch_name", sa.String(), nullable=True),
        sa.Column("base_branch", sa.String(), nullable=True),
        sa.Column("blueprint_id", sa.String(), nullable=False),
        sa.Column("blueprint_name", sa.String(), nullable=False),
        sa.Column("chain_id", sa.String(), nullable=True),
        sa.Column("recurring_task_id", sa.String(), nullable=True),
        sa.Column("restarted_from", sa.String(), nullable=True),
        sa.Column("unique_key", sa.String(), nullable=True),
        sa.Column("current_iteration", sa.Integer(), nullable=False),
        sa.Column("max_iterations", sa.Integer(), nullable=False),
        sa.Column("current_step_label", sa.String(), nullable=True),
        sa.Column("current_step_progress", sa.String(), nullable=True),
        sa.Column("last_progress_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waiting", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("cost_usd", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_read_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_write_tokens", sa.Integer(), nullable=False),
        sa.Column("quality_score", sa.Float(), nullable=True),
        sa.Column("pr_status", sa.String(40), nullable=True),
        sa.Column("pr_url", sa.String(), nullable=True),
        sa.Column("pr_number", sa.Integer(), nullable=True),
        sa.Column("base_sha", sa.String(), nullable=True),
        sa.Column("head_sha", sa.String(), nullable=True),
        sa.Column("ci_checks", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=True),
        sa.Column("timezone", sa.String(), nullable=True),
        sa.Column("recurrence_pattern", sa.String(), nullable=True),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["blueprint_id"],
            ["blueprint.id"],
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_run_blueprint_id"), "run", ["blueprint_id"], unique=False)
    op.create_index(op.f("ix_run_chain_id"), "run", ["chain_id"], unique=False)
    op.create_index(op.f("ix_run_project_id"), "run", ["project_id"], unique=False)
    op.create_index(op.f("ix_run_recurring_task_id"), "run", ["recurring_task_id"], unique=False)
    op.create_index("run_by_number", "run", ["project_id", "run_number"], unique=True)
    op.create_index("run_by_unique_key", "run", ["unique_key"], unique=True)
    op.create_index(
        "run_newest_first", "run", ["project_id", "id"], unique=False, postgresql_where="deleted_at IS NULL"
    )
    op.create_index(
        "run_unfinished",
        "run",
        ["status"],
        unique=False,
        postgresql_where="status IN ('pending', 'running', 'paused')",
    )
    op.create_table(
        "follow_up",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("session_id", sa.String(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_follow_up_project_id"), "follow_up", ["project_id"], unique=False)
    op.create_index(op.f("ix_follow_up_run_id"), "follow_up", ["run_id"], unique=False)
    op.create_table(
        "run_snapshot_row",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_table(
        "run_step",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("persona_id", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("thinking_effort", sa.String(40), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("verdict", sa.String(40), nullable=True),
        sa.Column("feedback", sa.String(), nullable=True),
        sa.Column("quality_score", sa.Float(), nullable=True),
        sa.Column("test_result", sa.String(), nullable=True),
        sa.Column("output", sa.String(), nullable=True),
        sa.Column("cost_usd", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_read_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_write_tokens", sa.Integer(), nullable=False),
        sa.Column("sandbox_ids", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run_id", "index", "iteration"),
    )
    op.create_index(op.f("ix_run_step_project_id"), "run_step", ["project_id"], unique=False)
    op.create_table(
        "sandbox",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=True),
        sa.Column("template_id", sa.String(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=True),
        sa.Column("cpu_count", sa.Integer(), nullable=True),
        sa.Column("timeout_ms", sa.Integer(), nullable=False),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("killed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_sandbox_project_id"), "sandbox", ["project_id"], unique=False)
    op.create_index(op.f("ix_sandbox_provider_id"), "sandbox", ["provider_id"], unique=False)
    op.create_index(op.f("ix_sandbox_run_id"), "sandbox", ["run_id"], unique=False)
    op.create_table(
        "agent_session",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("sandbox_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("thinking_effort", sa.String(40), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("max_turns", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sandbox_id"], ["sandbox.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["step_id"], ["run_step.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_agent_session_project_id"), "agent_session", ["project_id"], unique=False)
    op.create_index(op.f("ix_agent_session_run_id"), "agent_session", ["run_id"], unique=False)
    op.create_index(op.f("ix_agent_session_sandbox_id"), "agent_session", ["sandbox_id"], unique=False)
    op.create_index(op.f("ix_agent_session_step_id"), "agent_session", ["step_id"], unique=False)
    op.create_table(
        "sandbox_event",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("sandbox_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sandbox_id"], ["sandbox.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_sandbox_event_sandbox_id"), "sandbox_event", ["sandbox_id"], unique=False)
    op.create_table(
        "message",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("compaction_point", sa.Integer(), nullable=True),
        sa.Column("stop_reason", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("usage", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("cost_usd", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["agent_session.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("message_place", "message", ["session_id", "sequence"], unique=True)
    op.create_table(
        "tool_call",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("tool_use_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("is_error", sa.Boolean(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["agent_session.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("tool_call_of_session", "tool_call", ["session_id", "tool_use_id"], unique=True)
    rates = [
        ("claude-opus", 5, 6.25, 10, 0.5, 25),
        ("claude-sonnet", 3, 3.75, 6, 0.3, 15),
        ("claude-haiku", 1, 1.25, 2, 0.1, 5),
    ]
    columns = "model_prefix, input, cache_write_5m, cache_write_1h, cache_read, output, updated_at"
    for rate in rates:
        op.execute(f"INSERT INTO cost_rate ({columns}) VALUES ({', '.join(map(repr, rate))}, now())")  # noqa: S608
    op.execute(
        """
        CREATE FUNCTION tell_event() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('events', NEW.subject_id); RETURN NULL; END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION tell_api_key() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('api_keys', OLD.id); RETURN NULL; END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER api_key_told AFTER DELETE OR UPDATE OF revoked_at, expires_at, scopes, hash ON api_key
        FOR EACH ROW EXECUTE FUNCTION tell_api_key()
        """
    )
    op.execute("CREATE TRIGGER event_told AFTER INSERT ON event FOR EACH ROW EXECUTE FUNCTION tell_event()")


def downgrade() -> None:
    op.drop_index("tool_call_of_session", table_name="tool_call")
    op.drop_table("tool_call")
    op.drop_index("message_place", table_name="message")
    op.drop_table("message")
    op.drop_index(op.f("ix_sandbox_event_sandbox_id"), table_name="sandbox_event")
    op.drop_table("sandbox_event")
    op.drop_index(op.f("ix_agent_session_step_id"), table_name="agent_session")
    op.drop_index(op.f("ix_agent_session_sandbox_id"), table_name="agent_session")
    op.drop_index(op.f("ix_agent_session_run_id"), table_name="agent_session")
    op.drop_index(op.f("ix_agent_session_project_id"), table_name="agent_session")
    op.drop_table("agent_session")
    op.drop_index(op.f("ix_sandbox_run_id"), table_name="sandbox")
    op.drop_index(op.f("ix_sandbox_provider_id"), table_name="sandbox")
    op.drop_index(op.f("ix_sandbox_project_id"), table_name="sandbox")
    op.drop_table("sandbox")
    op.drop_index(op.f("ix_run_step_project_id"), table_name="run_step")
    op.drop_table("run_step")
    op.drop_table("run_snapshot_row")
    op.drop_index(op.f("ix_follow_up_run_id"), table_name="follow_up")
    op.drop_index(op.f("ix_follow_up_project_id"), table_name="follow_up")
    op.drop_table("follow_up")
    op.drop_index(
        "run_unfinished", table_name="run", postgresql_where="status IN ('pending', 'running', 'paused')"
    )
    op.drop_index("run_newest_first", table_name="run", postgresql_where="deleted_at IS NULL")
    op.drop_index("run_by_unique_key", table_name="run")
    op.drop_index("run_by_number", table_name="run")
    op.drop_index(op.f("ix_run_recurring_task_id"), table_name="run")
    op.drop_index(op.f("ix_run_project_id"), table_name="run")
    op.drop_index(op.f("ix_run_chain_id"), table_name="run")
    op.drop_index(op.f("ix_run_blueprint_id"), table_name="run")
    op.drop_table("run")
    op.drop_table("blueprint_version")
    op.drop_table("asset_version")
    op.drop_index(op.f("ix_api_key_project_id"), table_name="api_key")
    op.drop_table("api_key")
    op.drop_index("usage_source", table_name="usage_record")
    op.drop_index("usage_by_day", table_name="usage_record")
    op.drop_index(op.f("ix_usage_record_run_id"), table_name="usage_record")
    op.drop_index(op.f("ix_usage_record_project_id"), table_name="usage_record")
    op.drop_table("usage_record")
    op.drop_table("provider_key")
    op.drop_index(op.f("ix_persona_project_id"), table_name="persona")
    op.drop_table("persona")
    op.drop_index(op.f("ix_member_project_id"), table_name="member")
    op.drop_table("member")
    op.drop_index(op.f("ix_blueprint_project_id"), table_name="blueprint")
    op.drop_table("blueprint")
    op.drop_index(op.f("ix_asset_project_id"), table_name="asset")
    op.drop_table("asset")
    op.drop_table("project")
    op.drop_table("pacing")
    op.drop_index("notification_once", table_name="notification")
    op.drop_index("notification_newest_first", table_name="notification")
    op.drop_table("notification")
    op.drop_index(op.f("ix_idempotency_record_created_at"), table_name="idempotency_record")
    op.drop_table("idempotency_record")
    op.drop_index("event_subject_seq", table_name="event")
    op.drop_table("event")
    op.drop_index(op.f("ix_effect_subject_id"), table_name="effect")
    op.drop_table("effect")
    op.drop_table("cost_rate")
    op.execute("DROP FUNCTION tell_event")
    op.execute("DROP FUNCTION tell_api_key")
