"""`search`: lines that match a regular expression, in the files git would show."""

from __future__ import annotations

import fnmatch
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from types import FrameType

from . import arguments
from .masking import Masker
from .outcome import MAX_CONTENT_CHARS, CallRefused, Outcome, resolve

MAX_FILE_BYTES = 5_000_000
MAX_LINE_CHARS = 300


def run(given: Mapping[str, object], entry: str, patience: int, masker: Masker) -> Outcome:
    pattern, path = arguments.text(given, "pattern"), arguments.text(given, "path", ".") or "."
    glob, most = arguments.text(given, "glob", ""), arguments.number(given, "max_results", 100, 1, 1000)
    if not pattern:
        raise CallRefused("`pattern` is empty: send a regular expression in Python's syntax.")
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise CallRefused(
            f"`pattern` is not a regular expression ({error}): escape special characters with a backslash."
        ) from None
    root = resolve(path)
    if not os.path.exists(root):
        raise CallRefused(
            f"{path} does not exist: send a file or directory, absolute or relative to the repository."
        )
    signal.signal(signal.SIGALRM, _raise_timeout)
    signal.alarm(min(patience, 60))
    try:
        return _search(wanted, root, path, glob, most)
    finally:
        signal.alarm(0)


def _raise_timeout(signum: int, frame: FrameType | None) -> None:
    raise CallRefused("The search took too long: send a simpler `pattern`, or a narrower `path` or `glob`.")


def _search(wanted: re.Pattern[str], root: str, path: str, glob: str, most: int) -> Outcome:
    found: list[str] = []
    room, searched = MAX_CONTENT_CHARS, 0
    for name in _files(root):
        shown = os.path.normpath(os.path.join(path, name))
        if glob and not _matches(name or shown, glob):
            continue
        searched += 1
        for number, line in enumerate(_lines(os.path.join(root, name) if name else root), 1):
            if not wanted.search(line):
                continue
            hit = f"{shown}:{number}: {line.strip()[:MAX_LINE_CHARS]}"
            room -= len(hit) + 1
            if len(found) == most or room < 0:
                note = f"[… more than these {len(found)} matches; narrow `pattern`, `path` or `glob` …]"
                return Outcome("\n".join([*found, note]), truncated=True)
            found.append(hit)
    if not found:
        return Outcome(f"No matches for {wanted.pattern!r} in {path}: {searched} files searched.")
    return Outcome("\n".join(found))


def _files(root: str) -> Iterator[str]:
    """Paths below `root`: what git tracks or would track, or every file where there is no repository."""
    if not os.path.isdir(root):
        yield ""
        return
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    if listing.returncode == 0:
        yield from sorted({os.fsdecode(name) for name in listing.stdout.split(b"\0") if name})
        return
    for directory, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in (".git", ".codecourier", "node_modules"))
        for name in sorted(files):
            yield os.path.relpath(os.path.join(directory, name), root)


def _matches(name: str, glob: str) -> bool:
    """`*.py` matches at any depth; `**/` also matches no directory at all."""
    return any(
        fnmatch.fnmatch(candidate, pattern)
        for candidate in (name, os.path.basename(name))
        for pattern in (glob, glob.replace("**/", ""))
    )


def _lines(path: str) -> list[str]:
    """The lines of a text file; none of a binary, huge, special or unreadable one."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > MAX_FILE_BYTES:
            return []
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return []
    return [] if b"\0" in data[:8192] else data.decode(errors="replace").splitlines()
