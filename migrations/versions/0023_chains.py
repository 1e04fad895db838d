"""chains say which run they failed with, and that they are stopping"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    for table in ("sprint_chain", "work_chain"):
        op.add_column(table, sa.Column("error_run_id", sa.String(), nullable=True))
    op.add_column(
        "sprint_chain", sa.Column("is_stopping", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.alter_column("sprint_chain", "is_stopping", server_default=None)


def downgrade() -> None:
    op.drop_column("sprint_chain", "is_stopping")
    for table in ("sprint_chain", "work_chain"):
        op.drop_column(table, "error_run_id")
