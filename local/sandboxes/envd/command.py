"""One process started for a client. It goes on whether or not somebody follows its output."""

import asyncio
import os
import subprocess
from collections.abc import Mapping
from typing import IO

from e2b.envd.process import process_pb as pb

from local.sandboxes.envd import events
from local.sandboxes.envd.output import Output

READ_BYTES = 1 << 15
OUTPUT_LINGER_SECONDS = (
    0.5  # seconds of silence after which output that a background child may still write is not waited for
)


class Command:
    def __init__(self, config: pb.ProcessConfig, tag: str | None, popen: subprocess.Popen[bytes]) -> None:
        self.config = config
        self.tag = tag
        self.pid = popen.pid
        self.output = Output()
        self.stdin: asyncio.StreamWriter | None = None
        self._popen = popen

    @classmethod
    def spawn(
        cls, config: pb.ProcessConfig, tag: str | None, cwd: str, env: Mapping[str, str], *, stdin: bool
    ) -> "Command":
        """Start the process in a process group of its own. Raises OSError when it cannot be started."""
        popen = subprocess.Popen(
            [config.cmd, *config.args],
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            bufsize=0,
        )
        return cls(config, tag, popen)

    async def run(self) -> None:
        """Carry input and output until the process has ended and its pipes are empty."""
        if self._popen.stdin is not None:
            self.stdin = await _writer(self._popen.stdin)
        pumps = [
            asyncio.create_task(self._pump(await _reader(self._popen.stdout), "stdout")),
            asyncio.create_task(self._pump(await _reader(self._popen.stderr), "stderr")),
        ]
        await self._exited()
        await self._drain(pumps)
        if self.stdin is not None:
            self.stdin.close()
        self.output.close()

    def send(self, number: int) -> None:
        """Signal the process and the children in its group."""
        if self._popen.returncode is None:
            os.killpg(self.pid, number)

    def end_event(self) -> pb.ProcessEvent:
        """How the process ended; only after `run`."""
        return events.end_event(self._popen.returncode)

    async def _exited(self) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        watch = os.pidfd_open(self.pid)
        loop.add_reader(watch, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(watch)
            os.close(watch)
        self._popen.wait()

    async def _drain(self, pumps: list[asyncio.Task[None]]) -> None:
        """Wait for the rest of the output, but not for a child in the background that holds the pipe open."""
        pending = set(pumps)
        while pending:
            before = self.output.end
            _, pending = await asyncio.wait(pending, timeout=OUTPUT_LINGER_SECONDS)
            if self.output.end == before and not self.output.full:
                break
        for pump in pending:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, stream: asyncio.StreamReader, kind: events.Kind) -> None:
        while data := await stream.read(READ_BYTES):
            await self.output.put(events.output_event(kind, data), len(data))


async def _reader(pipe: IO[bytes] | None) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


async def _writer(pipe: IO[bytes]) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)
