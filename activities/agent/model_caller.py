"""Asking a model on a session's behalf: with its project's key, at its pace, at its price."""

from typing import Final

from activities.gateway_factory import GatewayFactory, external_call
from activities.projects.credentials import Credentials
from gateways.anthropic.client import Meter, Turn, TurnRequest
from gateways.errors import ProviderLimit
from kit.database import Database
from kit.ttl_cache import TTLCache
from models import AgentSession, CostRate
from models.budgets.usage import find_cost_rate
from models.provider_rate_limit import credential_key

OVERLOAD_BACKOFF_SECONDS: Final = 5.0
"""How long everybody keeps away from an overloaded model that named no time."""


class ModelCaller:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database = database
        self.outside = outside
        self._rates: TTLCache[tuple[str, str, bool], CostRate | None] = TTLCache(seconds=10)

    async def require_capacity(self, agent: AgentSession) -> Credentials:
        """The project's credentials; ProviderLimit while somebody who uses the same key was told to wait."""
        credentials = await self.outside.credentials(agent.project_id)
        key = credential_key("model", self.outside.model_key(credentials))
        if held := await self.outside.current_back_off(key):
            raise ProviderLimit(held.reason, held.seconds)
        return credentials

    async def complete(self, credentials: Credentials, request: TurnRequest, meter: Meter) -> Turn:
        """One request; a limit holds up everybody who uses the same key, until the time that it names."""
        try:
            with external_call():
                agent = await self.outside.model_client(credentials)
                return await agent.turn(request, meter)
        except ProviderLimit as limit:
            key = credential_key("model", self.outside.model_key(credentials))
            await self.outside.back_off(key, limit.retry_after or OVERLOAD_BACKOFF_SECONDS, limit.message)
            raise

    async def price(self, model: str, project_id: str, *, counts_for_quota: bool = False) -> CostRate | None:
        """What the model costs the project, as it was within the last seconds; None without a price.

        counts_for_quota: of the server's key, so that the installation's price goes first.
        """

        async def read_now() -> CostRate | None:
            async with self.database.read_only() as session:
                return await find_cost_rate(session, model, project_id, installations_first=counts_for_quota)

        found = await self._rates.get((project_id, model, counts_for_quota), read_now)
        if found is None:  # whoever waits for a price finds it at once
            self._rates.forget((project_id, model, counts_for_quota))
        return found
