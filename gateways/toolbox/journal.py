"""One call, one effect: what is about to run is on disk before it runs, what came out before it is told.

`~/.codecourier/journal/CALL_ID/` holds `lock` (held by the process that executes the call), `started` and
`result.json`.  Called again, a call that still runs is waited for, a finished one is told again, and an
interrupted one is never repeated.  A request may name a call that came before it (`after`): where the journal
does not know that one, the files are of an earlier time, and nothing is started.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn

from . import arguments, edit, search, shell
from .masking import Masker
from .outcome import JOURNAL, CallRefused, Outcome, write_whole

if TYPE_CHECKING:
    Tool = Callable[[Mapping[str, object], str, int, Masker], Outcome]
    """A tool gets its input, the call's own directory, its patience in seconds, and the masker."""

TOOLS: dict[str, Tool] = {"bash": shell.run, "edit": edit.run, "search": search.run}

INTERRUPTED = Outcome(
    "This call was started once and was interrupted; it was not run again. "
    "Check its effects before repeating it.",
    is_error=True,
)
EX_USAGE, EX_DATAERR, EX_FORGOTTEN = 64, 65, 96


def main(call_id: str) -> None:
    """Carry out the call whose request is on standard input, and tell its result on standard output."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", call_id):
        _exit_with(EX_USAGE, "usage: toolbox CALL_ID < request.json; CALL_ID is 1 to 128 of A-Z a-z 0-9 _ -")
    request = _parse_request(sys.stdin.buffer.read())
    _remember(request.pop("after", None))
    _ignore_hangup()
    result = json.dumps(_once(os.path.join(JOURNAL, call_id), request))
    try:
        sys.stdout.write(result + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever asked is gone: the journal keeps the result for the next to ask
        return


def _parse_request(data: bytes) -> dict[str, object]:
    """The request; one that arrived in part is no JSON object, and nothing is started for it."""
    try:
        request = json.loads(data)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        _exit_with(
            EX_DATAERR, "The request on standard input is not a whole JSON object; nothing was started."
        )
    return request


def _remember(call_id: object) -> None:
    if isinstance(call_id, str) and not os.path.isdir(os.path.join(JOURNAL, call_id)):
        _exit_with(EX_FORGOTTEN, f"The journal does not know the call {call_id}; nothing was started.")


def _exit_with(code: int, complaint: str) -> NoReturn:
    sys.stderr.write(complaint + "\n")
    raise SystemExit(code)


def _ignore_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if os.getpid() != os.getpgrp():
        os.setpgid(0, 0)


def _once(entry: str, request: dict[str, object]) -> dict[str, object]:
    os.makedirs(entry, mode=0o700, exist_ok=True)
    started, finished = os.path.join(entry, "started"), os.path.join(entry, "result.json")
    with open(os.open(os.path.join(entry, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(finished):
            with open(finished, encoding="utf-8") as file:
                kept: dict[str, object] = json.load(file)
            return kept
        clock = time.monotonic()
        if os.path.exists(started):
            outcome = INTERRUPTED
        else:
            try:
                write_whole(started, b"")
                _sync(entry)
            except OSError as error:
                complaint = f"Nothing was started, as nothing can be written here: {error.strerror}."
                return _result_json(Outcome(complaint, is_error=True), 0)
            outcome = _execute(request, entry)
        result = _result_json(outcome, int((time.monotonic() - clock) * 1000))
        with contextlib.suppress(OSError):  # on a full disk it can be told now, and later only as interrupted
            write_whole(finished, json.dumps(result).encode())
            _sync(entry)
        return result


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _execute(request: dict[str, object], entry: str) -> Outcome:
    masker = Masker()
    try:
        name = arguments.text(request, "tool")
        if name not in TOOLS:
            raise CallRefused(f"There is no tool called {name!r}; the tools are {', '.join(sorted(TOOLS))}.")
        patience = arguments.number(request, "timeout_seconds", 300, 1, 86_400)
        outcome = TOOLS[name](request, entry, patience, masker)
    except CallRefused as refused:
        outcome = Outcome(str(refused), is_error=True)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        outcome = Outcome(f"{error.strerror or error}{where}", is_error=True)
    except (ValueError, MemoryError, RecursionError) as error:
        outcome = Outcome(
            f"The call could not be carried out: {error or type(error).__name__}", is_error=True
        )
    return outcome._replace(content=masker.text(outcome.content))


def _result_json(outcome: Outcome, milliseconds: int) -> dict[str, object]:
    result: dict[str, object] = {
        "content": outcome.content.replace("\0", "\u2400"),  # databases refuse NUL in text
        "isError": outcome.is_error,
        "durationMs": milliseconds,
        "truncated": outcome.truncated,
    }
    if outcome.exit_code is not None:
        result["exitCode"] = outcome.exit_code
    return result
