"""unfinished: sandboxes that live and effects that are open are found at once"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_index("effect_open", "effect", ["key"], unique=False, postgresql_where="done_at IS NULL")
    op.create_index(
        "sandbox_live",
        "sandbox",
        ["id"],
        unique=False,
        postgresql_where="status IN ('creating', 'running', 'paused')",
    )


def downgrade() -> None:
    op.drop_index(
        "sandbox_live",
        table_name="sandbox",
        postgresql_where="status IN ('creating', 'running', 'paused')",
    )
    op.drop_index("effect_open", table_name="effect", postgresql_where="done_at IS NULL")
