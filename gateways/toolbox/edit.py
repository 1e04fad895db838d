"""`edit`: Anthropic's `str_replace_based_edit_tool`, text_editor_20250728."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from . import arguments
from .masking import Masker
from .outcome import MAX_CONTENT_CHARS, CallRefused, Outcome, resolve, write_whole

MAX_FILE_BYTES = 5_000_000
"""Bytes of a file that this tool opens."""
MAX_ENTRIES = 500
CONTEXT_LINES = 4


def run(given: Mapping[str, object], entry: str, patience: int, masker: Masker) -> Outcome:
    command = arguments.text(given, "command")
    if command not in COMMANDS:
        raise CallRefused(f"There is no command {command!r}; send one of {', '.join(COMMANDS)}.")
    path = arguments.text(given, "path")
    if not path.strip():
        raise CallRefused("`path` is empty: send the path of a file, or of a directory to view.")
    return COMMANDS[command](resolve(path), path, given)


def _view(real: str, path: str, given: Mapping[str, object]) -> Outcome:
    if os.path.isdir(real):
        if given.get("view_range") is not None:
            raise CallRefused(f"{path} is a directory: view it without `view_range`.")
        return _listing(real, path)
    lines = _read(real, path).splitlines()
    first, last = _range(given.get("view_range"), len(lines))
    shown: list[str] = []
    room = MAX_CONTENT_CHARS
    for number in range(first, last + 1):
        line = f"{number:6}\t{lines[number - 1]}"
        if len(line) + 1 > room:
            break
        shown.append(line)
        room -= len(line) + 1
    if not lines:
        return Outcome(f"{path} is empty.")
    if len(shown) == last - first + 1:
        return Outcome("\n".join(shown))
    if not shown:
        return Outcome(
            f"Line {first} of {path} is longer than {MAX_CONTENT_CHARS} characters; "
            "read it in parts with `cut`.",
            True,
        )
    note = f"[… lines {first} to {first + len(shown) - 1} of {len(lines)}; view the rest with `view_range` …]"
    return Outcome("\n".join([*shown, note]), truncated=True)


def _range(given: object, count: int) -> tuple[int, int]:
    if given is None:
        return 1, count
    if not isinstance(given, list) or len(given) != 2 or not all(type(item) is int for item in given):
        raise CallRefused(
            "`view_range` must be two integers, [first line, last line]; -1 as the last means the end."
        )
    first, last = given
    last = count if last == -1 else min(last, count)
    if not 1 <= first <= max(count, 1) or last < first:
        raise CallRefused(f"`view_range` {given} does not fit: the file has {count} lines, the first is 1.")
    return first, last


def _listing(real: str, path: str) -> Outcome:
    """What is in a directory, two levels deep, without hidden entries."""
    found: list[str] = []
    for directory, folders, files in os.walk(real):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        depth = 0 if directory == real else os.path.relpath(directory, real).count(os.sep) + 1
        inside = "" if directory == real else os.path.relpath(directory, real) + os.sep
        found += [inside + name for name in sorted(files) if not name.startswith(".")]
        found += [inside + name + os.sep for name in folders]
        if depth >= 1:
            folders[:] = []
    found.sort()
    rest = len(found) - MAX_ENTRIES
    note = [f"[… {rest} more entries; view a directory below …]"] if rest > 0 else []
    head = f"Files and directories in {path}, two levels deep, without hidden ones:"
    return Outcome("\n".join([head, *found[:MAX_ENTRIES], *note]), truncated=rest > 0)


def _create(real: str, path: str, given: Mapping[str, object]) -> Outcome:
    text = arguments.text(given, "file_text")
    if os.path.isdir(real):
        raise CallRefused(f"{path} is a directory: send the path of a file.")
    existed = os.path.exists(real)
    _write(real, text)
    return Outcome(f"{path} was {'overwritten' if existed else 'created'}: {len(text.splitlines())} lines.")


def _str_replace(real: str, path: str, given: Mapping[str, object]) -> Outcome:
    text = _read(real, path)
    old, new = arguments.text(given, "old_str"), arguments.text(given, "new_str", "")
    if not old:
        raise CallRefused("`old_str` is empty: send the exact text to replace, or use `insert`.")
    if old not in text and "\r\n" in text:  # models write \n; the file's own line ends are kept
        old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
    count = text.count(old)
    if count == 0:
        hint = " A similar text with other white space is there." if _loosely(old) in _loosely(text) else ""
        raise CallRefused(
            f"`old_str` does not occur in {path}.{hint} View the file and send the text exactly as it is, "
            "white space included, without the line numbers."
        )
    if count > 1:
        starts = _lines_of(text, old)
        raise CallRefused(
            f"`old_str` occurs {count} times in {path}, at lines {', '.join(map(str, starts[:20]))}: "
            "send more of the text around the one you mean, so that it is unique."
        )
    at = text.index(old)
    changed = text[:at] + new + text[at + len(old) :]
    _write(real, changed)
    return _around(path, changed, text.count("\n", 0, at) + 1, new.count("\n") + 1)


def _insert(real: str, path: str, given: Mapping[str, object]) -> Outcome:
    lines = _read(real, path).splitlines(keepends=True)
    after = arguments.number(given, "insert_line", None, 0, len(lines))
    text = arguments.text(given, "insert_text")
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if end == "\r\n":
        text = text.replace("\r\n", "\n").replace("\n", end)
    if after and not lines[after - 1].endswith("\n"):
        lines[after - 1] += end
    if not text.endswith("\n"):
        text += end
    changed = "".join([*lines[:after], text, *lines[after:]])
    _write(real, changed)
    return _around(path, changed, after + 1, text.count("\n"))


def _around(path: str, text: str, first: int, count: int) -> Outcome:
    """What the file looks like where it was changed."""
    lines = text.splitlines()
    start, end = max(1, first - CONTEXT_LINES), min(len(lines), first + min(count, 50) + CONTEXT_LINES - 1)
    shown = [f"{number:6}\t{lines[number - 1][:500]}" for number in range(start, end + 1)]
    return Outcome("\n".join([f"{path} was changed; around the change it now reads:", *shown]))


def _read(real: str, path: str) -> str:
    if not os.path.exists(real):
        raise CallRefused(f"{path} does not exist: check the path by viewing its directory, or use `create`.")
    if os.path.isdir(real):
        raise CallRefused(f"{path} is a directory: send the path of a file.")
    if not os.path.isfile(real):
        raise CallRefused(f"{path} is not a regular file.")
    size = os.path.getsize(real)
    if size > MAX_FILE_BYTES:
        raise CallRefused(
            f"{path} has {size} bytes, more than the {MAX_FILE_BYTES} that this tool opens; use `bash` on it."
        )
    with open(real, "rb") as file:
        data = file.read()
    if b"\0" in data:
        raise CallRefused(f"{path} is a binary file; use `bash` on it.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise CallRefused(
            f"{path} is not UTF-8 text; use `bash` on it, or convert it with `iconv`."
        ) from None


def _write(real: str, text: str) -> None:
    mode = os.stat(real).st_mode & 0o7777 if os.path.exists(real) else 0o644
    write_whole(real, text.encode(), mode)


def _loosely(text: str) -> str:
    return " ".join(text.split())


def _lines_of(text: str, part: str) -> list[int]:
    found, at = [], text.find(part)
    while at >= 0:
        found.append(text.count("\n", 0, at) + 1)
        at = text.find(part, at + len(part))
    return found


COMMANDS: dict[str, Callable[[str, str, Mapping[str, object]], Outcome]] = {
    "view": _view,
    "create": _create,
    "str_replace": _str_replace,
    "insert": _insert,
}
