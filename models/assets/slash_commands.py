"""Slash commands, like `/write-tests`: found in prompts and messages, and expanded for our own agent.

Those of a job at work are as they were when it started.
"""

import re
from collections.abc import Iterable
from itertools import islice

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.agent.sections import trusted_section
from models.assets.asset import AssetVersion
from models.jobs.snapshot import JobSnapshot, Snapshot, TextAsset

_SLASH_COMMAND = re.compile(
    r"""(?<![^\s(\[{"'`,;:])/       # at the beginning of a word: no part of a path or an address
    ([a-z0-9]+(?:-[a-z0-9]+)*)
    (?![\w/-]|\.\w)                 # to its end""",
    re.VERBOSE,
)


MAX_COMMANDS_PER_PROMPT = 1_000
"""Names that are looked for; what stands behind a slash in a prompt is no command as a rule."""


def find_slash_commands(*texts: str | None) -> list[str]:
    """The names that stand behind a slash in the texts, each once, whether such commands exist or not."""
    names = (match[1] for text in texts if text for match in _SLASH_COMMAND.finditer(text))
    return list(islice(dict.fromkeys(names), MAX_COMMANDS_PER_PROMPT))


def expand_slash_commands(commands: Iterable[TextAsset], *texts: str | None) -> list[str]:
    """Those of the commands that the texts name, each as a block, in the order in which they are named."""
    by_name = {command.name: command.content for command in commands}
    return [
        trusted_section("command", by_name[name], name=name)
        for name in find_slash_commands(*texts)
        if name in by_name
    ]


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
