"""jobs: sessions, sandboxes and snapshots belong to whatever has an agent work"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

KIND = """CASE WHEN role IN ('checker', 'reviewer') THEN 'checker'
    WHEN role IN ('evaluator', 'judge') THEN 'evaluator' ELSE 'worker' END"""


def upgrade() -> None:
    op.rename_table("run_snapshot_row", "job_snapshot")
    op.alter_column("job_snapshot", "run_id", new_column_name="job_id")
    op.drop_constraint("run_snapshot_row_run_id_fkey", "job_snapshot")

    op.drop_constraint("sandbox_run_id_fkey", "sandbox")
    op.drop_index("ix_sandbox_run_id", "sandbox")
    op.alter_column("sandbox", "run_id", new_column_name="job_id", nullable=False)
    op.create_index("ix_sandbox_job_id", "sandbox", ["job_id"])

    op.drop_constraint("agent_session_run_id_fkey", "agent_session")
    op.drop_index("ix_agent_session_run_id", "agent_session")
    op.alter_column("agent_session", "run_id", new_column_name="job_id")
    op.create_index("ix_agent_session_job_id", "agent_session", ["job_id"])
    op.alter_column("agent_session", "step_id", nullable=True)
    op.add_column("agent_session", sa.Column("kind", sa.String(40), nullable=True))
    op.add_column("agent_session", sa.Column("label", sa.String(), nullable=True))
    op.add_column("agent_session", sa.Column("result", postgresql.JSONB(), nullable=True))
    op.execute(f"UPDATE agent_session SET kind = {KIND}, label = role")  # noqa: S608
    op.execute(
        "UPDATE agent_session SET result = jsonb_build_object('summary', step.output, 'verdict', step.verdict)"
        " FROM run_step AS step WHERE step.id = agent_session.step_id AND step.status = 'completed'"
    )
    op.alter_column("agent_session", "kind", nullable=False)
    op.alter_column("agent_session", "label", nullable=False)
    op.drop_column("agent_session", "role")


def downgrade() -> None:
    for table in ("agent_session", "sandbox", "job_snapshot"):
        op.execute(f"DELETE FROM {table} WHERE NOT starts_with(job_id, 'r_')")  # noqa: S608
    op.add_column("agent_session", sa.Column("role", sa.String(40), nullable=True))
    op.execute(
        "UPDATE agent_session SET role = step.role FROM run_step AS step WHERE step.id = agent_session.step_id"
    )
    op.alter_column("agent_session", "role", nullable=False)
    for column in ("kind", "label", "result"):
        op.drop_column("agent_session", column)
    op.alter_column("agent_session", "step_id", nullable=False)
    for table in ("agent_session", "sandbox"):
        op.drop_index(f"ix_{table}_job_id", table)
        op.alter_column(table, "job_id", new_column_name="run_id", nullable=table == "sandbox")
        op.create_index(f"ix_{table}_run_id", table, ["run_id"])
    op.alter_column("job_snapshot", "job_id", new_column_name="run_id")
    op.rename_table("job_snapshot", "run_snapshot_row")
    for table in ("agent_session", "sandbox", "run_snapshot_row"):
        op.create_foreign_key(f"{table}_run_id_fkey", table, "run", ["run_id"], ["id"], ondelete="CASCADE")
