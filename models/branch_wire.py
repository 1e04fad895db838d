"""Branches on the wire: as GitHub has them, kept nowhere."""

from kit.wire import Moment, Read
from models.view import example


class BranchRead(Read):
    """A branch of the project's repository; `id` is its name."""

    model_config = example(
        id="feature/dark-mode", _id="feature/dark-mode", name="feature/dark-mode",
        sha="6dcb09b5b57875f334f61aebed695e2e4193db5e", author="codecourier[bot]",
        committedAt="2026-01-15T10:30:00.000Z", isProtected=False, isDefault=False,
    )  # fmt: skip
    name: str
    sha: str
    author: str | None
    committed_at: Moment
    is_protected: bool
    is_default: bool
