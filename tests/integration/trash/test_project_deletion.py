"""A project deleted in the middle of its work on the real parts: nothing of it is left anywhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlmodel import SQLModel, col

from activities.schedules.temporal_schedule import sync_temporal_schedule
from activities.trash.launch import project_deletion_id
from gateways.git.repository import checkpoint_ref
from models import ApiKey, Member, Project, RecurringTask, Run, SprintChain
from models.base import now
from models.issues.answering_session import AnsweringStatus
from models.projects.api_key import SCOPES
from models.projects.project import Role
from models.runs.run import RunStatus
from models.schedules.recurrence import Frequency
from tests.conftest import ProjectKey
from tests.integration.issues.test_answering_sessions import a_session, reaches
from tests.support import chains, sandbox_jobs
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.interrupted_runs import CHECKPOINT_THEN_WAIT, checkpoint_refs, start_run_with_checkpoint
from tests.support.outcomes import git
from tests.support.scenarios import bash, finish, register_scenario
from tests.support.stack import Servers
from tests.unit.api.conftest import client_of, running

OVER = register_scenario("over-before-its-project", bash("true"), finish("Nothing to do."))


async def key_of(site: Installation, project: Project) -> ProjectKey:
    """An owner's key."""
    member = Member(project_id=project.id, email="owner@example.com", name="Owner", role=Role.owner)
    key, secret = ApiKey.generate(project_id=project.id, member_id=member.id, name="test", scopes=[*SCOPES])
    await site.add(member, key)
    return ProjectKey(project.id, member.id, key.id, secret)


async def counts(site: Installation) -> dict[str, int]:
    """How many rows every table has, but for the waits that providers asked of a key."""
    async with site.database.transaction() as session:
        return {
            name: (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for name, table in SQLModel.metadata.tables.items()
            if name not in ("pacing", "sweep")
        }


async def a_chain_at_work(site: Installation, project: Project) -> SprintChain:
    slug = await site.repository()
    blueprint = site.blueprint(project.id)
    await site.add(blueprint)
    chain = SprintChain(
        project_id=project.id,
        workflow_id=blueprint.id,
        repository_slug=slug,
        sprint_start=1,
        sprint_end=3,
        github_repo_url=f"{site.settings.github_url}/{slug}",
        prompt=f"Part {{{{sprint}}}}: {CHECKPOINT_THEN_WAIT}",
    )
    await site.add(chain)
    await chains.wait_for_started_runs(site, await chains.start(site, chain), 1)
    return chain


async def a_task(site: Installation, project: Project, blueprint_id: str) -> RecurringTask:
    task = RecurringTask(
        project_id=project.id,
        target_workflow_id=blueprint_id,
        title="Daily",
        prompt="p",
        timezone="UTC",
        frequency=Frequency.daily,
        scheduled_hour=3,
        scheduled_minute=0,
    )
    task.plan_next_run(now())
    await site.add(task)
    await sync_temporal_schedule(site.database, site.client, task.id)
    return task


async def a_project_at_work(site: Installation) -> tuple[Project, Run]:
    """In the middle of a run, a chain and an answering session, with a recurring task and a sandbox."""
    project = await site.project()
    run, chain, session = await asyncio.gather(
        start_run_with_checkpoint(site, project),
        a_chain_at_work(site, project),
        a_session(site, project=project),
    )
    await reaches(site, session, AnsweringStatus.active)
    await a_task(site, project, chain.workflow_id)
    await sandbox_jobs.start(site, project.id, run.repository_slug, f"Do {CHECKPOINT_THEN_WAIT}", 600)
    return project, run


async def delete(site: Installation, project: Project) -> None:
    """By an owner's key, after which it is dead."""
    async with running(site.settings) as app, client_of(app, await key_of(site, project)) as client:
        answer = await client.post("/project/delete", json={"slug": project.slug})
        assert (answer.status_code, answer.json()["data"]["status"]) == (200, "deleting")
        assert (await client.get("/runs/list")).status_code == 401


async def leaves_nothing(site: Installation, project: Project, run: Run, before: dict[str, int]) -> None:
    async def is_gone() -> bool:
        return await site.rows(Project, col(Project.id) == project.id, col(Project.id)) == []

    await wait_until(is_gone, f"{project.id} is gone")
    await site.client.get_workflow_handle(project_deletion_id(project.id)).result()
    assert await counts(site) == before
    assert await site.sandboxes.find({}) == []
    assert checkpoint_refs(site, run) == []
    assert [
        entry.id async for entry in await site.client.list_schedules() if entry.id.startswith("rt_")
    ] == []
    own = project_deletion_id(project.id)

    async def none_is_listed() -> bool:
        """The engine lists what there is a little later."""
        found = site.client.list_workflows(f"ProjectId = '{project.id}' AND ExecutionStatus = 'Running'")
        return [each.id async for each in found if each.id != own] == []

    await wait_until(none_is_listed, "no workflow is at work")


@asynccontextmanager
async def a_site(
    parts: Servers, name: str, directory: Path
) -> AsyncIterator[tuple[Installation, dict[str, int]]]:
    """With a neighbour whose rows must stay; and how many rows there are."""
    async with open_installation(parts, name, directory) as site:
        await site.start_worker()
        neighbour = await site.accept("Stay where you are")
        async with site.database.transaction() as session:
            row = await session.get_one(Run, neighbour.id)
            row.close(RunStatus.cancelled)  # no sweep has anything to do with it
        yield site, await counts(site)


async def test_a_project_at_work_leaves_nothing(parts: Servers, tmp_path: Path) -> None:
    async with a_site(parts, "project-deletion", tmp_path / "site") as (site, before):
        project, run = await a_project_at_work(site)
        await delete(site, project)
        await leaves_nothing(site, project, run, before)


@pytest.mark.soak
async def test_killed_half_way_it_goes_on(parts: Servers, tmp_path: Path) -> None:
    async with a_site(parts, "project-deletion-killed", tmp_path / "site") as (site, before):
        project, run = await a_project_at_work(site)
        over = await site.ended(
            await site.start(f"Work {OVER}", project=project, repository=run.repository_slug)
        )
        git(site, over, "update-ref", checkpoint_ref(over.id), str(over.base_sha))
        site.set_trap(f"delete-ref@{project_deletion_id(project.id)}")
        await delete(site, project)
        assert await site.workers[-1].ended(60), "the worker never came to the hidden refs"
        assert checkpoint_ref(over.id) in checkpoint_refs(site, over)
        await site.start_worker()
        await leaves_nothing(site, project, run, before)
