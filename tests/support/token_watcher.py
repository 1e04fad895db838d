"""A watcher in a sandbox: what any process there can see of the others, and whether a token is among it.

It looks at the environment and the arguments of every process, and at the memory of envd, as long as it runs.
It is given what it looks for backwards, so that it never finds itself.
"""

import base64
from typing import Final

from gateways.sandboxes.control import SandboxHandle

_SOURCE: Final = '''
import os, re
needles = [word[::-1].encode() for word in os.environ["NEEDLES"].split()]
own, rounds = str(os.getpid()), 0

def look(pid, what, data):
    for number, needle in enumerate(needles):
        if needle in data:
            with open("/home/user/.found", "a") as file:
                file.write(f"needle {number} in {what} of process {pid}\\n")

def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""

def memory(pid):
    """Each of its readable areas."""
    for line in read(f"/proc/{pid}/maps").decode().splitlines():
        area = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
        if area is None or "[v" in line:
            continue
        begin, end = (int(word, 16) for word in area.groups())
        try:
            with open(f"/proc/{pid}/mem", "rb", 0) as file:
                file.seek(begin)
                yield file.read(min(end - begin, 1 << 26))
        except (OSError, ValueError, OverflowError):
            continue

while True:
    envd = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if pid == own:
            continue
        arguments = read(f"/proc/{pid}/cmdline")
        look(pid, "the arguments", arguments)
        look(pid, "the environment", read(f"/proc/{pid}/environ"))
        if b"envd" in arguments:
            envd.append(pid)
    if rounds % 20 == 0:
        for pid in envd:
            for area in memory(pid):
                look(pid, "the memory", area)
    rounds += 1
    with open("/home/user/.rounds", "w") as file:
        file.write(str(rounds))
'''


def reversed_token(token: str) -> str:
    """A token as it may be seen, backwards: itself, and as git sends it."""
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode().rstrip("=")
    return f"{token[::-1]} {basic[::-1]}"


def start_command() -> str:
    """A line of bash that starts it, where `NEEDLES` is in the environment, unless it runs."""
    encoded = base64.b64encode(_SOURCE.encode()).decode()
    start = f"exec(__import__('base64').b64decode('{encoded}'))"
    return f'[ -e ~/.rounds ] || (HOME=/home/user setsid python3 -c "{start}" </dev/null >/dev/null 2>&1 &)'


async def watch(handle: SandboxHandle, token: str) -> None:
    """Begin to watch."""
    done = await handle.run(start_command(), envs={"NEEDLES": reversed_token(token)}, timeout_seconds=30)
    assert done.exit_code == 0, done.stderr
    await wait_for_rounds(handle, 1)


async def wait_for_rounds(handle: SandboxHandle, count: int) -> None:
    """Wait until it has looked so often from now on."""
    script = (
        f"before=$(cat ~/.rounds 2>/dev/null || echo 0); "
        f"until [ $(cat ~/.rounds 2>/dev/null || echo 0) -ge $((before + {count})) ]; do sleep 0.2; done"
    )
    done = await handle.run(script, timeout_seconds=120)
    assert done.exit_code == 0, "the watcher does not look"


async def seen_tokens(handle: SandboxHandle) -> str:
    """What it has seen of the token."""
    return (await handle.read(".found", 10_000) or b"").decode()
