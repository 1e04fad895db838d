"""Running git on a bare repository: no shell, no hooks, no user or system configuration."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Every command of the forge sees exactly these settings on top of the repository's own.
GIT_CONFIG = {
    "safe.directory": "*",  # the directory is ours, though another uid may have made it
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "gc.autoDetach": "false",  # a detached gc would outlive the forge
    "http.receivepack": "true",
    "http.getanyfile": "false",
    "receive.hideRefs": "refs/pull",  # as on GitHub: everyone may fetch them, only the forge writes them
    "transfer.fsckObjects": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
}
MAX_CONCURRENT_PROCESSES = 12  # git processes; more only queue for the same two cores


class GitFailed(Exception):
    """git ended with an unexpected code; the message carries its standard error."""


@dataclass(frozen=True, slots=True)
class GitResult:
    """How a command ended: its exit code and standard output."""

    code: int
    out: bytes

    @property
    def text(self) -> str:
        """Standard output as text without the final newline; bytes that are not UTF-8 become U+FFFD."""
        return self.out.decode("utf-8", "replace").rstrip("\n")


def git_environment(extra: Mapping[str, str] | None = None, hooks: Path | None = None) -> dict[str, str]:
    """A complete environment for git: nothing is inherited but PATH, so no secret and no HOME can be.

    hooks: a directory of hooks to run; none are run without it.
    """
    chosen = GIT_CONFIG if hooks is None else {**GIT_CONFIG, "core.hooksPath": str(hooks)}
    settings = {"GIT_CONFIG_COUNT": str(len(chosen))}
    for index, (key, value) in enumerate(chosen.items()):
        settings |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        **settings,
        **(extra or {}),
    }


class Git:
    """One bare repository on disk."""

    _slots = asyncio.Semaphore(MAX_CONCURRENT_PROCESSES)

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        extra: Mapping[str, str] | None = None,
        codes: Sequence[int] = (0,),
    ) -> GitResult:
        """Runs `git ARGUMENTS` here; an exit code not in `codes` raises `GitFailed`."""
        async with self._slots:
            process = await asyncio.create_subprocess_exec(
                "git",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=git_environment({"GIT_DIR": str(self.directory), **(extra or {})}),
                cwd=self.directory,
            )
            try:
                out, err = await process.communicate(stdin)
            finally:
                if process.returncode is None:  # cancelled: leave no process behind
                    process.kill()
                    await process.wait()
        code = process.returncode if process.returncode is not None else -1
        if code not in codes:
            raise GitFailed(f"git {arguments[0]} ended with {code}: {err.decode('utf-8', 'replace').strip()}")
        return GitResult(code, out)

    async def text(
        self, *arguments: str, stdin: bytes | None = None, extra: Mapping[str, str] | None = None
    ) -> str:
        """Standard output of a command that must succeed."""
        return (await self.run(*arguments, stdin=stdin, extra=extra)).text

    async def init(self, default_branch: str) -> None:
        """Creates the bare repository in the directory, which must exist and be empty."""
        await self.run("init", "--quiet", "--bare", "--template=", f"--initial-branch={default_branch}")
        # In the repository's own file, not in SETTINGS, so that an operator can allow forced pushes to one.
        await self.run("config", "receive.denyNonFastForwards", "true")
