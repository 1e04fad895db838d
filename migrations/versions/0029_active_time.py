"""when those who ask for a turn are to come again; the run that a restarted one goes on from"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.add_column("pacing", sa.Column("expected_at", sa.DateTime(timezone=True)))
    op.add_column("run", sa.Column("continues_run_id", sa.String()))


def downgrade() -> None:
    op.drop_column("run", "continues_run_id")
    op.drop_column("pacing", "expected_at")
