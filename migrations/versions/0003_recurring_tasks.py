"""recurring tasks"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "recurring_task",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(40), nullable=False),
        sa.Column("target_workflow_id", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("scheduled_hour", sa.Integer(), nullable=False),
        sa.Column("scheduled_minute", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("next_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_run_id", sa.String(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.ForeignKeyConstraint(
            ["target_workflow_id"],
            ["blueprint.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_recurring_task_next_run_at"), "recurring_task", ["next_run_at"], unique=False)
    op.create_index(op.f("ix_recurring_task_project_id"), "recurring_task", ["project_id"], unique=False)
    op.create_index(
        op.f("ix_recurring_task_target_workflow_id"), "recurring_task", ["target_workflow_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_recurring_task_target_workflow_id"), table_name="recurring_task")
    op.drop_index(op.f("ix_recurring_task_project_id"), table_name="recurring_task")
    op.drop_index(op.f("ix_recurring_task_next_run_at"), table_name="recurring_task")
    op.drop_table("recurring_task")
