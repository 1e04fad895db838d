"""The commit that a job ends in: written here, word for word, whatever identity the sandbox has."""

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_DATE: Final = re.compile(rb" (\d{1,10} [+-]\d{4})\Z")
_PRESERVED_HEADERS: Final = (b"tree", b"parent", b"encoding")


@dataclass(frozen=True)
class Identity:
    """Who a commit is by, and what is written below its message."""

    name: str
    email: str
    trailers: Mapping[str, str]

    @property
    def lines(self) -> str:
        return "\n".join(f"{key}: {' '.join(value.split())}" for key, value in self.trailers.items())

    def is_author_of(self, commit: bytes) -> bool:
        """Whether a commit is by this identity and ends in its trailers."""
        headers, _, message = commit.partition(b"\n\n")
        who = f"{self.name} <{self.email}>".encode()
        names = dict(line.split(b" ", 1) for line in headers.split(b"\n") if b" " in line)
        is_ours = all(_DATE.sub(b"", names.get(role, b"")) == who for role in (b"author", b"committer"))
        return is_ours and message.rstrip().endswith(self.lines.encode())


def build_commit(tree: str, parent: str, message: str, identity: Identity) -> bytes:
    """A commit of a tree on a parent, dated now."""
    headers = [f"tree {tree}".encode(), f"parent {parent}".encode()]
    return _serialize(headers, message.strip().encode(), identity, _now(), _now())


def sign_commit(commit: bytes, identity: Identity) -> bytes:
    """The same commit, of the same date, by this identity: always the same bytes for the same commit."""
    headers, _, message = commit.partition(b"\n\n")
    lines = headers.split(b"\n")
    kept = [line for line in lines if line.split(b" ", 1)[0] in _PRESERVED_HEADERS]
    dates = [_date_of(lines, role) for role in (b"author", b"committer")]
    return _serialize(kept, message.strip(), identity, *dates)


def commit_sha(commit: bytes, like: str) -> str:
    """The commit's name, by the algorithm of another name."""
    algorithm = hashlib.sha256 if len(like) == 64 else hashlib.sha1
    return algorithm(b"commit %d\0" % len(commit) + commit, usedforsecurity=False).hexdigest()


def _serialize(
    headers: list[bytes], message: bytes, identity: Identity, authored: bytes, made: bytes
) -> bytes:
    who = f"{identity.name} <{identity.email}>".encode()
    people = [b"author %s %s" % (who, authored), b"committer %s %s" % (who, made)]
    order = sorted([*headers, *people], key=lambda line: _ORDER.index(line.split(b" ", 1)[0]))
    parts = [part for part in (message, identity.lines.encode()) if part]
    return b"\n".join(order) + b"\n\n" + b"\n\n".join(parts) + b"\n"


_ORDER: Final = (b"tree", b"parent", b"author", b"committer", b"encoding")


def _date_of(lines: list[bytes], role: bytes) -> bytes:
    [line] = [line for line in lines if line.startswith(role + b" ")][:1] or [b""]
    found = _DATE.search(line)
    return found[1] if found else _now()


def _now() -> bytes:
    return b"%d +0000" % time.time()
