"""Protected paths: what decides what CI runs and who reviews is changed only where the project allows it."""

import re
from collections.abc import Sequence

from gateways.errors import UpstreamRefused
from gateways.git.quarantine import Quarantine


class ProtectedPath(UpstreamRefused):
    """The change touches paths that the project protects."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = sorted(paths)
        shown = ", ".join(self.paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
        super().__init__(
            f"The change touches protected paths ({shown}): it was not pushed. Tell the agent to leave them "
            "alone, or take them out of `protectedPaths` with POST /api/v1/project/settings/update, then "
            "restart the run."
        )


async def require_untouched(
    quarantine: Quarantine, patterns: Sequence[str], sha: str, allowed: Sequence[str]
) -> None:
    """Raises `ProtectedPath` unless `find_touched_paths` finds none."""
    if touched := await find_touched_paths(quarantine, patterns, sha, allowed):
        raise ProtectedPath(touched)


async def find_touched_paths(
    quarantine: Quarantine, patterns: Sequence[str], sha: str, allowed: Sequence[str]
) -> list[str]:
    """The protected paths that are as none of these commits or trees has them, in their order.

    allowed: the base first, then whatever else may be taken over from, such as pull requests.
    """
    if not patterns:
        return []
    base, *others = allowed
    changed = {
        path: entry
        for path, entry in (await quarantine.changed_entries(base, sha)).items()
        if _is_protected(path, patterns)
    }
    for other in others:
        if changed:
            there = await quarantine.entries(other, list(changed))
            changed = {path: entry for path, entry in changed.items() if there.get(path, "") != entry}
    return sorted(changed)


def _is_protected(path: str, patterns: Sequence[str]) -> bool:
    return any(_pattern(each).fullmatch(path) for each in patterns)


def _pattern(glob: str) -> re.Pattern[str]:
    """`**` is any path, `*` and `?` are within a name; case does not count."""
    words = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = (words.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*|\?)", glob.strip("/")))
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
