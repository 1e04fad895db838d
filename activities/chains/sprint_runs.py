"""The run of a sprint: the chain's prompt with the sprint's number, and what the sprints before it did."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from gateways.anthropic.conversation import truncate
from kit.settings import Settings
from models import Run, RunStep, SprintChain
from models.agent.sections import untrusted_section
from models.runs.run import RunSource
from models.runs.run_start import RunStart, create_run, run_name_from_prompt
from models.runs.run_step import StepStatus

MAX_SUMMARY_CHARS = 2_000
"""Characters of an earlier sprint's summary that later ones are told."""
MAX_EARLIER_SPRINTS = 20
"""Earlier sprints that a sprint is told of, the latest ones."""


async def create_sprint_run(
    session: AsyncSession, chain: SprintChain, index: int, key: str, settings: Settings
) -> Run:
    """A pending run of the sprint with this index; NotFound, Invalid or Conflict when it cannot be."""
    number = chain.sprint_start + index
    prompt = chain.prompt.replace("{{sprint}}", str(number)).replace("{{sprintCount}}", str(chain.count))
    request = RunStart(
        workflow_id=chain.workflow_id,
        prompt="\n\n".join([prompt, *await _earlier_sprints(session, chain, index)]),
        name=f"Sprint {number}: {run_name_from_prompt(prompt)}",
        base_branch=chain.branch_name,
    )
    run = await create_run(
        session,
        project_id=chain.project_id,
        request=request,
        repository_slug=chain.repository_slug,
        repository_url=chain.github_repo_url,
        default_model=settings.default_model,
        source=RunSource.sprint_chain,
        unique_key=key,
        creates_base_branch=chain.branch_name is not None,
    )
    run.chain_id, run.temporal_namespace = chain.id, chain.temporal_namespace
    return run


async def _earlier_sprints(session: AsyncSession, chain: SprintChain, index: int) -> list[str]:
    """What the sprints before this one did, with their pull requests."""
    told = []
    done = list(enumerate(zip(chain.sprint_run_ids, chain.sprint_pr_urls, strict=False)))[:index]
    for place, (run_id, pr_url) in done[-MAX_EARLIER_SPRINTS:]:
        if run_id is None:
            continue
        summary = truncate(await _last_output(session, run_id), MAX_SUMMARY_CHARS)
        where = {"pull_request": pr_url} if pr_url else {}
        told.append(untrusted_section("sprint", summary, number=chain.sprint_start + place, **where))
    return told


async def _last_output(session: AsyncSession, run_id: str) -> str:
    statement = (
        select(col(RunStep.output))
        .where(col(RunStep.run_id) == run_id, col(RunStep.status) == StepStatus.completed)
        .order_by(col(RunStep.id).desc())
    )
    return (await session.execute(statement.limit(1))).scalar_one_or_none() or ""
