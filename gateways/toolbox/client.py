"""Hands a call to the toolbox that is resident in this sandbox, and starts one where none answers.

`python3 -IS toolbox-….py CALL_ID < request.json`, with the archive of the same name beside it.  The call gets
this program's environment and standard streams, and this program ends as the call does.

It is started for every call, so it is a file of its own and imports what an interpreter has at hand: the
modules `socket` and `json` alone would take as long again as all the rest.
"""

from __future__ import annotations

import os
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

ARCHIVE = os.path.splitext(os.path.abspath(sys.argv[0]))[0] + ".pyz"
PRIVATE = os.path.join(os.path.expanduser("~"), ".codecourier")
ADDRESS = os.path.basename(ARCHIVE)[:-4] + ".sock"
"""Below `PRIVATE`, which is entered first: the path of a socket has at most 107 bytes."""
ACCEPTED_SECONDS, STARTED_SECONDS = 10.0, 60.0
"""How long a resident has to take a call, and a new one, which has to start first: one that was stopped, or
whose place another program took, is replaced."""
MAX_BACKLOG = 128
EX_USAGE, EX_SOFTWARE, EX_TEMPFAIL = 64, 70, 75


def main() -> None:
    if len(sys.argv) != 2:
        exit_with(EX_USAGE, "usage: toolbox CALL_ID < request.json")
    os.makedirs(PRIVATE, exist_ok=True)
    os.chdir(PRIVATE)
    connection = connect_resident(sys.argv[1], ACCEPTED_SECONDS)
    if connection is None:
        start()
        connection = connect_resident(sys.argv[1], STARTED_SECONDS)
    if connection is None:
        exit_with(EX_TEMPFAIL, "The toolbox does not answer, although it was started anew.")
    try:
        code = connection.recv(1)
    except OSError:
        code = b""
    if not code:
        exit_with(EX_SOFTWARE, "The toolbox was killed while it carried out the call.")
    os._exit(code[0])


def connect_resident(call_id: str, patience: float) -> socket | None:
    """The connection over which a resident took the call; None when there is none, or none that answers."""
    connection = socket(AF_UNIX, SOCK_STREAM)
    connection.settimeout(patience)
    try:
        connection.connect(ADDRESS)
        if not connection.recv(1):
            return None
        hand_over(connection, call_id)
    except OSError:
        return None
    connection.settimeout(None)
    return connection


def hand_over(connection: socket, call_id: str) -> None:
    """Send a call's id with its input, output, errors and environment, as open files.

    Only to who waits for it: what nobody takes would keep them open for as long.
    """
    environment = os.open("/proc/self/environ", os.O_RDONLY)
    files = b"".join(file.to_bytes(4, sys.byteorder) for file in (0, 1, 2, environment))
    connection.sendmsg([os.fsencode(call_id) + b"\n"], [(SOL_SOCKET, SCM_RIGHTS, files)])


def start() -> None:
    """Start a resident; calls wait at its address until it is ready.  Of several, the last gets all."""
    listener = socket(AF_UNIX, SOCK_STREAM)
    draft = f"{ADDRESS}.{os.getpid()}"
    listener.bind(draft)
    listener.listen(MAX_BACKLOG)
    os.replace(draft, ADDRESS)
    if os.fork() == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.set_inheritable(listener.fileno(), True)
        program = [sys.executable, "-IS", ARCHIVE, str(listener.fileno())]
        own = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
        os.execve(program[0], program, own)  # noqa: S606 - it is our own program
    listener.close()


def exit_with(code: int, complaint: str) -> NoReturn:
    os.write(2, complaint.encode() + b"\n")
    os._exit(code)


if __name__ == "__main__":
    main()
