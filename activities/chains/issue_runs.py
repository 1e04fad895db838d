"""The run of an issue in a work chain: the issue's prompt, on top of what the chain has done so far."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.settings import Settings
from models import Issue, Run, WorkChain
from models.runs.run import PrStatus, RunSource, RunStatus
from models.runs.run_start import RunStart, create_run, run_name_from_prompt


async def create_issue_run(
    session: AsyncSession, chain: WorkChain, index: int, issue: Issue, key: str, settings: Settings
) -> Run:
    """A pending run for the issue at this index; NotFound, Invalid or Conflict when it cannot be."""
    base_branch = await _base_branch(session, chain, index)
    request = RunStart(
        workflow_id=chain.workflow_id,
        prompt=issue.prompt,
        name=run_name_from_prompt(issue.title),
        base_branch=base_branch,
    )
    run = await create_run(
        session,
        project_id=chain.project_id,
        request=request,
        repository_slug=chain.repository_slug,
        repository_url=chain.github_repo_url,
        default_model=settings.default_model,
        source=RunSource.work_chain,
        unique_key=key,
        creates_base_branch=base_branch is not None and base_branch == chain.branch_name,
        priority=issue.priority.run_priority,
    )
    run.chain_id, run.temporal_namespace = chain.id, chain.temporal_namespace
    return run


async def _base_branch(session: AsyncSession, chain: WorkChain, index: int) -> str | None:
    """The branch of the last run before this index whose pull request waits; the chain's own without one.

    What was merged is in the branch below already, and its own branch may be gone.
    """
    before = [run_id for run_id in chain.issue_run_ids[:index] if run_id]
    runs = (await session.execute(select(Run).where(col(Run.id).in_(before)))).scalars()
    waiting = {
        run.id: run.branch_name
        for run in runs
        if run.status is RunStatus.completed and run.pr_url and run.pr_status is not PrStatus.merged
    }
    return next((waiting[run_id] for run_id in reversed(before) if run_id in waiting), chain.branch_name)
