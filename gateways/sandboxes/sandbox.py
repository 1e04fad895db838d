"""One running sandbox: commands, files, and tool calls that happen once."""

import asyncio
import json
import re
import secrets
import shlex
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from e2b import AsyncSandbox, CommandExitException
from e2b.exceptions import FileNotFoundException
from e2b.sandbox.filesystem.filesystem import AsyncWriteEntry
from pydantic import ValidationError, field_validator

from gateways import errors
from gateways.sandboxes.errors import mapped_errors
from gateways.toolbox.archive import archive, client, name
from gateways.toolbox.outcome import MAX_CONTENT_CHARS
from kit.logs import logger
from kit.schemas import Wire

T = TypeVar("T")
CANCEL_TIMEOUT_SECONDS = 2.0


async def cancel_promptly(work: Coroutine[object, object, T]) -> T:
    """The result of `work`; when cancelled, cancel it and wait `CANCEL_TIMEOUT_SECONDS` at most."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_TIMEOUT_SECONDS)


log = logger(__name__)

HOME: Final = "/home/user"
PRIVATE: Final = f"{HOME}/.codecourier"
EMPTY_HOME: Final = "/nonexistent"
MAX_STREAM_CHARS: Final = 2_000_000
"""Characters of one output stream that are kept: the first and the last half of them."""
MAX_RESULT_CHARS: Final = MAX_CONTENT_CHARS + 1_000
"""Characters of a tool's result: what the toolbox allows, and its own words about what it left out."""
MAX_DURATION_MS: Final = 7 * 86_400_000
CHUNK_BYTES: Final = 1 << 20
"""Of a file on its way to or from a sandbox: so much of it is in memory at once."""
TIMED_OUT: Final = 124
NOT_INSTALLED_EXIT_CODE: Final = 97
FORGOTTEN_EXIT_CODE: Final = 96
"""The toolbox's exit code when its files are of an earlier time than the request."""
GRACE_SECONDS: Final = 60
"""How much later than the command's own time-out the connection to it ends."""
LEASE_EXTENSIONS: Final = 3
"""How often a lease is prolonged before it would end: two of them may fail."""


@dataclass(frozen=True)
class Completed:
    """A command that ended; `exit_code` is `TIMED_OUT` when its time-out ended it."""

    exit_code: int
    stdout: str
    stderr: str


class ToolResult(Wire):
    """What one tool call came to, as the toolbox tells it.

    The agent's own code may have written it: it is held to what the toolbox would say.
    """

    content: str
    is_error: bool
    exit_code: int | None = None
    duration_ms: int
    truncated: bool

    @field_validator("content")
    @classmethod
    def _bounded(cls, content: str) -> str:
        """The first and the last half of what is too long; without NUL, which databases refuse."""
        ends = HeadAndTail(MAX_RESULT_CHARS)
        ends.add(content.replace("\0", "\u2400"))
        return ends.text()

    @field_validator("exit_code")
    @classmethod
    def _of_a_process(cls, code: int | None) -> int | None:
        return None if code is None else min(max(code, 0), 255)

    @field_validator("duration_ms")
    @classmethod
    def _within_a_week(cls, milliseconds: int) -> int:
        return min(max(milliseconds, 0), MAX_DURATION_MS)


class SandboxHandle:
    """A sandbox that ran when it was attached to; every method raises `SandboxNotRunning` once it does not.

    `lease_seconds`: for how long it lives on after the last command; while one runs, it is not paused.
    """

    def __init__(self, sandbox: AsyncSandbox, lease_seconds: int) -> None:
        self._sandbox = sandbox
        self._lease_seconds = lease_seconds

    @property
    def id(self) -> str:
        return self._sandbox.sandbox_id

    def host(self, port: int) -> str:
        """Where the provider lets a port of the sandbox be reached, over HTTPS."""
        return self._sandbox.get_host(port)

    async def run(
        self,
        command: Sequence[str] | str,
        *,
        envs: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout_seconds: int,
    ) -> Completed:
        """Run a program (a list of words) or a line of bash to its end; its failure is a value, not an error.

        Cancelling ends the command.
        """
        words = ["bash", "-c", command] if isinstance(command, str) else list(command)
        bounded = shlex.join(["timeout", "--kill-after=5", str(timeout_seconds), *words])
        line = f"exec {bounded}"
        return await cancel_promptly(self._run_line(line, envs or {}, cwd, timeout_seconds, ends=True))

    async def tool(
        self,
        call_id: str,
        request: Mapping[str, object],
        *,
        envs: Mapping[str, str] | None = None,
        after: str | None = None,
        timeout_seconds: int,
    ) -> ToolResult:
        """Carry out one tool call, exactly once however often it is asked for under the same `call_id`.

        `request` is `{"tool": …}` and the tool's own fields.  A call that ran is told again, one that runs is
        waited for.  Cancelling stops the wait and leaves the call running.
        after: the id of a call that was carried out here before; `SandboxGone` where nothing is known of it,
        as the sandbox came back with the files of an earlier time.
        """
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", call_id):
            raise errors.UpstreamRefused(
                "A tool call's id must be 1 to 128 of the characters A-Z a-z 0-9 _ -."
            )
        wished = request.get("timeout_seconds")
        seconds = min(wished, timeout_seconds) if isinstance(wished, int) else timeout_seconds
        wanted = {**request, "timeout_seconds": seconds, **({"after": after} if after else {})}
        body = json.dumps(wanted).encode()
        return await cancel_promptly(self._run_tool(call_id, body, envs or {}, timeout_seconds))

    async def read(self, path: str, limit: int) -> bytes | None:
        """At most the first `limit` bytes of a file; None when there is no such file."""
        with mapped_errors("Reading a file in the sandbox"):
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
        with mapped_errors("Writing files in the sandbox"):
            await self._sandbox.files.write_files(entries)

    async def upload(self, path: str, source: Path) -> None:
        """Create or overwrite a file with one of ours, however large: it passes in pieces."""
        with mapped_errors("Sending a file to the sandbox"):
            await self._sandbox.files.write(path, _read_chunks(source))

    async def download(self, path: str, target: Path, limit: int) -> bool:
        """Write a file of the sandbox to one of ours; False when it is over `limit` bytes, or not there."""
        with mapped_errors("Reading a file in the sandbox"):
            try:
                reader = await self._sandbox.files.read(path, format="stream")
            except FileNotFoundException:
                return False
            written = 0
            try:
                with await asyncio.to_thread(target.open, "wb") as file:
                    async for chunk in reader:
                        written += len(chunk)
                        if written > limit:
                            return False
                        await asyncio.to_thread(file.write, chunk)
            finally:
                await reader.aclose()
            return True

    async def _run_tool(self, call_id: str, body: bytes, envs: Mapping[str, str], seconds: int) -> ToolResult:
        inbox = f"{PRIVATE}/inbox/{call_id}-{secrets.token_hex(4)}.json"
        toolbox = f"{PRIVATE}/{name()}"
        command = (
            f"[ -f {toolbox}.py ] || exit {NOT_INSTALLED_EXIT_CODE}; "
            f"exec <{inbox} && rm {inbox} && exec python3 -IS {toolbox}.py {call_id}"
        )
        await self.write(inbox, body)  # whole before anything starts
        completed = await self._run_line(command, envs, None, seconds)
        if completed.exit_code == NOT_INSTALLED_EXIT_CODE:
            await self._install(toolbox)
            completed = await self._run_line(command, envs, None, seconds)
        if completed.exit_code == FORGOTTEN_EXIT_CODE:
            raise errors.SandboxGone("The sandbox came back without the files that it had last.")
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
        """Put the toolbox there, and its client last and at once: where that is, all is."""
        partial = f"{path}.{secrets.token_hex(4)}"
        await self.write_many({f"{partial}.pyz": archive(), f"{partial}.py": client()})
        await self._run_line(f"mv {partial}.pyz {path}.pyz && exec mv {partial}.py {path}.py", {}, None, 30)

    async def _run_line(
        self, command: str, envs: Mapping[str, str], cwd: str | None, seconds: int, *, ends: bool = False
    ) -> Completed:
        """Run a line in the login shell that E2B starts, away from start-up files that an agent wrote.

        ends: when cancelled, what it started is killed; else it goes on.
        """
        stdout, stderr = HeadAndTail(MAX_STREAM_CHARS), HeadAndTail(MAX_STREAM_CHARS)
        line = f"export HOME={shlex.quote(envs.get('HOME', HOME))}; {command}"
        async with self._extending_lease():
            with mapped_errors("Running a command in the sandbox"):
                process = await self._sandbox.commands.run(
                    line,
                    background=True,
                    envs={**envs, "HOME": EMPTY_HOME},
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
                    if ends:  # `timeout` leads a group of its own
                        await self._sandbox.commands.run(f"kill -KILL -- -{process.pid} || true", timeout=5)
                    raise
        return Completed(exit_code, stdout.text(), stderr.text())

    @asynccontextmanager
    async def _extending_lease(self) -> AsyncIterator[None]:
        """Keep the sandbox from being paused for as long as the block takes."""
        prolonging = asyncio.create_task(self._extend_lease())
        try:
            yield
        finally:
            prolonging.cancel()
            await asyncio.wait([prolonging])

    async def _extend_lease(self) -> None:
        """Prolong the lease in time, until cancelled; what fails is tried again, and the command meets it."""
        while True:
            await asyncio.sleep(self._lease_seconds / LEASE_EXTENSIONS)
            try:
                with mapped_errors("Prolonging the sandbox's lease"):
                    await self._sandbox.set_timeout(self._lease_seconds)
            except errors.GatewayError as error:
                log.warning("sandbox.lease_not_prolonged", sandbox=self.id, reason=error.message)


async def _read_chunks(source: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(source.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield piece


class HeadAndTail:
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
