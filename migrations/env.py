"""Alembic's entry: one connection, one transaction, one migration at a time whoever else tries."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Enum, create_engine, pool, text
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import models
import models.provider_rate_limit
from kit.settings import settings
from kit.tenancy import EVERY_PROJECT

assert models, "imported for its tables"
assert models.provider_rate_limit, "imported for its table"
LOCK = 0x636F7572
"""Advisory lock: two deployments that start together migrate one after the other."""

SEES_ALL = f"-c codecourier.project={EVERY_PROJECT}"
"""The owner of the tables is bound by row-level security as well, unless it is a superuser."""


def plain(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write our text columns as what they are in the database."""
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String({item.length})"
    return "sa.String()" if kind == "type" and type(item) is AutoString else False


def run() -> None:
    url = context.config.attributes.get("url") or settings().sqlalchemy_url
    engine = create_engine(url, poolclass=pool.NullPool, connect_args={"options": SEES_ALL})
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        connection.commit()
        context.configure(
            connection=connection, target_metadata=SQLModel.metadata, compare_type=True, render_item=plain
        )
        with context.begin_transaction():
            context.run_migrations()


run()
