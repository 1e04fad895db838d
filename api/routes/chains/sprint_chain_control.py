"""Commands to sprint chains: checked against the row, then sent to the workflow, which writes it."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.chains.lifecycle import CloseChain, end_chain
from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.auth import requires
from api.http.responses import Item
from api.http.router import Router
from api.routes.chains.sprint_chains import Chains, require_sprint_index
from kit.errors import Conflict
from models import Run, SprintChain
from models.chains.chain import ChainStatus
from models.chains.sprint_chain_schemas import SprintChainRead, SprintChainResume

router = Router("/sprint-chains/{id}", "Sprint Chains")
WRITE = requires("chains:write")


@router.post("/pause", WRITE)
async def pause_sprint_chain(id: str, chains: Chains, workflows: AfterCommitDep) -> Item[SprintChainRead]:
    """Pause a sprint chain: the active sprint finishes, then it holds for as long as wished."""
    chain = await chains.get(id)
    if chain.is_stopping:
        raise Conflict("The chain is stopping: the active sprint finishes, then it is cancelled.")
    if chain.status not in (ChainStatus.pending, ChainStatus.running):
        raise Conflict(f"The chain is {chain.status} and cannot be paused.")
    workflows.update(chain.temporal_workflow_id, "pause")
    return chains.item(chain.id)


@router.post("/resume", WRITE)
async def resume_sprint_chain(
    id: str,
    chains: Chains,
    session: DbSession,
    workflows: AfterCommitDep,
    body: SprintChainResume = SprintChainResume(),
) -> Item[SprintChainRead]:
    """Let a paused sprint chain go on, or a failed one try again.

    `resumeFromSprint` is the index of the sprint to go on from; a failed chain goes on from the first that
    has not completed unless it is given. A run that is still at work on that sprint is waited for; 409 while
    one is at work on another.
    """
    chain = await chains.get(id, lock=True)
    index = body.resume_from_sprint
    require_sprint_index(chain, index)
    if chain.status is ChainStatus.paused:
        workflows.update(chain.temporal_workflow_id, "resume", *([] if index is None else [index]))
    else:
        chain.retry_from(index)
        await _require_no_other_run(session, chain)
        start_after_commit(chain, workflows)
    return chains.item(chain.id)


async def _require_no_other_run(session: AsyncSession, chain: SprintChain) -> None:
    """No two runs of a chain work at the same time: only one of the sprint to begin with may be left."""
    statement = select(Run).where(
        col(Run.chain_id) == chain.id,
        col(Run.completed_at).is_(None),
        col(Run.id).is_distinct_from(chain.sprint_run_id(chain.first_index)),
    )
    if (run := (await session.execute(statement)).scalars().first()) is not None:
        raise Conflict(f"Run {run.run_number} of the chain is still {run.status}: wait for it, or cancel it.")


@router.delete("", WRITE)
async def delete_sprint_chain(
    id: str, chains: Chains, session: DbSession, workflows: AfterCommitDep
) -> Item[SprintChainRead]:
    """Cancel a sprint chain: the active sprint finishes, then it is cancelled; delete one that has ended.

    One that is told so during its last sprint completes: all of them are done then.
    """
    chain = await chains.get(id, lock=True)
    if chain.status.is_final:
        chain.trash()
        return chains.item_in_trash(chain.id)
    if chain.status is ChainStatus.pending:
        await end_chain(session, chain, CloseChain(chain_id=chain.id, status=ChainStatus.cancelled))
        workflows.cancel(chain.temporal_workflow_id, certain=False)
    else:
        workflows.update(chain.temporal_workflow_id, "stop")
    return chains.item(chain.id)
