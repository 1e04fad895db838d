"""Branches on the wire: as GitHub has them, kept nowhere."""

from kit.schemas import Read, UtcTimestamp
from models.json_view import example


class BranchRead(Read):
    """A branch of the project's repository; `id` is its name."""

    model_config = example(
        id="feature/dark-mode",
        _id="feature/dark-mode",
        name="feature/dark-mode",
        sha="6dcb09b5b57875f334f61aebed695e2e4193db5e",
        author="codecourier[bot]",
        committedAt="2026-01-15T10:30:00.000Z",
        isProtected=False,
        isDefault=False,
    )
    name: str
    """The branch's name."""
    sha: str
    """The commit that it points to."""
    author: str | None
    """Who wrote that commit: the GitHub login, or else the name in the commit; null when neither is known."""
    committed_at: UtcTimestamp
    """When that commit was made."""
    is_protected: bool
    """Whether rules of the repository protect it; such a branch cannot be deleted here."""
    is_default: bool
    """Whether it is the repository's default branch."""
