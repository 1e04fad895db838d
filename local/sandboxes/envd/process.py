"""process.Process of E2B's protocol: start, connect, list, input, signals. Terminals are not served."""

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext
from e2b.envd.process import process_pb as pb
from e2b.envd.process.process_connect import Process
from protobuf import Oneof

from local.sandboxes.envd import events
from local.sandboxes.envd.command import Command
from local.sandboxes.envd.paths import require_user, resolve

KEEPALIVE = 50.0  # seconds of silence after which a stream says that it is alive
TIMEOUT_GRACE = 0.1  # seconds between telling the client of a time-out and ending the command


class ProcessService(Process):
    """The commands of this sandbox, by process id; `environment` is what each of them starts with."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._commands: dict[int, Command] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def list(
        self, request: pb.ListRequest, ctx: RequestContext[pb.ListRequest, pb.ListResponse]
    ) -> pb.ListResponse:
        infos = [pb.ProcessInfo(config=it.config, pid=it.pid, tag=it.tag) for it in self._commands.values()]
        return pb.ListResponse(processes=infos)

    async def start(
        self, request: pb.StartRequest, ctx: RequestContext[pb.StartRequest, pb.StartResponse]
    ) -> AsyncIterator[pb.StartResponse]:
        require_user(ctx.request_headers)
        command = self._spawn(request, ctx.timeout_ms)
        async with contextlib.aclosing(_follow(command, ctx.timeout_ms)) as stream:
            async for event in stream:
                yield pb.StartResponse(event=event)

    async def connect(
        self, request: pb.ConnectRequest, ctx: RequestContext[pb.ConnectRequest, pb.ConnectResponse]
    ) -> AsyncIterator[pb.ConnectResponse]:
        command = self._select(request.process)
        async with contextlib.aclosing(_follow(command, ctx.timeout_ms)) as stream:
            async for event in stream:
                yield pb.ConnectResponse(event=event)

    async def send_input(
        self, request: pb.SendInputRequest, ctx: RequestContext[pb.SendInputRequest, pb.SendInputResponse]
    ) -> pb.SendInputResponse:
        await _write(self._select(request.process), request.input)
        return pb.SendInputResponse()

    async def stream_input(
        self,
        request: AsyncIterator[pb.StreamInputRequest],
        ctx: RequestContext[pb.StreamInputRequest, pb.StreamInputResponse],
    ) -> pb.StreamInputResponse:
        command: Command | None = None
        async for message in request:
            match message.event:
                case Oneof(field="start", value=pb.StreamInputRequest.StartEvent() as start):
                    command = self._select(start.process)
                case Oneof(field="data", value=pb.StreamInputRequest.DataEvent() as data):
                    if command is None:
                        raise ConnectError(Code.INVALID_ARGUMENT, "input came before the start message")
                    await _write(command, data.input)
        return pb.StreamInputResponse()

    async def close_stdin(
        self, request: pb.CloseStdinRequest, ctx: RequestContext[pb.CloseStdinRequest, pb.CloseStdinResponse]
    ) -> pb.CloseStdinResponse:
        command = self._select(request.process)
        if command.stdin is not None:
            command.stdin.close()
        return pb.CloseStdinResponse()

    async def send_signal(
        self, request: pb.SendSignalRequest, ctx: RequestContext[pb.SendSignalRequest, pb.SendSignalResponse]
    ) -> pb.SendSignalResponse:
        if request.signal not in (pb.Signal.SIGTERM, pb.Signal.SIGKILL):
            raise ConnectError(Code.UNIMPLEMENTED, f"signal {request.signal} is not one of SIGTERM, SIGKILL")
        self._select(request.process).send(int(request.signal))
        return pb.SendSignalResponse()

    def _select(self, selector: pb.ProcessSelector | None) -> Command:
        match selector.selector if selector else None:
            case Oneof(field="pid", value=int() as pid) if pid in self._commands:
                return self._commands[pid]
            case Oneof(field="tag", value=str() as tag):
                for command in self._commands.values():
                    if command.tag == tag:
                        return command
        raise ConnectError(Code.NOT_FOUND, f"process {selector} not found: it has ended or never was")

    def _spawn(self, request: pb.StartRequest, timeout_ms: float | None) -> Command:
        config = request.process
        if config is None or not config.cmd:
            raise ConnectError(Code.INVALID_ARGUMENT, "no command given")
        if request.has_field("pty"):
            raise ConnectError(Code.UNIMPLEMENTED, "terminals are not available in this sandbox")
        cwd = resolve(config.cwd if config.has_field("cwd") else "")
        if not os.path.isdir(cwd):
            raise ConnectError(Code.INVALID_ARGUMENT, f"cwd '{cwd}' does not exist")
        environment = {**self._environment, **config.envs}
        tag = request.tag if request.has_field("tag") else None
        try:
            command = Command.spawn(config, tag, cwd, environment, stdin=request.stdin)
        except (OSError, ValueError) as error:
            raise ConnectError(
                Code.INVALID_ARGUMENT, f"error starting process '{config.cmd}': {error}"
            ) from error
        self._commands[command.pid] = command
        task = asyncio.create_task(self._run(command, timeout_ms))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return command

    async def _run(self, command: Command, timeout_ms: float | None) -> None:
        """The time-out of the start request ends the command, as in E2B; the loss of its client does not."""
        deadline: asyncio.TimerHandle | None = None
        if timeout_ms is not None:
            seconds = timeout_ms / 1000 + TIMEOUT_GRACE
            deadline = asyncio.get_running_loop().call_later(seconds, command.send, int(pb.Signal.SIGKILL))
        try:
            await command.run()
        finally:
            del self._commands[command.pid]
            if deadline is not None:
                deadline.cancel()


async def _follow(command: Command, timeout_ms: float | None) -> AsyncGenerator[pb.ProcessEvent, None]:
    """Start, output and end of a command, with a sign of life in silence."""
    loop = asyncio.get_running_loop()
    deadline = math.inf if timeout_ms is None else loop.time() + timeout_ms / 1000
    yield events.start_event(command.pid)
    with command.output.reader() as reader:
        while True:
            try:
                async with asyncio.timeout_at(min(deadline, loop.time() + KEEPALIVE)):
                    event = await command.output.next(reader)
            except TimeoutError:
                if loop.time() >= deadline:
                    raise ConnectError(
                        Code.DEADLINE_EXCEEDED, "the time-out of the command is over"
                    ) from None
                yield events.keepalive_event()
                continue
            if event is None:
                break
            yield event
            command.output.taken(reader)
    yield command.end_event()


async def _write(command: Command, data: pb.ProcessInput | None) -> None:
    match data.input if data else None:
        case Oneof(field="stdin", value=bytes() as text):
            if command.stdin is None or command.stdin.is_closing():
                raise ConnectError(
                    Code.FAILED_PRECONDITION, "stdin of the process was not asked for or is closed"
                )
            try:
                command.stdin.write(text)
                await command.stdin.drain()
            except OSError as error:
                raise ConnectError(
                    Code.FAILED_PRECONDITION, f"the process no longer reads: {error}"
                ) from error
        case _:
            raise ConnectError(Code.UNIMPLEMENTED, "terminals are not available in this sandbox")
