"""Commands to sprint chains: checked against the row, then told to the engine, which writes the row."""

from api.answers import One
from api.keys import needs
from api.router import Router
from api.routes.sprint_chains import Chains, must_be_within
from api.starting import hand_over
from api.workflows import Session, Workflows
from kit.errors import Conflict
from models.chain import ChainStatus
from models.event import EventType, append
from models.sprint_chain_wire import SprintChainRead, SprintChainResume

router = Router("/sprint-chains/{id}", "Sprint Chains")
WRITE = needs("chains:write")


@router.post("/pause", WRITE)
async def pause_sprint_chain(id: str, chains: Chains, workflows: Workflows) -> One[SprintChainRead]:
    """Pause a sprint chain: the active sprint finishes, then it holds for as long as wished."""
    chain = await chains.get(id)
    if chain.status not in (ChainStatus.pending, ChainStatus.running):
        raise Conflict(f"The chain is {chain.status} and cannot be paused.")
    workflows.update(chain.engine_id, "pause")
    return chains.one(chain.id)


@router.post("/resume", WRITE)
async def resume_sprint_chain(
    id: str, chains: Chains, workflows: Workflows, body: SprintChainResume = SprintChainResume()
) -> One[SprintChainRead]:
    """Let a paused sprint chain go on, or a failed one try again.

    `resumeFromSprint` is the index of the sprint to go on from; a failed chain goes on from the one that
    failed unless it is given.
    """
    chain = await chains.get(id, lock=True)
    index = body.resume_from_sprint
    must_be_within(chain, index)
    if chain.status is ChainStatus.paused:
        workflows.update(chain.engine_id, "resume", *([] if index is None else [index]))
    else:
        chain.try_again(index)
        hand_over(chain, workflows)
    return chains.one(chain.id)


@router.delete("", WRITE)
async def delete_sprint_chain(
    id: str, chains: Chains, session: Session, workflows: Workflows
) -> One[SprintChainRead] | SprintChainRead:
    """Cancel a sprint chain: the active sprint finishes, then it is cancelled; delete one that has ended."""
    chain = await chains.get(id, lock=True)
    if chain.status.is_final:
        chain.trash()
        return SprintChainRead.model_validate(chain)
    if chain.status is ChainStatus.pending:
        chain.close(ChainStatus.cancelled)
        append(session, chain, EventType.chain_ended, {"status": chain.status})
        workflows.cancel(chain.engine_id, certain=False)
    else:
        workflows.update(chain.engine_id, "stop")
    return chains.one(chain.id)
