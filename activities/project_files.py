"""The files that a project brings into a run's repository, for the agent to read and for nobody to commit."""

import posixpath

from temporalio.exceptions import ApplicationError

from activities.prompts import folder
from gateways.repository import REPOSITORY
from gateways.sandbox import SandboxHandle
from models.job_snapshot import Snapshot


async def project_files(handle: SandboxHandle, snapshot: Snapshot) -> int:
    """Write `CLAUDE.md`, skills and commands, hidden from git; how many files.

    A file that the repository has itself stays as it is; writing again is harmless.
    """
    files: dict[str, str] = {}
    if snapshot.claude_md:
        files["CLAUDE.md"] = snapshot.claude_md
    for skill in snapshot.skills:
        for file in skill.files:
            files[_inside(f".claude/skills/{folder(skill.name)}", file.name)] = file.content
    for command in snapshot.commands:
        files[_inside(".claude/commands", f"{command.name}.md")] = command.content
    if not files:
        return 0
    listed = await handle.run(["git", "-C", REPOSITORY, "ls-files", "-z", "--", *files], timeout_seconds=60)
    own = set(listed.stdout.split("\0"))
    brought = {path: content for path, content in files.items() if path not in own}
    await handle.write_many({f"{REPOSITORY}/{path}": content for path, content in brought.items()})
    exclude = "".join(f"/{path}\n" for path in sorted(brought))
    await handle.write(f"{REPOSITORY}/.git/info/exclude", exclude)
    return len(brought)


def _inside(directory: str, name: str) -> str:
    """A path below a directory of the repository; names that would lead out of it are refused."""
    path = posixpath.normpath(f"{directory}/{name}")
    if not path.startswith(f"{directory}/") or "\0" in path:
        raise ApplicationError(
            f"The skill file '{name}' would be written outside {directory}: rename it.",
            type="INVALID_SKILL_FILE",
            non_retryable=True,
        )
    return path
