"""Filling a new repository with files, by one `git fast-import`; nothing is checked out anywhere."""

import time
from collections.abc import Mapping
from pathlib import PurePosixPath

from local.forge.errors import Invalid
from local.forge.git.process import Git


async def commit_files(
    git: Git,
    branch: str,
    files: Mapping[str, bytes | str],
    message: str,
    *,
    author: str,
    parent: str | None = None,
) -> None:
    """Commits `files` (path → content) to an empty repository; a file that starts with `#!` is executable.

    parent: the branch's commit, for one that is not the first; the files are put over what it has.
    """
    text = message.encode()
    who = f"{author} <{author}@users.noreply.localhost> {int(time.time())} +0000"
    stream = [f"commit refs/heads/{branch}\ncommitter {who}\ndata {len(text)}\n".encode(), text, b"\n"]
    if parent is not None:
        stream.append(f"from {parent}\n".encode())
    for path, content in sorted(files.items()):
        data = content.encode() if isinstance(content, str) else content
        mode = "100755" if data.startswith(b"#!") else "100644"
        stream += [f"M {mode} inline {validate_path(path)}\ndata {len(data)}\n".encode(), data, b"\n"]
    await git.run("fast-import", "--quiet", "--done", stdin=b"".join([*stream, b"done\n"]))


def validate_path(path: str) -> str:
    """The path, if it stays inside the repository and means the same to git's import language."""
    parts = PurePosixPath(path).parts
    unsafe = path != "/".join(parts) or {"..", ".git", "/"} & {part.lower() for part in parts}
    if not parts or unsafe or path.startswith('"') or any(ord(letter) < 32 for letter in path):
        raise Invalid.field("Content", f"path {path!r}")
    return path
