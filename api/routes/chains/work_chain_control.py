"""Commands to work chains: checked against the row, then sent to the workflow, which writes it."""

from activities.chains.lifecycle import CloseChain, end_chain
from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.auth import requires
from api.http.responses import Item
from api.http.router import Router
from api.routes.chains.work_chains import Chains
from kit.errors import Conflict
from models.chains.chain import ChainStatus
from models.chains.work_chain import WorkChain
from models.chains.work_chain_schemas import WorkChainRead, WorkChainRef

router = Router("/work-chains", "Work Chains")
WRITE = requires("chains:write")


@router.post("/start", WRITE, creates=True)
async def start_work_chain(
    body: WorkChainRef, chains: Chains, workflows: AfterCommitDep
) -> Item[WorkChainRead]:
    """Start a work chain: one issue after another, a run and a pull request each, each on top of the last.

    It stops at an issue whose run does not complete; started again, it goes on with that issue. `running` as
    soon as Temporal has it, `pending` when it cannot be reached just now.
    """
    chain = await chains.get(body.chain_id, lock=True)
    chain.request_start()
    start_after_commit(chain, workflows)
    return chains.item(chain.id)


@router.post("/pause", WRITE)
async def pause_work_chain(
    body: WorkChainRef, chains: Chains, workflows: AfterCommitDep
) -> Item[WorkChainRead]:
    """Pause a work chain: the active issue finishes, then it holds for as long as wished."""
    chain = await chains.get(body.chain_id)
    _require_status(chain, "paused", chain.is_active and chain.status is not ChainStatus.paused)
    workflows.update(chain.temporal_workflow_id, "pause")
    return chains.item(chain.id)


@router.post("/resume", WRITE)
async def resume_work_chain(
    body: WorkChainRef, chains: Chains, workflows: AfterCommitDep
) -> Item[WorkChainRead]:
    """Let a paused work chain go on; a failed one is started again instead."""
    chain = await chains.get(body.chain_id)
    _require_status(chain, "resumed", chain.status is ChainStatus.paused)
    workflows.update(chain.temporal_workflow_id, "resume")
    return chains.item(chain.id)


@router.post("/cancel", WRITE)
async def cancel_work_chain(
    body: WorkChainRef, chains: Chains, session: DbSession, workflows: AfterCommitDep
) -> Item[WorkChainRead]:
    """Cancel a work chain and the run at work in it; issues that were not begun stay as they are.

    A chain that Temporal does not have yet is cancelled at once, a running one within seconds.
    """
    chain = await chains.get(body.chain_id, lock=True)
    _require_status(chain, "cancelled", not chain.status.is_final)
    if chain.status is ChainStatus.pending:
        await end_chain(session, chain, CloseChain(chain_id=chain.id, status=ChainStatus.cancelled))
    workflows.cancel(chain.temporal_workflow_id, certain=not chain.status.is_final)
    return chains.item(chain.id)


def _require_status(chain: WorkChain, verb: str, may: bool) -> None:
    if not may:
        raise Conflict(f"The chain is {chain.status} and cannot be {verb}.")
