"""hooks of projects for GitHub's webhooks, what is to be read on GitHub, what a delivery signed"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.create_table(
        "github_hook",
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("replaced_secrets", postgresql.JSONB(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_github_hook_project_id"), "github_hook", ["project_id"])
    op.create_table(
        "github_hint",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("left_sha", sa.String(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "left_sha"),
    )
    op.create_index(op.f("ix_github_hint_noted_at"), "github_hint", ["noted_at"])
    op.add_column("github_delivery", sa.Column("digest", sa.String(), nullable=True))
    op.create_unique_constraint("github_delivery_digest_key", "github_delivery", ["digest"])


def downgrade() -> None:
    op.drop_constraint("github_delivery_digest_key", "github_delivery", type_="unique")
    op.drop_column("github_delivery", "digest")
    op.drop_table("github_hint")
    op.drop_table("github_hook")
