"""per-kind agent configuration"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
CAPS = (("blueprint", "maxCostUsd"), ("merge_job", "max_cost_usd"))
CONFIGS = ("merging_config", "issue_config", "answering_config", "evaluator_config", "judge_config")


def upgrade() -> None:
    for name in CONFIGS:
        op.add_column("project", sa.Column(name, postgresql.JSONB(), nullable=False, server_default="{}"))
        op.alter_column("project", name, server_default=None)
    # Until now anything could stand in it, and nothing read it.
    op.execute("UPDATE project SET learning_config = '{}'")
    # Limits in US dollars were stored as strings, which are no numbers any more.
    for table, key in CAPS:
        op.execute(
            f"UPDATE {table} SET config = jsonb_set(config, '{{{key}}}',"  # noqa: S608
            f" to_jsonb((config ->> '{key}')::numeric)) WHERE jsonb_typeof(config -> '{key}') = 'string'"
        )


def downgrade() -> None:
    for name in CONFIGS:
        op.drop_column("project", name)
