"""Sprint chains: started, held, resumed and ended."""

from typing import Annotated

from fastapi import Query

from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.auth import requires
from api.github.repository_fields import parse_repository_field, require_branch_name
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from kit.errors import Invalid
from models.blueprints.blueprint import Blueprint
from models.blueprints.blueprint_schemas import WORKFLOWS, WorkflowRead
from models.budgets.chain_budget import open_chain_budget
from models.chains.chain import ChainStatus
from models.chains.sprint_chain import SprintChain
from models.chains.sprint_chain_schemas import SPRINT_CHAINS, SprintChainCreate, SprintChainRead
from models.event import EventType, append_event
from models.projects.allowed_repository import require_repository

router = Router("/sprint-chains", "Sprint Chains")
READ, WRITE = requires("chains:read"), requires("chains:write")
Chains = Annotated[ProjectRows[SprintChain, SprintChainRead], project_rows(SPRINT_CHAINS)]
Blueprints = Annotated[ProjectRows[Blueprint, WorkflowRead], project_rows(WORKFLOWS)]


class ChainList(PageQuery):
    status: ChainStatus | None = None
    """Only sprint chains of this status."""


@router.get("", READ)
async def list_sprint_chains(
    chains: Chains, window: Annotated[ChainList, Query()]
) -> ItemPage[SprintChainRead]:
    """List the project's sprint chains, newest first."""
    return chains.page(window)


@router.get("/{id}", READ)
async def get_sprint_chain(id: str, chains: Chains) -> Item[SprintChainRead]:
    """Get one sprint chain."""
    return chains.item(id)


@router.post("", WRITE, creates=True)
async def create_sprint_chain(
    body: SprintChainCreate,
    chains: Chains,
    blueprints: Blueprints,
    session: DbSession,
    workflows: AfterCommitDep,
) -> Item[SprintChainRead]:
    """Create and start a sprint chain: a run and a pull request for each sprint, one after another.

    Each sprint is told the master prompt and what the sprints before it did; all work from the same base
    branch. `running` as soon as Temporal has it, `pending` when it cannot be reached just now.
    """
    blueprint = await blueprints.get(body.workflow_id)
    start, end = body.sprint_range
    given = body.model_dump(exclude={"sprint_range", "max_cost_usd"})
    slug = parse_repository_field(body.github_repo_url, chains.unit.api.settings)
    await require_repository(session, chains.unit.key.project_id, slug)
    require_branch_name(body.branch_name)
    chain = chains.add(**given, repository_slug=slug, sprint_start=start, sprint_end=end)
    require_sprint_index(chain, body.resume_from_sprint)
    await open_chain_budget(
        session, chain, blueprint, body.max_cost_usd, chains.unit.api.settings.default_model
    )
    append_event(session, chain, EventType.chain_created)
    start_after_commit(chain, workflows)
    return chains.item(chain.id)


def require_sprint_index(chain: SprintChain, index: int | None) -> None:
    if index is not None and index >= chain.count:
        raise Invalid(
            f"resumeFromSprint: an index below {chain.count}, counted from 0.", field="resumeFromSprint"
        )
