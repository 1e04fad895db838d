"""What starting a chain needs besides its row: the engine."""

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from activities.chain_starting import ChainInput, start_chain
from api.workflows import Remembered
from models.chain import Chain
from models.event import EventType, append


def hand_over_chain(chain: Chain, workflows: Remembered) -> None:
    """Start the workflow of the chain's attempt after the commit and record that the engine has it."""
    told, kind = ChainInput.of(chain), type(chain)

    async def start(client: Client) -> None:
        await start_chain(client, told)

    async def taken(session: AsyncSession) -> None:
        row = await session.get_one(kind, told.chain_id, with_for_update=True)
        if row.take():  # unless the workflow was quicker, or the chain was cancelled meanwhile
            append(session, row, EventType.chain_started)

    workflows.start(chain.engine_id, start, taken)
