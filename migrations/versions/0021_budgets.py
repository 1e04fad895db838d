"""budgets"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
DOLLARS = sa.Numeric(precision=16, scale=8)


def upgrade() -> None:
    op.create_table(
        "budget",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("cap_usd", DOLLARS, nullable=True),
        sa.Column("spent_usd", DOLLARS, nullable=False),
        sa.Column("month", sa.Date(), nullable=True),
        sa.Column("announced_usd", DOLLARS, nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_budget_project_id", "budget", ["project_id"])
    op.create_table(
        "reservation",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("chain_id", sa.String(), nullable=True),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("amount_usd", DOLLARS, nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["agent_session.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("session_id", "sequence"),
    )
    op.create_index("ix_reservation_project_id", "reservation", ["project_id"])
    op.create_table(
        "budget_wait",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("budget_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("needs_usd", DOLLARS, nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["agent_session.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("session_id", "budget_id"),
    )
    op.create_index("ix_budget_wait_budget_id", "budget_wait", ["budget_id"])
    op.create_index("ix_budget_wait_job_id", "budget_wait", ["job_id"])
    op.add_column("run", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE run SET paused_at = coalesce(last_progress_at, now()) WHERE status = 'paused'")
    # Until now the cap of a run was read from its snapshot, that of a merge from its configuration.
    op.execute(
        """
        INSERT INTO budget (id, project_id, cap_usd, spent_usd)
        SELECT run.id, run.project_id, (document -> 'config' ->> 'max_cost_usd')::numeric, run.cost_usd
        FROM run JOIN job_snapshot ON job_snapshot.job_id = run.id
        WHERE document -> 'config' ->> 'max_cost_usd' IS NOT NULL
            AND (document -> 'config' ->> 'max_cost_usd')::numeric < 100000000
        UNION ALL
        SELECT id, project_id, (config ->> 'max_cost_usd')::numeric, cost_usd FROM merge_job
        WHERE config ->> 'max_cost_usd' IS NOT NULL AND (config ->> 'max_cost_usd')::numeric < 100000000
        """
    )


def downgrade() -> None:
    op.drop_column("run", "paused_at")
    for table in ("budget_wait", "reservation", "budget"):
        op.drop_table(table)
