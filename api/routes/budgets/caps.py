"""Caps: raised, lowered and removed.  What waits for one goes on at once."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from fastapi import Request
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client
from temporalio.service import RPCError

from api.after_commit import AfterCommit, AfterCommitDep, DbSession
from api.auth import requires
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.state import unit_of_work_of
from kit.errors import Conflict
from models.budgets.schemas import BudgetChange, BudgetRead, read_budget
from models.budgets.wait import change_cap
from models.chains.chain import Chain, ChainStatus
from models.chains.sprint_chain import SprintChain
from models.chains.sprint_chain_schemas import SPRINT_CHAINS, SprintChainRead
from models.chains.work_chain import WorkChain
from models.chains.work_chain_schemas import WORK_CHAINS, WorkChainRead
from models.merging.merge_job import MergeJob
from models.merging.merge_job_schemas import MERGE_JOBS, MergeJobRead
from models.projects.project import Role
from models.runs.run import Run
from models.runs.run_schemas import RUNS, RunRead

router = Router("", "Budgets")
Runs = Annotated[ProjectRows[Run, RunRead], project_rows(RUNS)]
SprintChains = Annotated[ProjectRows[SprintChain, SprintChainRead], project_rows(SPRINT_CHAINS)]
WorkChains = Annotated[ProjectRows[WorkChain, WorkChainRead], project_rows(WORK_CHAINS)]
MergeJobs = Annotated[ProjectRows[MergeJob, MergeJobRead], project_rows(MERGE_JOBS)]
BUDGET_CHANGED_SIGNAL = "budget_changed"
"""Of an agent session's workflow: what it waits for has changed."""


@router.put("/runs/{id}/budget", requires("runs:write"))
async def set_run_budget(
    id: str, body: BudgetChange, runs: Runs, session: DbSession, workflows: AfterCommitDep
) -> BudgetRead:
    """Set what a run may cost in all, or remove the limit.

    A run that is paused because its budget is reached goes on at once, if the new cap pays for its next model
    call. A cap below what is spent is allowed: the run pauses before its next model call.
    """
    run = await runs.get(id, lock=True)
    if run.is_finished:
        raise Conflict(f"Run {run.run_number} is {run.status}: it costs nothing any more.")
    return await _change_cap(session, workflows, run.project_id, run.id, body)


@router.put("/sprint-chains/{id}/budget", requires("chains:write"))
async def set_sprint_chain_budget(
    id: str, body: BudgetChange, chains: SprintChains, session: DbSession, workflows: AfterCommitDep
) -> BudgetRead:
    """Set what all runs of a sprint chain may cost together, or remove the limit.

    A run of it that is paused because this budget is reached goes on at once.
    """
    chain = await chains.get(id, lock=True)
    _require_resumable(chain)
    return await _change_cap(session, workflows, chain.project_id, chain.id, body)


@router.put("/work-chains/{id}/budget", requires("chains:write"))
async def set_work_chain_budget(
    id: str, body: BudgetChange, chains: WorkChains, session: DbSession, workflows: AfterCommitDep
) -> BudgetRead:
    """Set what all runs of a work chain may cost together, or remove the limit.

    A run of it that is paused because this budget is reached goes on at once.
    """
    chain = await chains.get(id, lock=True)
    _require_resumable(chain)
    return await _change_cap(session, workflows, chain.project_id, chain.id, body)


@router.put("/merging/{id}/budget", requires("github:write"))
async def set_merge_budget(
    id: str, body: BudgetChange, merge_jobs: MergeJobs, session: DbSession, workflows: AfterCommitDep
) -> BudgetRead:
    """Set what the agents of a merge may cost in all, or remove the limit.

    A merge that waits because its budget is reached goes on at once.
    """
    job = await merge_jobs.get(id, lock=True)
    if job.is_finished:
        raise Conflict(f"The merge is {job.status}: it costs nothing any more.")
    return await _change_cap(session, workflows, job.project_id, job.id, body)


@router.get("/project/budget", requires("projects:read"))
async def get_project_budget(session: DbSession, request: Request) -> BudgetRead:
    """Get what the whole project may spend on models in a calendar month (UTC), and has spent in this one."""
    project_id = unit_of_work_of(request).key.project_id
    return await read_budget(session, project_id, project_id)


@router.put("/project/budget", requires("projects:write", Role.admin))
async def set_project_budget(
    body: BudgetChange, session: DbSession, workflows: AfterCommitDep, request: Request
) -> BudgetRead:
    """Set what the whole project may spend on models in a calendar month (UTC), or remove the limit.

    Everything that waits because this budget is reached goes on at once, and with the new month too.
    """
    project_id = unit_of_work_of(request).key.project_id
    return await _change_cap(session, workflows, project_id, project_id, body)


def wake_sessions(workflows: AfterCommit, sessions: Sequence[str]) -> None:
    """Tell agent sessions, after the commit, that what they wait for has changed.

    One that is not told, because Temporal cannot be reached, looks by itself within half an hour.
    """

    async def tell(client: Client) -> None:
        await asyncio.gather(*(_signal_session(client, session_id) for session_id in sessions))

    if sessions:
        workflows.notify(sessions[0], tell)


async def _signal_session(client: Client, session_id: str) -> None:
    with suppress(RPCError):  # it has ended meanwhile
        await client.get_workflow_handle(session_id).signal(BUDGET_CHANGED_SIGNAL)


async def _change_cap(
    session: AsyncSession, workflows: AfterCommit, project_id: str, holder_id: str, body: BudgetChange
) -> BudgetRead:
    _, waiting = await change_cap(session, project_id, holder_id, body.max_cost_usd)
    wake_sessions(workflows, waiting)
    await session.flush()
    return await read_budget(session, project_id, holder_id)


def _require_resumable(chain: Chain) -> None:
    """A failed chain may be tried again, and so may have another cap."""
    if chain.status in (ChainStatus.completed, ChainStatus.cancelled):
        raise Conflict(f"The chain is {chain.status}: it costs nothing any more.")
