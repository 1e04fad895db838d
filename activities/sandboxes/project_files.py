"""The files that a project brings into a run's repository, for the agent to read and for nobody to commit."""

import posixpath
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from temporalio.exceptions import ApplicationError

from activities.agent.prompts import skill_folders
from gateways.git.repository import REPOSITORY
from gateways.sandboxes.sandbox import SandboxHandle
from models.jobs.snapshot import Snapshot


async def write_project_files(handle: SandboxHandle, snapshot: Snapshot) -> int:
    """Write `CLAUDE.md`, skills and commands, hidden from git; how many files.

    A file that the repository has itself stays as it is; writing again is harmless.  What it has a link or a
    plain file in the way of is left out, as it would land elsewhere.
    """
    files: dict[str, str] = {}
    folders = skill_folders(snapshot)
    if snapshot.claude_md:
        files["CLAUDE.md"] = snapshot.claude_md
    for skill in snapshot.skills:
        for file in skill.files:
            files[_path_below(f".claude/skills/{folders[skill.name]}", file.name)] = file.content
    for command in snapshot.commands:
        files[_path_below(".claude/commands", f"{command.name}.md")] = command.content
    for path in await _find_obstructed(handle, files):
        del files[path]
    if not files:
        return 0
    listed = await handle.run(
        ["git", "--literal-pathspecs", "-C", REPOSITORY, "ls-files", "-z", "--", *files], timeout_seconds=60
    )
    own = set(listed.stdout.split("\0"))
    brought = {path: content for path, content in files.items() if path not in own}
    await handle.write_many({f"{REPOSITORY}/{path}": content for path, content in brought.items()})
    exclude = "".join(f"/{_escape_pathspec(path)}\n" for path in sorted(brought))
    await handle.write(f"{REPOSITORY}/.git/info/exclude", exclude)
    return len(brought)


async def _find_obstructed(handle: SandboxHandle, files: Iterable[str]) -> list[str]:
    """Those of the files that cannot be written in their own place, for what is there is of another kind."""
    kinds = dict.fromkeys(files, "f")
    ways = {path: [*map(str, PurePosixPath(path).parents)][:-1] for path in kinds}
    kinds |= {way: "d" for each in ways.values() for way in each}
    if not kinds:
        return []
    places = [f"{REPOSITORY}/{path}" for path in kinds]
    found = await handle.run(["find", *places, "-maxdepth", "0", "-printf", "%y%p\\0"], timeout_seconds=60)
    there = {line[1:].removeprefix(f"{REPOSITORY}/"): line[0] for line in found.stdout.split("\0") if line}
    wrong = {path for path, kind in there.items() if kind != kinds[path]}
    return [path for path, way in ways.items() if not wrong.isdisjoint([path, *way])]


def _escape_pathspec(path: str) -> str:
    """A path as a pattern of git that fits this path only."""
    return re.sub(r"([\\*?\[\] ])", r"\\\1", path)


def _path_below(directory: str, name: str) -> str:
    """A path below a directory of the repository; names that would lead out of it are refused."""
    path = posixpath.normpath(f"{directory}/{name}")
    if not path.startswith(f"{directory}/") or "\0" in path:
        raise ApplicationError(
            f"The skill file '{name}' would be written outside {directory}: rename it.",
            type="INVALID_SKILL_FILE",
            non_retryable=True,
        )
    return path
