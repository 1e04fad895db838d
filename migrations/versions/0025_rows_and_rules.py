"""tool calls by their message; cut turns in a row; when an idempotency key was claimed first"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_index(
        "tool_call_of_message", "tool_call", ["session_id", "sequence", "tool_use_id"], unique=True
    )
    op.drop_index("tool_call_of_session", "tool_call")
    op.add_column("agent_session", sa.Column("cut_turns", sa.Integer(), nullable=False, server_default="0"))
    moment = sa.DateTime(timezone=True)
    op.add_column(
        "idempotency_record",
        sa.Column("began_at", moment, nullable=False, server_default=sa.text("now()")),
    )


def downgrade() -> None:
    op.drop_column("idempotency_record", "began_at")
    op.drop_column("agent_session", "cut_turns")
    op.create_index("tool_call_of_session", "tool_call", ["session_id", "tool_use_id"], unique=True)
    op.drop_index("tool_call_of_message", "tool_call")
