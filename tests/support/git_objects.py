"""Objects of git made by hand, sound and unsound, and packs of them as a sandbox would send them."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

AUTHOR: Final = "Somebody <somebody@example.com> 1700000000 +0000"
_ENVIRONMENT: Final = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
}


class ObjectWriter:
    """A repository of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.git("init", "--quiet", "--template=")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        command = ["git", "-C", str(self.directory), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, env=_ENVIRONMENT, check=True)
        return done.stdout.decode().strip()

    def blob(self, content: bytes) -> str:
        return self._object("blob", content)

    def tree(self, entries: Mapping[str, tuple[str, str]]) -> str:
        """entries: by name, mode and object; written as they come."""
        written = b"".join(
            f"{mode} {name}\0".encode() + bytes.fromhex(sha) for name, (mode, sha) in entries.items()
        )
        return self._object("tree", written)

    def commit(self, tree: str, *parents: str, message: str = "Made") -> str:
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {AUTHOR}"]
        return self._object("commit", "\n".join([*lines, f"committer {AUTHOR}", "", message, ""]).encode())

    def pack(self, objects: Sequence[str]) -> Path:
        """A pack of just these, whatever they refer to."""
        target = self.directory / "made.pack"
        listed = "".join(f"{each}\n" for each in objects).encode()
        command = ["git", "-C", str(self.directory), "pack-objects", "--quiet", "--stdout"]
        with target.open("wb") as file:
            subprocess.run(command, input=listed, stdout=file, env=_ENVIRONMENT, check=True)
        return target

    def _object(self, kind: str, content: bytes) -> str:
        return self.git("hash-object", "-t", kind, "--literally", "-w", "--stdin", stdin=content)
