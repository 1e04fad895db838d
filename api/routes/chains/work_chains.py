"""Work chains: issues put in a row, looked at and deleted."""

from typing import Annotated

from fastapi import Query

from api.after_commit import DbSession
from api.auth import requires
from api.github.repository_fields import parse_repository_field, require_branch_name
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from kit.errors import Conflict
from models.blueprints.blueprint import Blueprint
from models.blueprints.blueprint_schemas import WORKFLOWS, WorkflowRead
from models.budgets.chain_budget import open_chain_budget
from models.chains.chain import ChainStatus
from models.chains.work_chain import WorkChain, assign_issues, delete_chain
from models.chains.work_chain_schemas import (
    CHAIN_ISSUES,
    WORK_CHAINS,
    ChainIssueRead,
    WorkChainCreate,
    WorkChainRead,
    WorkChainRef,
)
from models.event import EventType, append_event
from models.projects.allowed_repository import require_repository
from models.projects.project import Project

router = Router("/work-chains", "Work Chains")
READ, WRITE = requires("chains:read"), requires("chains:write")
Chains = Annotated[ProjectRows[WorkChain, WorkChainRead], project_rows(WORK_CHAINS)]
Blueprints = Annotated[ProjectRows[Blueprint, WorkflowRead], project_rows(WORKFLOWS)]


class WorkChainList(PageQuery):
    status: ChainStatus | None = None
    """Only work chains of this status."""


class ChainIssueList(PageQuery):
    id: str
    """The work chain's id."""


@router.get("/list", READ)
async def list_work_chains(
    chains: Chains, window: Annotated[WorkChainList, Query()]
) -> ItemPage[WorkChainRead]:
    """List the project's work chains, newest first."""
    return chains.page(window)


@router.get("/get", READ)
async def get_work_chain(id: str, chains: Chains) -> Item[WorkChainRead]:
    """Get one work chain."""
    return chains.item(id)


@router.get("/issues", READ)
async def list_work_chain_issues(
    chains: Chains, window: Annotated[ChainIssueList, Query()]
) -> ItemPage[ChainIssueRead]:
    """List the issues of a work chain in the order of their work, without those that were deleted."""
    chain = await chains.get(window.id)
    where: dict[str, object] = {"project_id": chain.project_id, "id": chain.issue_ids}
    return ItemPage(CHAIN_ISSUES, where, window, descending=False)


@router.post("/create", WRITE, creates=True)
async def create_work_chain(
    body: WorkChainCreate, chains: Chains, blueprints: Blueprints, session: DbSession
) -> Item[WorkChainRead]:
    """Create a work chain; it waits, `pending`, until it is started.

    Without `githubRepoUrl` it works on the project's repository, without `branchName` from the workflow's
    base branch.
    """
    blueprint = await blueprints.get(body.workflow_id)
    project = await session.get_one(Project, chains.unit.key.project_id)
    url = body.github_repo_url or project.github_repo_url
    if url is None:
        raise Conflict("Give githubRepoUrl, or set the project's repository: POST /api/v1/project/update.")
    slug = parse_repository_field(url, chains.unit.api.settings)
    await require_repository(session, chains.unit.key.project_id, slug)
    require_branch_name(body.branch_name)
    chain = chains.add(
        **body.model_dump(exclude={"max_cost_usd"}) | {"github_repo_url": url, "repository_slug": slug}
    )
    await assign_issues(session, chain)
    await open_chain_budget(
        session, chain, blueprint, body.max_cost_usd, chains.unit.api.settings.default_model
    )
    append_event(session, chain, EventType.chain_created)
    return chains.item(chain.id)


@router.post("/delete", WRITE)
async def delete_work_chain(body: WorkChainRef, chains: Chains, session: DbSession) -> Item[WorkChainRead]:
    """Delete a work chain that is not at work; its issues and runs stay."""
    chain = await chains.get(body.chain_id, lock=True)
    await delete_chain(session, chain)
    return chains.item_in_trash(chain.id)
