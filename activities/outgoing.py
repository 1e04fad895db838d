"""What a push would send, searched for the project's secrets before anything leaves the sandbox."""

from gateways.repository import Repository
from kit.scrub import Scrubber

PIECE = 1_000_000
"""Bytes that are read at once."""
OVERLAP = 10_000
"""Bytes that two pieces share, so that no secret lies between them."""
SEARCHED = 50_000_000
"""Bytes that are searched at most."""


async def holds_secret(repository: Repository, scrubber: Scrubber, base: str, sha: str) -> bool:
    """Whether a commit, a name or a content that `sha` adds to `base` has a secret in it.

    Its whole history counts: what one commit adds and the next removes is pushed all the same.
    """
    for start in range(0, SEARCHED, PIECE - OVERLAP):
        piece = await repository.outgoing(base, sha, start, PIECE)
        if scrubber.found_in(piece):
            return True
        if len(piece) * 4 < PIECE:  # no character takes more bytes: it was the last
            return False
    return False
