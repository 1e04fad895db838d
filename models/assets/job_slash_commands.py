"""The commands that a message to a job at work may name: as they were when the job started."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.assets.asset import AssetVersion
from models.assets.slash_commands import expand_slash_commands, find_slash_commands
from models.jobs.snapshot import JobSnapshot, Snapshot, TextAsset


async def expand_job_commands(session: AsyncSession, job_id: str, *texts: str) -> list[str]:
    """A block for each command that the texts name; one that was deleted since is not expanded."""
    names = find_slash_commands(*texts)
    row = await session.get(JobSnapshot, job_id) if names else None
    if row is None:
        return []
    snapshot = Snapshot.model_validate(row.document)
    there = {command.name for command in snapshot.commands}
    versions = {
        version: name
        for name, version in snapshot.command_versions.items()
        if name in names and name not in there
    }
    statement = select(col(AssetVersion.id), col(AssetVersion.content)).where(
        col(AssetVersion.id).in_(versions)
    )
    later = [
        TextAsset(name=versions[version], content=content or "")
        for version, content in (await session.execute(statement) if versions else [])
    ]
    return expand_slash_commands([*snapshot.commands, *later], *texts)
