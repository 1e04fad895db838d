"""The files of a skill: where they may lie in its folder, and how much they may be."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from kit.schemas import Body
from models.json_view import example

MAX_FILES = 100
MAX_NAME_CHARS = 200
MAX_FILE_CHARS = 200_000
_SEGMENT = re.compile(r"[^/\\\x00-\x1f\x7f]{1,100}")


def _require_relative_path(name: str) -> str:
    """A relative path of ordinary names; one that leads out of the skill's folder is refused."""
    for segment in name.split("/"):
        if not _SEGMENT.fullmatch(segment) or segment != segment.strip():
            raise ValueError(
                "give a relative path like 'examples/button.tsx': names of 1 to 100 characters joined by "
                "'/', without backslashes, control characters or blanks at their ends"
            )
        if segment in (".", "..") or segment.lower() == ".git":
            raise ValueError(f"'{segment}' cannot be a part of a skill file's name")
    return name


class SkillFile(Body):
    """One file of a skill."""

    model_config = example(name="instructions.md", content="# React Component Generator")
    name: Annotated[
        str, Field(min_length=1, max_length=MAX_NAME_CHARS), AfterValidator(_require_relative_path)
    ]
    """Its path within the skill's folder, relative, with `/` between folders."""
    content: Annotated[str, Field(max_length=MAX_FILE_CHARS)]
    """The whole text of the file."""


def _require_disjoint_paths(files: list[SkillFile]) -> list[SkillFile]:
    """Files that can lie in one folder: no name twice, and none that is another's folder."""
    names = {file.name for file in files}
    if len(names) < len(files):
        raise ValueError("two files have the same name")
    for name in sorted(names):
        folders = name.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            if (folder := "/".join(folders[:depth])) in names:
                raise ValueError(f"'{folder}' is a file and the folder of '{name}'")
    return files


SkillFiles = Annotated[
    list[SkillFile], Field(min_length=1, max_length=MAX_FILES), AfterValidator(_require_disjoint_paths)
]
"""All files of one version."""
