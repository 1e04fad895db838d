"""Asking a model on a session's behalf: with its project's key, at its pace, at its price."""

from typing import Final

from activities.credentials import Credentials
from activities.outside import Outside, outside
from gateways.agent import Turn, TurnRequest
from gateways.errors import ProviderLimit
from kit.database import Database
from kit.pacing import fingerprint
from kit.recent import Recent
from models import AgentSession, CostRate
from models.usage import rate_of

PAUSE_SECONDS: Final = 5.0
"""How long everybody keeps away from an overloaded model that named no time."""


class Asking:
    def __init__(self, database: Database, outside: Outside) -> None:
        self.database = database
        self.outside = outside
        self._rates: Recent[str, CostRate | None] = Recent(seconds=10)

    async def allowed(self, agent: AgentSession) -> Credentials:
        """The project's credentials; ProviderLimit while somebody who uses the same key was told to wait."""
        credentials = await self.outside.credentials(agent.project_id)
        key = fingerprint("model", self.outside.model_key(credentials))
        if held := await self.outside.blocked(key):
            raise ProviderLimit(held.reason, held.seconds)
        return credentials

    async def ask(self, credentials: Credentials, request: TurnRequest) -> Turn:
        """One request; a limit holds up everybody who uses the same key, until the time that it names."""
        try:
            with outside():
                return await self.outside.agent(credentials).turn(request)
        except ProviderLimit as limit:
            key = fingerprint("model", self.outside.model_key(credentials))
            await self.outside.block(key, limit.retry_after or PAUSE_SECONDS, limit.message)
            raise

    async def rate(self, model: str) -> CostRate | None:
        """What the model costs, as it was within the last seconds; None for a model without a price."""

        async def read_now() -> CostRate | None:
            async with self.database.reading() as session:
                return await rate_of(session, model)

        return await self._rates.get(model, read_now)
