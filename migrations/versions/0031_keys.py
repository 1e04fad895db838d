"""who made a key; what was asked under an Idempotency-Key belongs to one key, and secrets are not kept of it"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.add_column("api_key", sa.Column("created_by_key_id", sa.String()))
    op.create_foreign_key(
        "api_key_created_by_key_id_fkey",
        "api_key",
        "api_key",
        ["created_by_key_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.create_index(op.f("ix_api_key_created_by_key_id"), "api_key", ["created_by_key_id"])

    op.execute("DELETE FROM idempotency_record")  # nobody knows whose they are
    op.add_column("idempotency_record", sa.Column("key_id", sa.String(), nullable=False))
    op.add_column("idempotency_record", sa.Column("made_id", sa.String()))
    op.drop_constraint("idempotency_record_pkey", "idempotency_record", type_="primary")
    op.create_primary_key("idempotency_record_pkey", "idempotency_record", ["project_id", "key_id", "key"])


def downgrade() -> None:
    op.execute("DELETE FROM idempotency_record")
    op.drop_constraint("idempotency_record_pkey", "idempotency_record", type_="primary")
    op.create_primary_key("idempotency_record_pkey", "idempotency_record", ["project_id", "key"])
    op.drop_column("idempotency_record", "made_id")
    op.drop_column("idempotency_record", "key_id")
    op.drop_index(op.f("ix_api_key_created_by_key_id"), table_name="api_key")
    op.drop_constraint("api_key_created_by_key_id_fkey", "api_key", type_="foreignkey")
    op.drop_column("api_key", "created_by_key_id")
