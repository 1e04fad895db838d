"""The toolbox as one process that stays in the sandbox and forks for each call: none waits for imports.

`python3 -IS toolbox-….pyz LISTENER`, the descriptor of a unix socket that already listens.  A connection is a
call: its client is told that it is accepted, sends the call's id, and its standard streams and environment as
open files, and is told the exit code at the end.  Each call is a process of its own, which becomes what it
would be if it were started alone; the resident itself reads nothing, so nobody can keep it from the next.

It holds nothing: killed, it is started anew by the next call.
"""

from __future__ import annotations

import array
import contextlib
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn

from . import journal

IDLE_SECONDS = 600.0
"""Without a call for so long, it leaves: the next one starts another."""
MAX_ID_BYTES = 200
PASSED_FILES = 4


def main() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    listener = socket.socket(fileno=int(sys.argv[1]))
    listener.settimeout(IDLE_SECONDS)
    while True:
        try:
            connection, _ = listener.accept()
        except socket.timeout:  # noqa: UP041 - two errors before Python 3.10
            return
        _reap_children()
        with connection, contextlib.suppress(OSError):  # no process to be had: the call ends unaccepted
            if os.fork() == 0:
                _run_call(connection)


def _reap_children() -> None:
    """Take leave of the calls that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _run_call(connection: socket.socket) -> NoReturn:
    """Become the process of one call, and end with it."""
    code = 1
    try:
        connection.sendall(b"\1")
        call_id, files = _receive_call(connection)
        for stream, file in enumerate(files[:3]):
            os.dup2(file, stream)
        _load_environment(files[3])
        journal.main(call_id)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # told to the caller, like everything on this stream
        traceback.print_exc()
        raise
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
            connection.sendall(bytes([code]))
        os._exit(code)


def _receive_call(connection: socket.socket) -> tuple[str, array.array[int]]:
    """A call's id, and its input, output, errors and environment as open files."""
    files = array.array("i")
    text, attached, _, _ = connection.recvmsg(MAX_ID_BYTES, socket.CMSG_SPACE(PASSED_FILES * files.itemsize))
    for level, kind, data in attached:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    if len(files) != PASSED_FILES:
        raise ConnectionError("A call has to come with its streams and its environment.")
    return os.fsdecode(text).rstrip("\n"), files


def _load_environment(environment: int) -> None:
    """Have the variables of the client, read from an open file, and no others."""
    with open(environment, "rb") as file:
        entries = [entry.partition(b"=") for entry in file.read().split(b"\0") if b"=" in entry]
    os.environb.clear()
    os.environb.update({name: value for name, _, value in entries})
