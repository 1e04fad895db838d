"""Sprint chains: started, held, resumed and ended."""

from typing import Annotated

from fastapi import Query

from api.after_commit import Session, Workflows
from api.auth import needs
from api.github.repository_fields import must_be_branch_name, repository
from api.http.pagination import Window
from api.http.responses import Many, One
from api.http.router import Router
from api.http.rows import Rows, rows
from api.workflow_start import hand_over
from kit.errors import Invalid
from models.blueprints.blueprint import Blueprint
from models.blueprints.blueprint_schemas import WORKFLOWS, WorkflowRead
from models.budgets.chain_budget import open_chain_budget
from models.chains.chain import ChainStatus
from models.chains.sprint_chain import SprintChain
from models.chains.sprint_chain_schemas import SPRINT_CHAINS, SprintChainCreate, SprintChainRead
from models.event import EventType, append
from models.projects.allowed_repository import require_repository

router = Router("/sprint-chains", "Sprint Chains")
READ, WRITE = needs("chains:read"), needs("chains:write")
Chains = Annotated[Rows[SprintChain, SprintChainRead], rows(SPRINT_CHAINS)]
Blueprints = Annotated[Rows[Blueprint, WorkflowRead], rows(WORKFLOWS)]


class ChainList(Window):
    status: ChainStatus | None = None
    """Only sprint chains of this status."""


@router.get("", READ)
async def list_sprint_chains(chains: Chains, window: Annotated[ChainList, Query()]) -> Many[SprintChainRead]:
    """List the project's sprint chains, newest first."""
    return chains.page(window)


@router.get("/{id}", READ)
async def get_sprint_chain(id: str, chains: Chains) -> One[SprintChainRead]:
    """Get one sprint chain."""
    return chains.one(id)


@router.post("", WRITE, creates=True)
async def create_sprint_chain(
    body: SprintChainCreate, chains: Chains, blueprints: Blueprints, session: Session, workflows: Workflows
) -> One[SprintChainRead]:
    """Create and start a sprint chain: a run and a pull request for each sprint, one after another.

    Each sprint is told the master prompt and what the sprints before it did; all work from the same base
    branch. `running` as soon as Temporal has it, `pending` when it cannot be reached just now.
    """
    blueprint = await blueprints.get(body.workflow_id)
    start, end = body.sprint_range
    given = body.model_dump(exclude={"sprint_range", "max_cost_usd"})
    slug = repository(body.github_repo_url, chains.unit.api.settings)
    await require_repository(session, chains.unit.key.project_id, slug)
    must_be_branch_name(body.branch_name)
    chain = chains.add(**given, repository_slug=slug, sprint_start=start, sprint_end=end)
    must_be_within(chain, body.resume_from_sprint)
    await open_chain_budget(
        session, chain, blueprint, body.max_cost_usd, chains.unit.api.settings.default_model
    )
    append(session, chain, EventType.chain_created)
    hand_over(chain, workflows)
    return chains.one(chain.id)


def must_be_within(chain: SprintChain, index: int | None) -> None:
    if index is not None and index >= chain.count:
        raise Invalid(
            f"resumeFromSprint: an index below {chain.count}, counted from 0.", field="resumeFromSprint"
        )
