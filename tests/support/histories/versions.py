"""Recorded histories, a directory for each version: those of a released one never change again.

`python -m tests.support.histories.versions` seals the directory of this version, as a part of its release:
its files are listed with their checksums, nothing may be recorded into it any more, and the next version gets
one of its own.  All of them are replayed for ever (ADR 26).
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.support.checkout import ROOT

HISTORIES: Final = ROOT / "tests" / "histories"
CURRENT: Final = HISTORIES / version("codecourier")
"""Where this version's are recorded."""
SEAL: Final = "SHA256SUMS"
"""The name of a released directory's list, as `sha256sum --check` reads it."""


def versions() -> list[Path]:
    """The directories, the oldest version first."""
    return sorted((path for path in HISTORIES.iterdir() if path.is_dir()), key=_numbers)


def histories(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.json"))


def is_sealed(directory: Path) -> bool:
    return (directory / SEAL).exists()


def checksum_list(directory: Path) -> str:
    """The list as it would be written now."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in histories(directory)]
    return "".join(f"{line}\n" for line in lines)


def seal(directory: Path) -> None:
    """Raises `FileExistsError` for one that is sealed already."""
    with (directory / SEAL).open("x") as file:
        file.write(checksum_list(directory))


def _numbers(directory: Path) -> tuple[int, ...]:
    return tuple(map(int, directory.name.split(".")))


if __name__ == "__main__":
    seal(CURRENT)
    print(f"{len(histories(CURRENT))} histories of {CURRENT.name} are sealed")
