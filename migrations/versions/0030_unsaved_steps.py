"""where alone there is something of what a step left, so that a restart does it again; calls being answered"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.add_column("run_step", sa.Column("unsaved_in", sa.String(), nullable=True))
    op.create_table(
        "open_call",
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("usage", postgresql.JSONB(), nullable=False),
        sa.Column("counts_for_quota", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["agent_session.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("source_id"),
    )
    op.create_index(op.f("ix_open_call_session_id"), "open_call", ["session_id"])
    op.create_index(op.f("ix_open_call_project_id"), "open_call", ["project_id"])


def downgrade() -> None:
    op.drop_table("open_call")
    op.drop_column("run_step", "unsaved_in")
