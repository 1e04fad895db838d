"""One running sandbox: commands, files, and tool calls that happen once."""

import asyncio
import json
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from e2b import AsyncSandbox, CommandExitException
from e2b.exceptions import FileNotFoundException
from e2b.sandbox.filesystem.filesystem import AsyncWriteEntry
from pydantic import ValidationError

from gateways import errors
from gateways.e2b_errors import translated
from gateways.stopping import stopped_at_once
from gateways.toolbox.archive import archive, name
from kit.wire import Wire

HOME: Final = "/home/user"
PRIVATE: Final = f"{HOME}/.codecourier"
NOBODY_HOME: Final = "/nonexistent"
LONGEST_STREAM: Final = 2_000_000
"""Characters of one output stream that are kept: the first and the last half of them."""
TIMED_OUT: Final = 124
NOT_INSTALLED: Final = 97
GRACE_SECONDS: Final = 60
"""How much later than the command's own time-out the connection to it ends."""


@dataclass(frozen=True)
class Completed:
    """A command that ended; `exit_code` is `TIMED_OUT` when its time-out ended it."""

    exit_code: int
    stdout: str
    stderr: str


class ToolResult(Wire):
    """What one tool call came to, as the toolbox tells it."""

    content: str
    is_error: bool
    exit_code: int | None = None
    duration_ms: int
    truncated: bool


class SandboxHandle:
    """A sandbox that ran when it was attached to; every method raises `SandboxGone` once it does not."""

    def __init__(self, sandbox: AsyncSandbox) -> None:
        self._sandbox = sandbox

    @property
    def id(self) -> str:
        return self._sandbox.sandbox_id

    async def run(
        self,
        command: Sequence[str] | str,
        *,
        envs: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout_seconds: int,
    ) -> Completed:
        """Run a program (a list of words) or a line of bash to its end; its failure is a value, not an error.

        Cancelling stops the wait; the command ends by its own time-out.
        """
        words = ["bash", "-c", command] if isinstance(command, str) else list(command)
        bounded = shlex.join(["timeout", "--kill-after=5", str(timeout_seconds), *words])
        return await stopped_at_once(self._finish(f"exec {bounded}", envs or {}, cwd, timeout_seconds))

    async def tool(
        self,
        call_id: str,
        request: Mapping[str, object],
        *,
        envs: Mapping[str, str] | None = None,
        timeout_seconds: int,
    ) -> ToolResult:
        """Carry out one tool call, exactly once however often it is asked for under the same `call_id`.

        `request` is `{"tool": …}` and the tool's own fields.  A call that ran is told again, one that runs is
        waited for.  Cancelling stops the wait and leaves the call running.
        """
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", call_id):
            raise errors.UpstreamRefused(
                "A tool call's id must be 1 to 128 of the characters A-Z a-z 0-9 _ -."
            )
        wished = request.get("timeout_seconds")
        seconds = min(wished, timeout_seconds) if isinstance(wished, int) else timeout_seconds
        body = json.dumps({**request, "timeout_seconds": seconds}).encode()
        return await stopped_at_once(self._call(call_id, body, envs or {}, timeout_seconds))

    async def read(self, path: str, limit: int) -> bytes | None:
        """At most the first `limit` bytes of a file; None when there is no such file."""
        with translated("Reading a file in the sandbox"):
            try:
                reader = await self._sandbox.files.read(path, format="stream")
            except FileNotFoundException:
                return None
            data = bytearray()
            try:
                async for chunk in reader:
                    data += chunk
                    if len(data) >= limit:
                        break
            finally:
                await reader.aclose()
            return bytes(data[:limit])

    async def write(self, path: str, data: bytes | str) -> None:
        """Create or overwrite a file, and the directories above it."""
        await self.write_many({path: data})

    async def write_many(self, files: Mapping[str, bytes | str]) -> None:
        entries = [AsyncWriteEntry(path=path, data=data) for path, data in files.items()]
        with translated("Writing files in the sandbox"):
            await self._sandbox.files.write_files(entries)

    async def _call(self, call_id: str, body: bytes, envs: Mapping[str, str], seconds: int) -> ToolResult:
        inbox = f"{PRIVATE}/inbox/{call_id}-{secrets.token_hex(4)}.json"
        toolbox = f"{PRIVATE}/{name()}"
        command = (
            f"[ -f {toolbox} ] || exit {NOT_INSTALLED}; "
            f"exec <{inbox} && rm {inbox} && exec python3 -IS {toolbox} {call_id}"
        )
        await self.write(inbox, body)  # whole before anything starts
        completed = await self._finish(command, envs, None, seconds)
        if completed.exit_code == NOT_INSTALLED:
            await self._install(toolbox)
            completed = await self._finish(command, envs, None, seconds)
        if completed.exit_code == 127:
            raise errors.UpstreamRefused(
                "The sandbox's template has no python3: use one with Python 3.8 or later."
            )
        try:
            return ToolResult.model_validate_json(completed.stdout)
        except ValidationError as error:
            said = completed.stderr.strip()[-300:] or f"exit code {completed.exit_code}"
            raise errors.UpstreamFailed(f"The sandbox's tool runner gave no result: {said}") from error

    async def _install(self, path: str) -> None:
        partial = f"{path}.{secrets.token_hex(4)}"
        await self.write(partial, archive())
        await self._finish(f"exec mv {partial} {path}", {}, None, 30)

    async def _finish(
        self, command: str, envs: Mapping[str, str], cwd: str | None, seconds: int
    ) -> Completed:
        """Run a line in the login shell that E2B starts, away from start-up files that an agent wrote."""
        stdout, stderr = Ends(LONGEST_STREAM), Ends(LONGEST_STREAM)
        line = f"export HOME={shlex.quote(envs.get('HOME', HOME))}; {command}"
        with translated("Running a command in the sandbox"):
            process = await self._sandbox.commands.run(
                line,
                background=True,
                envs={**envs, "HOME": NOBODY_HOME},
                cwd=cwd or HOME,
                timeout=seconds + GRACE_SECONDS,
                on_stdout=stdout.add,
                on_stderr=stderr.add,
                retain_output=False,
            )
            try:
                exit_code = (await process.wait()).exit_code
            except CommandExitException as ended:
                exit_code = ended.exit_code
            except asyncio.CancelledError:
                await process.disconnect()
                raise
        return Completed(exit_code, stdout.text(), stderr.text())


class Ends:
    """A stream's text, its middle left out once it is longer than `limit` characters."""

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._head, self._tail, self._length = "", "", 0

    def add(self, text: str) -> None:
        self._length += len(text)
        room = self._half - len(self._head)
        self._head += text[:room]
        self._tail = (self._tail + text[room:])[-self._half :]

    def text(self) -> str:
        left_out = self._length - len(self._head) - len(self._tail)
        middle = f"\n[… {left_out} characters left out …]\n" if left_out else ""
        return self._head + middle + self._tail
