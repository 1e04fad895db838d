"""What a stack remembers between commands, and the lock that makes it one stack per directory."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from local.stack.plan import PARTS
from local.stack.private_files import write_private
from local.stack.process import ProcessIdentity, StartError

_PRIVATE_DIRECTORIES: Final = ("keys", "logs", "temporal")
"""Directories of a stack whose files are for its owner only."""
HOPELESS_AFTER_RESTARTS = 3
"""Restarts in a row after which a part is shown as one that keeps dying."""


class Restarts(BaseModel):
    """What the watch had to do for a part.  Times are seconds since the epoch."""

    count: int = 0
    """Since the watch began."""
    in_a_row: int = 0
    """Since the part last was well for long enough: the pause before the next one grows with it."""
    last_exit: str
    """How the part ended the last time, for example `killed by SIGKILL`."""
    died_at: float
    log_tail: str = ""
    """The last lines that it wrote before it ended."""

    @property
    def is_hopeless(self) -> bool:
        """Whether it dies again and again: starting it once more will hardly help."""
        return self.in_a_row >= HOPELESS_AFTER_RESTARTS


class State(BaseModel):
    """`state.json`: ports of the last start, the parts' processes, and the command that watches over them."""

    ports: dict[str, int] = {}
    parts: dict[str, ProcessIdentity] = {}
    restarts: dict[str, Restarts] = {}
    """Of the parts that died under the watch."""
    supervisor: ProcessIdentity | None = None

    @property
    def is_watched(self) -> bool:
        """Whether a part that dies is started again."""
        return self.supervisor is not None and self.supervisor.is_alive

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

    def alive(self) -> dict[str, ProcessIdentity]:
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


def make_private(directory: Path) -> None:
    """Let nobody but its owner into a stack's directory, also one that was made otherwise; made if missing.

    The files with secrets, logs and histories in it are closed, too, for the day they are moved or copied.
    Raises `StartError` for a directory that holds other things and is open to others, which stays as it is.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        if stat.S_IMODE(directory.stat().st_mode) & 0o077:
            names = {path.name for path in directory.iterdir()} - {"lock"}
            if names and not names & {"state.json", "stack.json", "keys"}:
                raise StartError(
                    f"{directory} holds other things and is open to other users: give the stack a directory "
                    f"of its own, or close this one with `chmod 700 {directory}`"
                )
            directory.chmod(0o700)
        for name in _PRIVATE_DIRECTORIES:
            (directory / name).mkdir(exist_ok=True, mode=0o700)
            (directory / name).chmod(0o700)
        for path in [
            *directory.iterdir(),
            *(path for name in _PRIVATE_DIRECTORIES for path in (directory / name).iterdir()),
        ]:
            if path.is_file() and not path.is_symlink():
                path.chmod(0o600)
    except PermissionError as error:
        raise StartError(f"{directory} cannot be made private: {error.filename} is another user's") from error


def pids(parts: dict[str, ProcessIdentity]) -> dict[str, int | None]:
    return {name: parts[name].pid if name in parts else None for name in PARTS}


@contextmanager
def lock_stack(directory: Path) -> Iterator[bool]:
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
