"""Every account at the sandbox provider that our sandboxes may live in: the server's, and projects' own."""

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlmodel import col

from activities.outside import Outside
from gateways.sandboxes import Sandboxes
from kit.database import Database
from models import ProviderKey
from models.provider_key import Provider


@dataclass
class Account:
    sandboxes: Sandboxes
    projects: set[str] = field(default_factory=set)
    """Whose own key opens it."""
    is_servers: bool = False
    """Whether it is the account of everybody who has no key."""


async def accounts_of(database: Database, outside: Outside) -> list[Account]:
    """One for each key, however many projects share it."""
    settings = outside.settings
    accounts: dict[str, Account] = {}

    def account(key: str) -> Account:
        if key not in accounts:
            made = Sandboxes(
                key, api_url=settings.e2b_api_url, sandbox_url=settings.e2b_sandbox_url,
                owner=settings.sandbox_owner,
            )  # fmt: skip
            accounts[key] = Account(made)
        return accounts[key]

    if settings.e2b_api_key is not None:
        account(settings.e2b_api_key.get_secret_value()).is_servers = True
    async with database.reading() as session:
        own = select(ProviderKey).where(col(ProviderKey.provider) == Provider.e2b)
        for row in (await session.execute(own)).scalars():
            account(outside.vault.open(row.sealed)).projects.add(row.project_id)
    return list(accounts.values())


def account_of(accounts: list[Account], project_id: str) -> Account | None:
    """Where a project's sandboxes are; None when it has no key, nor has the server."""
    for account in accounts:
        if project_id in account.projects:
            return account
    return next((account for account in accounts if account.is_servers), None)
