"""Every account at the sandbox provider that our sandboxes may live in: the server's, and projects' own."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from activities.gateway_factory import GatewayFactory
from gateways.errors import GatewayError, UpstreamFailed
from gateways.sandboxes.control import SandboxFacts, SandboxProvider
from kit.database import Database
from kit.errors import Internal
from kit.logs import logger
from models import ProviderKey
from models.projects.provider_key import Provider
from models.provider_rate_limit import back_off, credential_key, current_back_off
from models.reconcile.installation import get_installation

LIST_TIMEOUT_SECONDS: Final = 10.0
"""How long an account may take to list its sandboxes."""
ACCOUNT_BACKOFF_SECONDS: Final = 300.0
"""How long an account that did not answer is left alone."""

log = logger(__name__)


@dataclass
class Account:
    key: str
    """By which its back-off is known; it does not betray the credential."""
    sandboxes: SandboxProvider
    projects: set[str] = field(default_factory=set)
    """Whose own key opens it."""
    is_servers: bool = False
    """Whether it is the account of everybody who has no key."""
    listed: list[SandboxFacts] | None = None
    """What it said that it has; None while it was not asked, or did not answer."""
    fault: GatewayError | None = None


class SandboxAccounts:
    """One look at all accounts: each is listed once, all at the same time, however many checks ask.

    insists: also asks those that did not answer a while ago.
    """

    def __init__(self, database: Database, outside: GatewayFactory, *, insists: bool = False) -> None:
        self.database, self.outside, self.ignores_pauses = database, outside, insists
        self._accounts: list[Account] | None = None

    async def all(self) -> list[Account]:
        """Listed, or with the fault of those that could not be."""
        if self._accounts is None:
            accounts = await load_accounts(self.database, self.outside)
            await asyncio.gather(*(self._list(account) for account in accounts if account.fault is None))
            self._accounts = accounts
        return self._accounts

    async def raise_faults(self) -> None:
        """GatewayError that names how many accounts were not seen, if any was not."""
        if faults := [each.fault for each in await self.all() if each.fault is not None]:
            raise UpstreamFailed(
                f"{len(faults)} of the accounts at the sandbox provider did not answer: {faults[0].message}"
            )

    async def _list(self, account: Account) -> None:
        try:
            if not self.ignores_pauses and (pause := await current_back_off(self.database, account.key)):
                raise UpstreamFailed(pause.reason)
            async with asyncio.timeout(LIST_TIMEOUT_SECONDS):
                account.listed = await account.sandboxes.find({})
        except GatewayError as error:
            account.fault = error
        except TimeoutError:
            account.fault = UpstreamFailed(f"No answer within {LIST_TIMEOUT_SECONDS:g} seconds.")
        if account.fault is not None:
            log.warning("reconcile.account_unseen", account=account.key, reason=account.fault.message)
            if not await current_back_off(self.database, account.key):
                await back_off(self.database, account.key, ACCOUNT_BACKOFF_SECONDS, account.fault.message)


async def load_accounts(database: Database, outside: GatewayFactory) -> list[Account]:
    """One for each key, however many projects share it."""
    settings = outside.settings
    async with database.read_only() as session:
        owner = (await get_installation(session)).id
        own = select(ProviderKey).where(col(ProviderKey.provider) == Provider.e2b)
        rows = (await session.execute(own)).scalars().all()
    accounts: dict[str, Account] = {}

    def account(key: str) -> Account:
        if key not in accounts:
            made = SandboxProvider(
                key, api_url=settings.e2b_api_url, sandbox_url=settings.e2b_sandbox_url, owner=owner
            )
            accounts[key] = Account(credential_key("e2b-list", key), made)
        return accounts[key]

    if settings.e2b_api_key is not None:
        account(settings.e2b_api_key.get_secret_value()).is_servers = True
    unopened: set[str] = set()
    for row in rows:
        try:
            key = outside.vault.open(row.sealed)
        except Internal as error:
            log.error("reconcile.key_unopened", project_id=row.project_id, reason=error.message)
            unopened.add(row.project_id)
        else:
            account(key).projects.add(row.project_id)
    if unopened:  # nobody can ask their account: their sandboxes must not count as missing in the server's
        fault = UpstreamFailed("A project's E2B key cannot be opened: see ENCRYPTION_KEYS.")
        accounts[""] = Account("unopened", SandboxProvider("", owner=owner), unopened, fault=fault)
    return list(accounts.values())


def find_account(accounts: list[Account], project_id: str) -> Account | None:
    """Where a project's sandboxes are; None when it has no key, nor has the server."""
    for account in accounts:
        if project_id in account.projects:
            return account
    return next((account for account in accounts if account.is_servers), None)
