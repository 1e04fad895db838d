"""The watch on the memory that sandboxes use, where no control group limits it.

The kernel's limits for one process (see `envd`) stop an accident at once, but a sandbox has many processes.
Once a second the memory of each sandbox's processes is summed up; one that is over its size loses its
largest commands.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import NoReturn

from local.sandboxes.isolation import processes
from local.sandboxes.isolation.processes import Process
from local.sandboxes.sandbox import Sandbox

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0


async def enforce_memory_limits(boxes: Callable[[], Iterable[Sandbox]]) -> NoReturn:
    """Look after all running sandboxes."""
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        running = [box for box in boxes() if box.pid is not None]
        if running:
            try:
                await asyncio.to_thread(_limit_memory, running)
            except OSError as error:
                log.warning("the memory of sandboxes was not looked at: %s", error)


def _limit_memory(boxes: Iterable[Sandbox]) -> None:
    """Kill the largest commands of each that is over its size, until the rest fits."""
    all_processes = processes.snapshot()
    for box in boxes:
        bwrap = box.pid
        if bwrap is None:
            continue  # ended meanwhile
        inside = processes.list_processes(bwrap, all_processes)
        if sum(it.resident for it in inside) <= box.size.memory_bytes:
            continue
        memory = {it: _proportional_bytes(it) for it in inside}
        over = sum(memory.values()) - box.size.memory_bytes
        commands = processes.list_commands(bwrap, all_processes)
        for command in sorted(commands, key=lambda it: memory[it], reverse=True):
            if over <= 0:
                break
            log.warning(
                "sandbox %s is over its %d MiB of memory: its largest command is killed",
                box.record.sandbox_id,
                box.size.memory_mb,
            )
            processes.kill(command)
            over -= memory[command]


def _proportional_bytes(process: Process) -> int:
    """Its memory, of what it shares only its part: forked processes share most of theirs."""
    try:
        with open(f"/proc/{process.pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return process.resident
