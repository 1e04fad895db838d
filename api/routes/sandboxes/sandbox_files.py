"""What is in a live sandbox: files and changes, looked up there now."""

import asyncio
import posixpath
from datetime import UTC, datetime
from typing import Annotated, Literal, cast

import orjson
from fastapi import Query, Request
from pydantic import Field

from api.auth import requires
from api.http.pagination import PageQuery
from api.http.router import Router
from api.sandboxes.live import LiveSandbox, load_base_sha, open_live_sandbox
from api.sandboxes.masking import redact_content
from api.state import UnitOfWork, unit_of_work_of
from gateways.sandboxes.inspection import MAX_FILE_BYTES, MAX_PATCH_BYTES, SECRET_MARGIN_BYTES
from gateways.sandboxes.inspection_program import HOME, PRIVATE, REPOSITORY
from kit.crypto import digest
from kit.errors import Internal, Invalid
from kit.schemas import Page, Wire
from models.sandboxes.live_sandbox_schemas import (
    ChangedFileRead,
    FileContentRead,
    FileEntryRead,
    SandboxDiffRead,
)

router = Router("/sandboxes", "Sandboxes", upstream=True)
READ = requires("sandboxes:read")
SandboxPath = Annotated[str, Field(min_length=1, max_length=4_096)]


class SandboxFileList(PageQuery):
    """Which directory of which sandbox."""

    limit: Annotated[int, Field(ge=1, le=100)] = 100
    """How many entries a page has at most."""
    cursor: Annotated[str | None, Field(max_length=1_000)] = None
    """`nextCursor` of the page before; without it the list begins."""
    id: str
    """The sandbox's id."""
    path: SandboxPath = REPOSITORY
    """The directory: from the repository's root, or a whole path in the home directory."""


class SandboxFile(Wire):
    """Which file of which sandbox."""

    id: str
    """The sandbox's id."""
    path: SandboxPath
    """The file: from the repository's root, or a whole path in the home directory."""


class SandboxDiff(Wire):
    """What to compare in which sandbox."""

    id: str
    """The sandbox's id."""
    base: (
        Annotated[str, Field(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./+@-]*$")]
        | None
    ) = None
    """A commit or a branch; the commit that the work started from when it is left out."""


@router.get("/files", READ)
async def list_sandbox_files(
    request: Request, window: Annotated[SandboxFileList, Query()]
) -> Page[FileEntryRead]:
    """List a directory of a live sandbox by name, as it is now; the repository's root unless told otherwise.

    Only the home directory is shown. 409 when the sandbox is gone or not ready.
    """
    unit, path = unit_of_work_of(request), resolve_path(window.path)
    after = _after(unit, window.cursor, window.id, path)
    async with open_live_sandbox(unit, window.id) as found:
        listing = await found.inspection.files(path, window.limit, after)
        entries = [
            FileEntryRead(
                name=found.redact(entry.name),
                path=found.redact(posixpath.join(path, entry.name)),
                type=entry.type,
                size=entry.size,
                modified_at=_moment(entry.modified),
            )
            for entry in listing.entries
        ]
    following = _cursor(unit, window.id, path, listing.entries[-1].name) if listing.more else None
    return Page(data=entries, next_cursor=following, has_more=listing.more)


@router.get("/file", READ)
async def read_sandbox_file(request: Request, query: Annotated[SandboxFile, Query()]) -> FileContentRead:
    """Read a file of a live sandbox as it is now: text as it is, anything else in base64, at most 1 MiB.

    Only what is in the home directory can be read, wherever links lead. Secrets of the project are masked.
    409 when the sandbox is gone or not ready.
    """
    path = resolve_path(query.path)
    async with open_live_sandbox(unit_of_work_of(request), query.id) as found:
        file = await found.inspection.read(path)
        data = file.content
        whole = await asyncio.to_thread(
            redact_content,
            data,
            found.credentials.redactor,
            MAX_FILE_BYTES,
            goes_on=len(data) >= MAX_FILE_BYTES + SECRET_MARGIN_BYTES,
        )
        return FileContentRead(
            path=found.redact(path),
            size=file.size,
            content=whole.content,
            truncated=whole.truncated,
            encoding=cast('Literal["utf-8", "base64"]', whole.encoding),
            modified_at=_moment(file.modified),
        )


@router.get("/git-diff", READ)
async def get_sandbox_diff(request: Request, query: Annotated[SandboxDiff, Query()]) -> SandboxDiffRead:
    """Compare the work tree of a live sandbox with a commit, untracked files included.

    The base is the commit that the work started from unless another one, or a branch, is named. Secrets of
    the project are masked. 409 when the sandbox is gone or not ready.
    """
    unit = unit_of_work_of(request)
    async with open_live_sandbox(unit, query.id) as found:
        changes = await found.inspection.changes(query.base or await load_base_sha(unit, found.job_id))
        patch = await asyncio.to_thread(
            redact_content,
            changes.patch.replace(b"\0", b""),
            found.credentials.redactor,
            MAX_PATCH_BYTES,
            goes_on=len(changes.patch) >= MAX_PATCH_BYTES + SECRET_MARGIN_BYTES,
        )
        text = (
            patch.content
            if patch.encoding == "utf-8"
            else await asyncio.to_thread(_decode_patch, changes.patch, found)
        )
        return SandboxDiffRead(
            base=changes.base,
            head=changes.head,
            additions=sum(file.additions or 0 for file in changes.files),
            deletions=sum(file.deletions or 0 for file in changes.files),
            files=[
                ChangedFileRead(
                    path=found.redact(file.path), additions=file.additions, deletions=file.deletions
                )
                for file in changes.files
            ],
            patch=text,
            truncated=patch.truncated,
        )


def resolve_path(path: str) -> str:
    """A whole path in the home directory; Invalid for one that leads out of it, or to what is private."""
    whole = posixpath.normpath(posixpath.join(REPOSITORY, path))
    if "\0" in whole or not (whole == HOME or whole.startswith(f"{HOME}/")):
        raise Invalid(f"path: Only what is in {HOME} is shown.", field="path")
    if whole == PRIVATE or whole.startswith(f"{PRIVATE}/"):
        raise Invalid("path: This directory is not shown.", field="path")
    return whole


def _cursor(unit: UnitOfWork, sandbox_id: str, path: str, name: str) -> str:
    """The place after a name; sealed, as names may hold what is masked in the list."""
    return unit.api.vault.seal(orjson.dumps([_directory(sandbox_id, path), name]).decode())


def _after(unit: UnitOfWork, cursor: str | None, sandbox_id: str, path: str) -> str:
    if cursor is None:
        return ""
    try:
        place = orjson.loads(unit.api.vault.open(cursor))
    except (Internal, ValueError):
        place = None
    if not isinstance(place, list) or place[:1] != [_directory(sandbox_id, path)]:
        raise Invalid(
            "This cursor is not one of this list: pass `nextCursor` of its last page.", field="cursor"
        )
    return str(place[1])


def _directory(sandbox_id: str, path: str) -> str:
    """Tells one directory from all others, in few characters however long its path is."""
    return digest(f"{sandbox_id}\n{path}")


def _decode_patch(patch: bytes, found: LiveSandbox) -> str:
    """A diff of files that are no UTF-8, with what is none replaced."""
    whole = found.redact(patch.decode(errors="replace").replace("\0", "�"))
    return (whole[:-SECRET_MARGIN_BYTES] if len(patch) >= MAX_PATCH_BYTES + SECRET_MARGIN_BYTES else whole)[
        :MAX_PATCH_BYTES
    ]


def _moment(seconds: float) -> datetime:
    """A file's time, which whoever works there may set at will."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)
