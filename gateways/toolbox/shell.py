"""`bash`: commands in one lasting shell, as far as its directory and exported variables go.

Each command has its own bash and process group.  Its output goes to an unnamed file, not a pipe, so that a
background child that keeps running holds nobody up, and nothing unmasked is left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from typing import IO

from . import arguments
from .masking import SECRETS_VARIABLE, Masker
from .outcome import HOME, MAX_CONTENT_CHARS, PRIVATE, CallRefused, Outcome, default_directory, write_whole

STATE = os.path.join(PRIVATE, "shell.json")
MAX_COMMAND_BYTES = 100_000
MAX_OUTPUT_BYTES = 50_000_000
GRACE_SECONDS = 3.0
REPORT_DESCRIPTOR = 200
"""The descriptor on which a shell tells its last directory and variables: high, out of the way of scripts."""

WRAPPER = f"trap '{{ pwd -P && /usr/bin/env -0; }} >&{REPORT_DESCRIPTOR} 2>/dev/null' EXIT\neval \"$1\""
UNSAVED_VARIABLES = {"_", "SHLVL", "PWD", "OLDPWD", SECRETS_VARIABLE}


def run(given: Mapping[str, object], entry: str, patience: int, masker: Masker) -> Outcome:
    if given.get("restart") is True:
        if os.path.exists(STATE):
            os.unlink(STATE)
        return Outcome(f"The shell was restarted in {default_directory()}; exported variables are gone.")
    command = arguments.text(given, "command")
    if not command.strip():
        raise CallRefused("`command` is empty: send the command to run, or `restart: true` for a new shell.")
    if len(command.encode(errors="replace")) > MAX_COMMAND_BYTES or "\0" in command:
        raise CallRefused(
            f"`command` is longer than {MAX_COMMAND_BYTES} bytes or holds a NUL character: "
            "create a file with the editor tool and run that."
        )
    with tempfile.TemporaryFile("a+b", dir=PRIVATE) as output, tempfile.TemporaryFile(dir=PRIVATE) as report:
        base = {name: value for name, value in os.environ.items() if name != SECRETS_VARIABLE}
        directory, environment = _load_state(base)
        exit_code, ending = _run(command, directory, environment, patience, output, report)
        _save_state(report, base, masker)
        return _outcome(output, entry, exit_code, ending, masker)


def _run(
    command: str,
    directory: str,
    environment: dict[str, str],
    patience: int,
    output: IO[bytes],
    report: IO[bytes],
) -> tuple[int, str]:
    """The exit status, and why the command was stopped if it was."""
    descriptor = fcntl.fcntl(report.fileno(), fcntl.F_DUPFD, REPORT_DESCRIPTOR)
    try:
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", WRAPPER, "bash", command],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=os.setpgrp,
            pass_fds=[descriptor],
        )
    finally:
        os.close(descriptor)
    deadline = time.monotonic() + patience
    while True:
        try:
            code = process.wait(min(0.2, max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            if os.fstat(output.fileno()).st_size > MAX_OUTPUT_BYTES:
                ending = f"it printed more than {MAX_OUTPUT_BYTES} bytes; redirect its output to a file"
            elif time.monotonic() >= deadline:
                ending = (
                    f"it ran for {patience} seconds; run long work in the background with output in a file"
                )
            else:
                continue
            return _stop(process), f"The command was stopped: {ending}."
        return (code if code >= 0 else 128 - code), ""


def _stop(process: subprocess.Popen[bytes]) -> int:
    """End the whole process group, gently first."""
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError):  # children that ignored the first signal
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return 124


def _load_state(base: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Directory and variables for the next command: what the last one left, over what we were given."""
    state: dict[str, dict[str, str]] = {"set": {}, "unset": {}}
    directory = default_directory()
    try:
        with open(STATE, encoding="utf-8") as file:
            kept = json.load(file)
        directory = kept["cwd"] if os.path.isdir(kept["cwd"]) else directory
        state = kept
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError):
        os.unlink(STATE)
    environment = {name: value for name, value in base.items() if name not in state["unset"]}
    return directory, {**environment, **state["set"], "HOME": HOME}


def _save_state(report: IO[bytes], base: dict[str, str], masker: Masker) -> None:
    """Keep the directory and what differs from the variables given, never a secret."""
    report.seek(0)
    directory, _, listing = report.read().decode(errors="surrogateescape").partition("\n")
    if not listing:  # killed, or replaced its own exit trap: the state stays as it was
        return
    left = dict(item.split("=", 1) for item in listing.split("\0") if "=" in item)
    hidden = UNSAVED_VARIABLES | masker.names
    kept = {
        name: value
        for name, value in left.items()
        if name not in hidden and base.get(name) != value and not masker.found_in(value)
    }
    gone = {name: "" for name in base if name not in left and name not in hidden}
    state = json.dumps({"cwd": directory, "set": kept, "unset": gone})
    write_whole(STATE, state.encode(), mode=0o600)


def _outcome(output: IO[bytes], entry: str, exit_code: int, ending: str, masker: Masker) -> Outcome:
    output.seek(0)
    text = masker.text(output.read(MAX_OUTPUT_BYTES).decode(errors="replace"))
    truncated = len(text) > MAX_CONTENT_CHARS
    if truncated:
        path = os.path.join(entry, "output.txt")
        write_whole(path, text.encode(errors="replace"), mode=0o600)
        half = MAX_CONTENT_CHARS // 2
        left_out = len(text) - MAX_CONTENT_CHARS
        cut = f"\n\n[… {left_out} characters left out; the whole output is in {path} …]\n\n"
        text = text[:half] + cut + text[-half:]
    if not ending and exit_code != 0:
        ending = f"(exit code {exit_code})"
    text = "\n".join(part for part in (text.rstrip("\n"), ending) if part)
    return Outcome(text or "(no output)", exit_code != 0, exit_code, truncated)
