"""The events of a process stream, built once here because their types have to be spelled out."""

import signal
from typing import Literal

from e2b.envd.process.process_pb import ProcessEvent
from protobuf import Oneof

Kind = Literal["stdout", "stderr"]


def start_event(pid: int) -> ProcessEvent:
    event: Oneof[Literal["start"], ProcessEvent.StartEvent] = Oneof("start", ProcessEvent.StartEvent(pid=pid))
    return ProcessEvent(event=event)


def output_event(kind: Kind, data: bytes) -> ProcessEvent:
    stdout: Oneof[Literal["stdout"], bytes] = Oneof("stdout", data)
    stderr: Oneof[Literal["stderr"], bytes] = Oneof("stderr", data)
    output = ProcessEvent.DataEvent(output=stdout if kind == "stdout" else stderr)
    event: Oneof[Literal["data"], ProcessEvent.DataEvent] = Oneof("data", output)
    return ProcessEvent(event=event)


def end_event(code: int) -> ProcessEvent:
    """The end with that return code (negative: by a signal), in the words of Go's ProcessState, as E2B's."""
    signalled = code < 0
    status = f"exit status {code}"
    if signalled:
        status = f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"
    end = ProcessEvent.EndEvent(
        exit_code=-1 if signalled else code,
        exited=not signalled,
        status=status,
        error=status if code else None,
    )
    event: Oneof[Literal["end"], ProcessEvent.EndEvent] = Oneof("end", end)
    return ProcessEvent(event=event)


def keepalive_event() -> ProcessEvent:
    event: Oneof[Literal["keepalive"], ProcessEvent.KeepAlive] = Oneof("keepalive", ProcessEvent.KeepAlive())
    return ProcessEvent(event=event)
