"""What is looked at in a sandbox, and the preview server in it: carried out inside, by its own Python.

The source of this module is passed to `python3 -IS -c` (Python 3.8 or later); its words are arguments, and
its answer is one line of JSON.  Nothing here imports from our packages.  Whoever works in the sandbox may
lie to it about the sandbox, and about nothing else.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import heapq
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Json = dict[str, Any]

HOME = "/home/user"
REPOSITORY = HOME + "/repo"
PRIVATE = HOME + "/.codecourier"
PREVIEW = PRIVATE + "/preview"
TAIL_BYTES = 16_000
STOP_SECONDS = 5.0


class Refused(Exception):
    """One of our words for why it is not done."""


def open_below(path: str, flags: int) -> int:
    """A descriptor of what a path leads to, if that is within the home directory and not private.

    Links are followed and then looked at: what is open cannot be exchanged any more.
    """
    try:
        descriptor = os.open(path, flags | os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        words = {
            errno.ENOENT: "missing",
            errno.ENOTDIR: "not-a-directory",
            errno.ELOOP: "missing",
            errno.ENAMETOOLONG: "missing",
            errno.ENXIO: "not-a-file",
        }
        raise Refused(words.get(error.errno or 0, "denied")) from None
    home, real = os.path.realpath(HOME), os.readlink(f"/proc/self/fd/{descriptor}")
    private = os.path.realpath(PRIVATE)
    if not is_below(real, home) or is_below(real, private):
        os.close(descriptor)
        raise Refused("outside")
    return descriptor


def is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory + "/")


def listing(path: str, limit: str, after: str) -> Json:
    """The entries of a directory by name, `limit` of them after a name, and whether there are more."""
    descriptor = open_below(path, os.O_DIRECTORY)
    real, private = os.readlink(f"/proc/self/fd/{descriptor}"), os.path.realpath(PRIVATE)
    with os.scandir(descriptor) as found:
        named = ((display_name(each.name), each) for each in found if real + "/" + each.name != private)
        wanted = (pair for pair in named if pair[0] > after)
        entries = heapq.nsmallest(int(limit) + 1, wanted, key=lambda pair: pair[0])
        described = [one for pair in entries for one in [entry(*pair)] if one is not None]
    return {"entries": described[: int(limit)], "more": len(described) > int(limit)}


def entry(name: str, found: os.DirEntry[str]) -> Json | None:
    try:
        facts = found.stat(follow_symlinks=False)
    except OSError:
        return None  # it vanished
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
    kind = kinds.get(stat.S_IFMT(facts.st_mode), "other")
    return {"name": name, "type": kind, "size": facts.st_size, "modified": facts.st_mtime}


def display_name(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace")


def content(path: str, limit: str) -> Json:
    """At most the first `limit` bytes of a regular file."""
    descriptor = open_below(path, 0)
    facts = os.fstat(descriptor)
    if stat.S_ISDIR(facts.st_mode):
        raise Refused("is-a-directory")
    if not stat.S_ISREG(facts.st_mode):
        raise Refused("not-a-file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(int(limit))
    encoded = base64.b64encode(data).decode()
    return {"size": facts.st_size, "modified": facts.st_mtime, "data": encoded}


def preview_start(command: str, port: str) -> Json:
    """Start the server, unless it is at work already: then this is the one."""
    os.makedirs(PREVIEW, exist_ok=True)
    with open(PREVIEW + "/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = state()
        if known is not None and is_alive(known):
            if (known["command"], known["port"]) != (command, int(port)):
                raise Refused("other-server")
            return preview_state()
        for name in ("exit", "state.json"):
            if os.path.lexists(PREVIEW + "/" + name):
                os.unlink(PREVIEW + "/" + name)
        line = 'bash -c "$1"; code=$?; echo "$code" >"$2"'
        with open(PREVIEW + "/output", "wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", line, "preview", command, PREVIEW + "/exit"],
                cwd=REPOSITORY if os.path.isdir(REPOSITORY) else HOME,
                env={**os.environ, "PORT": port},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        remember(
            {
                "command": command,
                "port": int(port),
                "pid": process.pid,
                "born": process_start_time(process.pid),
                "at": time.time(),
                "stopped": False,
            }
        )
    return preview_state()


def preview_stop() -> Json:
    """End the server and all that it started; one that is gone already is fine."""
    if not os.path.isdir(PREVIEW):
        return preview_state()
    with open(PREVIEW + "/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = state()
        if known is not None:
            stop_process(known)
            remember({**known, "stopped": True})
    return preview_state()


def stop_process(known: Json) -> None:
    """End the server's whole session; who does not heed it, or takes too long to tidy up, is killed.

    Its first process may be over long before those that it started, and its number anybody's.
    """
    if process_start_time(known["pid"]) not in (None, known["born"]):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = signal_session(known["pid"], number)
        deadline = time.monotonic() + STOP_SECONDS
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = signal_session(known["pid"], number if number == signal.SIGKILL else None)
        if not left:
            return


def signal_session(session: int, number: int | None) -> int:
    """Send a signal, if any, to every process of a session that is not over; how many there are."""
    count = 0
    for name in os.listdir("/proc"):
        facts = read_process(int(name)) if name.isdigit() else None
        if facts is None or facts[3] != str(session):
            continue
        count += 1
        if number is not None:
            try:
                os.kill(int(name), number)
            except OSError:
                continue
    return count


def preview_state() -> Json:
    """What the server is doing, by what can be seen of it now."""
    known = state()
    if known is None:
        return {"state": "stopped", "command": None, "port": None, "at": None, "exit": None, "output": ""}
    code = exit_code()
    if known["stopped"]:
        word = "stopped"
    elif is_alive(known):
        word = "running" if listens(known["port"]) else "starting"
    else:
        word = "stopped" if code == 0 else "failed"
    told = {name: known[name] for name in ("command", "port", "at")}
    return {**told, "state": word, "exit": code, "output": read_tail()}


def state() -> Json | None:
    try:
        with open(PREVIEW + "/state.json") as file:
            known = json.load(file)
        known["pid"], known["port"] = int(known["pid"]), int(known["port"])
        return known if known["pid"] > 1 and {"command", "born", "at", "stopped"} <= known.keys() else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def remember(known: Json) -> None:
    with open(PREVIEW + "/state.new", "w") as file:
        json.dump(known, file)
    os.replace(PREVIEW + "/state.new", PREVIEW + "/state.json")


def exit_code() -> int | None:
    try:
        with open(PREVIEW + "/exit") as file:
            return int(file.read(20))
    except (OSError, ValueError):
        return None


def read_process(pid: int) -> list[str] | None:
    """What the kernel says of a process, from its state on; None for one that is over."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            facts = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if facts[0] in ("Z", "X") else facts


def process_start_time(pid: int) -> str | None:
    """When a process began, in the kernel's own count; None for one that is over."""
    facts = read_process(pid)
    return None if facts is None else facts[19]


def is_alive(known: Json) -> bool:
    return known["born"] is not None and process_start_time(known["pid"]) == known["born"]


def listens(port: int) -> bool:
    for host in ("127.0.0.1", "::1"):
        try:
            socket.create_connection((host, port), timeout=0.5).close()
            return True
        except (OSError, OverflowError):
            continue
    return False


def read_tail() -> str:
    """The last whole lines that the server printed: part of one may hold part of a secret."""
    try:
        with open(PREVIEW + "/output", "rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES)
            file.seek(start)
            text = file.read(TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    return "".join(text.splitlines(keepends=True)[1:]) if start else text


def main(verb: str, *words: str) -> None:
    verbs: dict[str, Callable[..., Json]] = {
        "list": listing,
        "read": content,
        "preview-start": preview_start,
        "preview-state": preview_state,
        "preview-stop": preview_stop,
    }
    try:
        answer = verbs[verb](*words)
    except Refused as refusal:
        answer = {"refused": str(refusal)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
