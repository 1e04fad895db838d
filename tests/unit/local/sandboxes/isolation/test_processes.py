"""Which processes are a sandbox's commands, told by who started whom, and that no other is ever killed."""

import os
import subprocess
import sys
from dataclasses import replace

from local.sandboxes.isolation.processes import Process, kill, list_commands, list_processes, snapshot

BWRAP, INIT, ENVD = 9000, 9001, 9002


def process(pid: int, parent: int, started: int) -> Process:
    return Process(pid, parent, started, resident=1)


HOST = [process(1, 0, 0), process(2, 0, 0), process(700, 1, 5), process(BWRAP, 700, 10)]
SANDBOX = [process(INIT, BWRAP, 11), process(ENVD, INIT, 12)]


def test_commands_with_lower_pids_than_init_and_envd_are_told_from_them() -> None:
    """Pids began again: one command is envd's, the other was adopted by init."""
    low = [process(301, ENVD, 40), process(302, INIT, 41), process(303, 302, 42)]
    assert {it.pid for it in list_commands(BWRAP, [*low, *HOST, *SANDBOX])} == {301, 302, 303}
    assert {it.pid for it in list_processes(BWRAP, [*low, *HOST, *SANDBOX])} == {301, 302, 303, INIT, ENVD}


def test_commands_of_a_sandbox_that_only_begins_are_none() -> None:
    for begun in ([], SANDBOX[:1], SANDBOX):
        assert list_commands(BWRAP, [*HOST, *begun]) == []


def test_kill_spares_the_process_that_got_the_pid_of_another() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    seen = next(it for it in snapshot() if it.pid == sleeper.pid)
    assert seen.parent == os.getpid()
    kill(replace(seen, started=seen.started - 1))
    sleeper.communicate(b"\n")
    assert sleeper.returncode == 0, "it ended by itself"
    kill(seen)  # nobody has this pid now


def test_kill_ends_the_process() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    kill(next(it for it in snapshot() if it.pid == sleeper.pid))
    assert sleeper.wait() == -9
    assert sleeper.stdin is not None
    sleeper.stdin.close()
