"""versioned assets"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("asset", sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("asset", sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE asset SET updated_at = created_at, activated_at = ("
        " SELECT published_at FROM asset_version AS version"
        " WHERE version.asset_id = asset.id AND version.version = asset.active_version)"
    )
    op.alter_column("asset", "updated_at", nullable=False)
    op.create_index(
        "asset_name",
        "asset",
        ["project_id", "kind", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index("asset_list", "asset", ["project_id", "kind", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("asset_list", table_name="asset")
    op.drop_index("asset_name", table_name="asset", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_column("asset", "activated_at")
    op.drop_column("asset", "updated_at")
