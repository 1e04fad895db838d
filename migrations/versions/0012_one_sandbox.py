"""one sandbox: a job has one that lives, and tells once what was cloned into it"""

from alembic import op

revision = "0012"
down_revision = "0011"
LIVE = "status IN ('creating', 'running', 'paused')"
CLONED = "type = 'clone'"


def upgrade() -> None:
    # Nobody knows of an older one any more that a job still has: the check for strays ends what runs of it.
    op.execute(
        """
        UPDATE sandbox SET status = 'error', killed_at = now(), error_message = 'The sandbox was replaced.'
        WHERE status IN ('creating', 'running', 'paused') AND EXISTS (
            SELECT FROM sandbox AS newer WHERE newer.job_id = sandbox.job_id AND newer.id > sandbox.id
                AND newer.status IN ('creating', 'running', 'paused'))
        """
    )
    op.create_index("sandbox_at_work", "sandbox", ["job_id"], unique=True, postgresql_where=LIVE)
    op.create_index(
        "sandbox_cloned_once",
        "sandbox_event",
        ["sandbox_id", "message"],
        unique=True,
        postgresql_where=CLONED,
    )


def downgrade() -> None:
    op.drop_index("sandbox_cloned_once", table_name="sandbox_event", postgresql_where=CLONED)
    op.drop_index("sandbox_at_work", table_name="sandbox", postgresql_where=LIVE)
