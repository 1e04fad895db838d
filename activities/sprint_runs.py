"""The run of a sprint: the chain's prompt with the sprint's number, and what the sprints before it did."""

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.prompts import outputs_of
from gateways.conversation import cut
from kit.settings import Settings
from models import Run, SprintChain
from models.run import RunSource
from models.run_start import RunStart, create_run, title

TOLD = 2_000
"""Characters of an earlier sprint's summary that later ones are told."""
TOLD_SPRINTS = 20
"""Earlier sprints that a sprint is told of, the latest ones."""


async def run_of_sprint(
    session: AsyncSession, chain: SprintChain, index: int, key: str, settings: Settings
) -> Run:
    """A pending run of the sprint with this index; NotFound, Invalid or Conflict when it cannot be."""
    number = chain.sprint_start + index
    prompt = chain.prompt.replace("{{sprint}}", str(number)).replace("{{sprintCount}}", str(chain.count))
    request = RunStart(
        workflow_id=chain.workflow_id,
        prompt="\n\n".join([prompt, *await _earlier(session, chain, index)]),
        name=f"Sprint {number}: {title(prompt)}",
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
    )
    run.chain_id = chain.id
    return run


async def _earlier(session: AsyncSession, chain: SprintChain, index: int) -> list[str]:
    """What the sprints before this one did, with their pull requests."""
    told = []
    done = list(enumerate(zip(chain.sprint_run_ids, chain.sprint_pr_urls, strict=False)))[:index]
    for place, (run_id, pr_url) in done[-TOLD_SPRINTS:]:
        if run_id is None:
            continue
        outputs = await outputs_of(session, run_id)
        summary = cut(outputs[-1].output, TOLD) if outputs else ""
        where = f' pull-request="{pr_url}"' if pr_url else ""
        told.append(f'<sprint number="{chain.sprint_start + place}"{where}>\n{summary}\n</sprint>')
    return told
