"""What git and GitHub take for the name of a branch; anything else must not become a part of a command."""

import re
from typing import Final

MAX_BRANCH_NAME_BYTES: Final = 244
"""Bytes of a branch's name on GitHub."""
_INVALID_NAME: Final = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|\Z)|[./]\Z|\A[-/.]|\A@\Z"
)


def is_branch_name(name: str) -> bool:
    return 0 < len(
        name.encode("utf-8", "surrogatepass")
    ) <= MAX_BRANCH_NAME_BYTES and not _INVALID_NAME.search(name)
