"""Quotas of the server's keys: whoever has used up his waits, as for any other limit of a provider."""

from typing import Final

from gateways.errors import ProviderLimit
from kit.database import Database
from models import CostRate, Sandbox
from models.budgets.quota import QuotaUsage, count_jobs_ahead

QUOTA_RECHECK_SECONDS: Final = 600.0
"""How long it takes at most until a raised quota is noticed."""
SHORT_RECHECK_SECONDS: Final = 15.0
"""Until others' calls are answered, or their jobs may have ended."""
QUOTA_HELP: Final = (
    "The server's operator raises it with codecourier projects quota; with a key of the project's own (POST "
    "/api/v1/project/provider-keys/set) there is no such limit."
)


def require_price(model: str, rate: CostRate | None) -> None:
    """ProviderLimit for a call that counts for a quota, where the installation has no price for its model."""
    if rate is None or rate.project_id is not None:
        raise ProviderLimit(
            f"The installation has no price for the model {model}, so that nobody can tell what the "
            f"project uses of the server's key: choose another model, or have the operator set one. "
            f"{QUOTA_HELP}",
            QUOTA_RECHECK_SECONDS,
        )


def quota_limit_error(use: QuotaUsage) -> ProviderLimit:
    """What a project waits for that has used up its quota: the next month, or calls that are answered."""
    if use.spent_usd >= use.limit_usd:
        return ProviderLimit(
            f"The project has spent {use.spent_usd:.2f} of the {use.limit_usd:.2f} USD that it may spend "
            f"with the server's model key in {use.month:%B %Y}; it goes on next month (UTC). {QUOTA_HELP}",
            QUOTA_RECHECK_SECONDS,
        )
    return ProviderLimit(
        f"What is left of the {use.limit_usd:.2f} USD that the project may spend with the server's model key "
        "is reserved for calls that are being answered; it goes on by itself when they are.",
        SHORT_RECHECK_SECONDS,
    )


async def require_sandbox_quota(database: Database, sandbox: Sandbox, most: int) -> None:
    """ProviderLimit while as many jobs of the project as may have a sandbox at work, asked before this one.

    Those who wait come in the order in which they asked.  Again, it only reads.
    """
    async with database.read_only() as session:
        before = await count_jobs_ahead(session, sandbox)
    if before >= most:
        raise ProviderLimit(
            f"{most} jobs of the project may have a sandbox at work with the server's key, and {before} come "
            f"before this one; it goes on by itself when they have ended. {QUOTA_HELP}",
            SHORT_RECHECK_SECONDS,
        )
