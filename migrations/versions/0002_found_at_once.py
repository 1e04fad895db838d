"""unread notifications and pull requests are found without a walk over all others"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index(
        "notification_unread",
        "notification",
        ["member_id", "id"],
        unique=False,
        postgresql_where=sa.text("read_at IS NULL AND dismissed_at IS NULL"),
    )
    op.create_index(
        "run_with_pull_request",
        "run",
        ["project_id", "id"],
        unique=False,
        postgresql_where=sa.text("pr_status IS NOT NULL AND deleted_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("run_with_pull_request", table_name="run")
    op.drop_index("notification_unread", table_name="notification")
