"""The first project of a stack, so that there is something to work with at once."""

from dataclasses import dataclass

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from cli.demo.repository import FILES, NAME, OWNER
from kit.crypto import digest
from kit.database import Database, driver_url
from kit.tenancy import DatabaseRole
from local.forge.seed import seed as seed_repository
from local.stack.plan import Plan
from models.blueprints.blueprint import DEFAULT_STEPS, Blueprint, BlueprintConfig
from models.projects.allowed_repository import EVERY_REPOSITORY, allow_repository
from models.projects.api_key import KEY_PREFIX, SCOPES, SHOWN_PREFIX_CHARS, ApiKey
from models.projects.project import Member, Project, Role

SLUG = "demo"


@dataclass(frozen=True)
class SeededProject:
    project_id: str
    api_key: str


async def seed_demo(plan: Plan, database_url: str, api_key: str) -> SeededProject:
    """Make the demo's project, its owner, a key with every scope, its repository; what is there stays.

    api_key: the secret of the key, kept by the stack in a file of its own; only its hash becomes a row.
    """
    repository_url = None
    if plan.is_embedded("forge"):
        await seed_repository(plan.directory / "forge", OWNER, NAME, FILES, message="A greeting")
        repository_url = f"{plan.url('forge')}/{OWNER}/{NAME}"
    database = Database(driver_url(database_url), role=DatabaseRole.worker, pool_size=1)
    try:
        async with database.transaction() as session:
            project = await _project(session)
            project.github_repo_url = repository_url or project.github_repo_url
            await _workflow(session, project)
            await _key(session, project, api_key)
            return SeededProject(project.id, api_key)
    finally:
        await database.close()


async def _project(session: AsyncSession) -> Project:
    found = (await session.exec(select(Project).where(Project.slug == SLUG))).one_or_none()
    if found is not None:
        return found
    project = Project(name="Demo", slug=SLUG)
    session.add(project)
    await session.flush()
    session.add(Member(project_id=project.id, email="owner@localhost", name="Owner", role=Role.owner))
    await allow_repository(session, project, EVERY_REPOSITORY)  # the stack's own project; others have a list
    await session.flush()
    return project


async def _workflow(session: AsyncSession, project: Project) -> None:
    """A first blueprint, so that a client finds one to start; a user who deleted it does not get it back."""
    if (await session.exec(select(Blueprint).where(Blueprint.project_id == project.id))).first() is not None:
        return
    steps = [step.model_dump(mode="json", by_alias=True) for step in DEFAULT_STEPS]
    config = BlueprintConfig().model_dump(mode="json", by_alias=True)
    blueprint = Blueprint(project_id=project.id, name="My Workflow", pipeline_steps=steps, config=config)
    session.add(blueprint)
    await session.flush()
    session.add(blueprint.as_version(None))


async def _key(session: AsyncSession, project: Project, secret: str) -> None:
    if (await session.exec(select(ApiKey).where(ApiKey.hash == digest(secret)))).one_or_none() is not None:
        return
    owner = (await session.exec(select(Member).where(Member.project_id == project.id))).first()
    assert owner is not None, "every project has an owner"
    session.add(
        ApiKey(
            project_id=project.id,
            member_id=owner.id,
            name="codecourier up",
            hash=digest(secret),
            key_prefix=secret[: len(KEY_PREFIX) + SHOWN_PREFIX_CHARS],
            scopes=SCOPES,
        )
    )
