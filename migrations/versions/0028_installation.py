"""the installation's id and namespace, what its sweeps came to, what recurring tasks were told"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kit.ids import new_id

revision = "0028"
down_revision = "0027"
STARTED = (
    "run",
    "issue_session",
    "answering_session",
    "sprint_chain",
    "work_chain",
    "merge_job",
    "sandbox_job",
    "learning_extraction",
)
"""What workflows work on."""


def upgrade() -> None:
    installation = op.create_table(
        "installation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("is_only", sa.Boolean(), nullable=False),
        sa.Column("temporal_namespace", sa.String(), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.CheckConstraint("is_only", name="installation_is_only"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("is_only"),
    )
    op.execute(sa.insert(installation).values(id=new_id("ins"), is_only=True))
    op.create_table(
        "sweep",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("good_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found", postgresql.JSONB(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    for table in STARTED:
        op.add_column(table, sa.Column("temporal_namespace", sa.String(), nullable=True))
    op.add_column("recurring_task", sa.Column("told_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("effect", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False))
    op.add_column("effect", sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("effect", "next_attempt_at")
    op.drop_column("effect", "attempts")
    op.drop_column("recurring_task", "told_at")
    for table in STARTED:
        op.drop_column(table, "temporal_namespace")
    op.drop_table("sweep")
    op.drop_table("installation")
