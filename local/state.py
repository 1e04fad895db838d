"""What a stack remembers between commands, and the lock that makes it one stack per directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from local.plan import PARTS
from local.private_files import write_private
from local.process import Identity, StartError


class State(BaseModel):
    """`state.json`: ports of the last start, the parts' processes, and the command that watches over them."""

    ports: dict[str, int] = {}
    parts: dict[str, Identity] = {}
    supervisor: Identity | None = None

    @classmethod
    def read(cls, directory: Path) -> "State":
        """The stored state; empty if there is none.  Raises `StartError` when the file was damaged."""
        path = directory / "state.json"
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            raise StartError(
                f"{path} is damaged; stop the stack's processes by hand and delete it"
            ) from error

    def write(self, directory: Path) -> None:
        write_private(directory / "state.json", self.model_dump_json(indent=2))

    def alive(self) -> dict[str, Identity]:
        return {name: identity for name, identity in self.parts.items() if identity.is_alive}


class StackFile(BaseModel):
    """`stack.json`: all that a client needs to talk to a stack.  A part replaced by a real one has no pid."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    api_url: str
    api_key: str
    project_id: str
    temporal_address: str
    temporal_namespace: str
    temporal_ui_url: str | None
    database_url: str
    forge_url: str
    forge_token: str | None
    sandbox_url: str | None
    model_url: str
    pids: dict[str, int | None]

    @classmethod
    def read(cls, directory: Path) -> "StackFile | None":
        try:
            return cls.model_validate_json((directory / "stack.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def write(self, directory: Path) -> None:
        write_private(directory / "stack.json", self.model_dump_json(by_alias=True, indent=2) + "\n")


def pids(parts: dict[str, Identity]) -> dict[str, int | None]:
    return {name: parts[name].pid if name in parts else None for name in PARTS}


@contextmanager
def locked(directory: Path) -> Iterator[bool]:
    """Hold the stack's lock, as long as this process lives; False when another command holds it."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
