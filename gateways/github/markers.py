"""Markers: hidden comments by which the platform finds its own pull requests and what it wrote there.

What others wrote, agents above all, passes through `without_markers` before it stands beside them.
"""

import re
from typing import Final

JOB_MARKER: Final = re.compile(r"<!-- codecourier:\w+ \w+ -->")
"""A pull request of a run or a merge, whoever's it is."""
_MARKER_BEGIN: Final = re.compile(r"<!--(?=\s*/?\s*codecourier:)", re.IGNORECASE)


def marker(kind: str, id: str) -> str:
    """That of a job: by it its pull request is known, whatever became of its title and text."""
    return f"<!-- codecourier:{kind} {id} -->"


def without_markers(text: str) -> str:
    """The same text, in which whatever looks like a marker is none, and can be seen."""
    return _MARKER_BEGIN.sub("<!- -", text)
