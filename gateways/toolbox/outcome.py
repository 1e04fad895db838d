"""What a tool call comes to, and the places it works in."""

from __future__ import annotations

import os
from typing import NamedTuple

HOME = os.path.expanduser("~")
PRIVATE = os.path.join(HOME, ".codecourier")
JOURNAL = os.path.join(PRIVATE, "journal")
REPOSITORY = os.path.join(HOME, "repo")

MAX_CONTENT_CHARS = 30_000
"""Characters of content a model is given at once."""


class Outcome(NamedTuple):
    content: str
    is_error: bool = False
    exit_code: int | None = None
    truncated: bool = False


class CallRefused(Exception):
    """The call cannot be carried out as sent; the text tells the model what to send instead."""


def default_directory() -> str:
    """Where relative paths begin and the first command runs: the repository, once it is there."""
    return REPOSITORY if os.path.isdir(REPOSITORY) else HOME


def resolve(path: str) -> str:
    """An absolute path without symbolic links, outside our own directory."""
    if "\0" in path:
        raise CallRefused("A path cannot hold a NUL character: send it without.")
    real = os.path.realpath(os.path.join(default_directory(), os.path.expanduser(path)))
    if real == PRIVATE or real.startswith(os.path.realpath(PRIVATE) + os.sep):
        raise CallRefused(
            f"{path} belongs to the platform and cannot be used; work below {default_directory()}."
        )
    return real


def write_whole(path: str, data: bytes, mode: int = 0o644) -> None:
    """Replace a file in one step: readers, and a crash, see the old or the new content, never a part."""
    os.makedirs(os.path.dirname(path), exist_ok=True)  # a command may have removed our directory
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)[:100]}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
