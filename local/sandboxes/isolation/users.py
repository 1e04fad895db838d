"""The users of the host that sandboxes run as: as root one each, of a range that no account is in."""

import os
import secrets
from collections.abc import Collection
from itertools import chain
from pathlib import Path

RANGES = (range(0x70000000, 0x70010000), range(32_768, 49_152))
"""The first is beyond all that distributions and systemd give away (uids.md of systemd); the second is for
containers, which have 65,536 ids."""


class NoFreeUser(Exception):
    """This process is root, but of too few ids."""


def ids() -> range:
    """The ids to give to sandboxes; an ordinary user has but its own.  Raises NoFreeUser."""
    if os.geteuid() != 0:
        return range(os.geteuid(), os.geteuid() + 1)
    mapped = [_mapped(Path("/proc/self/uid_map")), _mapped(Path("/proc/self/gid_map"))]
    for choice in RANGES:
        if all(any(choice.start in part and choice[-1] in part for part in parts) for parts in mapped):
            return choice
    wanted = " or ".join(f"{choice.start}-{choice[-1]}" for choice in RANGES)
    raise NoFreeUser(f"there are no user ids for sandboxes: this container has to be given the ids {wanted}")


def free_id(used: Collection[int]) -> int:
    """An id that no sandbox has; the same one for all where there is only one.  Raises NoFreeUser."""
    those = ids()
    if len(those) == 1:
        return those[0]
    first = secrets.randbelow(len(those))  # other servers of this host choose from the same ones
    for candidate in chain(those[first:], those[:first]):
        if candidate not in used:
            return candidate
    raise NoFreeUser(f"all {len(those)} user ids for sandboxes are in use: delete some")


def _mapped(table: Path) -> list[range]:
    """The ids that exist in this process's user namespace."""
    rows = [[int(word) for word in line.split()] for line in table.read_text().splitlines()]
    return [range(first, first + count) for first, _, count in rows]
