"""filesystem.Filesystem of E2B's protocol: stat, list, make, move and remove. Watchers are not served."""

import asyncio
import contextlib
import grp
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext
from e2b.envd.filesystem import filesystem_pb as pb
from e2b.envd.filesystem.filesystem_connect import Filesystem
from protobuf.wkt import Timestamp

from local.sandboxes.envd.paths import require_user, resolve


class FilesystemService(Filesystem):
    """Every call runs in a thread: a slow disk must not hold up the output of commands."""

    async def stat(
        self, request: pb.StatRequest, ctx: RequestContext[pb.StatRequest, pb.StatResponse]
    ) -> pb.StatResponse:
        require_user(ctx.request_headers)
        return pb.StatResponse(entry=await asyncio.to_thread(_stat, resolve(request.path)))

    async def list_dir(
        self, request: pb.ListDirRequest, ctx: RequestContext[pb.ListDirRequest, pb.ListDirResponse]
    ) -> pb.ListDirResponse:
        require_user(ctx.request_headers)
        entries = await asyncio.to_thread(_list, resolve(request.path), request.depth or 1)
        return pb.ListDirResponse(entries=entries)

    async def make_dir(
        self, request: pb.MakeDirRequest, ctx: RequestContext[pb.MakeDirRequest, pb.MakeDirResponse]
    ) -> pb.MakeDirResponse:
        require_user(ctx.request_headers)
        return pb.MakeDirResponse(entry=await asyncio.to_thread(_make, resolve(request.path)))

    async def move(
        self, request: pb.MoveRequest, ctx: RequestContext[pb.MoveRequest, pb.MoveResponse]
    ) -> pb.MoveResponse:
        require_user(ctx.request_headers)
        entry = await asyncio.to_thread(_move, resolve(request.source), resolve(request.destination))
        return pb.MoveResponse(entry=entry)

    async def remove(
        self, request: pb.RemoveRequest, ctx: RequestContext[pb.RemoveRequest, pb.RemoveResponse]
    ) -> pb.RemoveResponse:
        require_user(ctx.request_headers)
        await asyncio.to_thread(_remove, resolve(request.path))
        return pb.RemoveResponse()


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """What the operating system refuses, in the protocol's codes."""
    try:
        yield
    except FileNotFoundError as error:
        raise ConnectError(Code.NOT_FOUND, f"path not found: {error.filename or path}") from error
    except PermissionError as error:
        raise ConnectError(Code.PERMISSION_DENIED, f"permission denied: {error.filename or path}") from error
    except OSError as error:
        raise ConnectError(Code.INTERNAL, f"{path}: {error.strerror or error}") from error


def _stat(path: str) -> pb.EntryInfo:
    with _named(path):
        return _entry(path)


def _list(path: str, depth: int) -> list[pb.EntryInfo]:
    with _named(path):
        if not stat.S_ISDIR(os.stat(path).st_mode):
            raise ConnectError(Code.INVALID_ARGUMENT, f"path is not a directory: {path}")
        return list(_walk(path, depth))


def _walk(path: str, depth: int) -> Iterator[pb.EntryInfo]:
    """The entries below a directory, sorted; one that vanishes or may not be read meanwhile is left out."""
    with os.scandir(path) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):
            yield _entry(entry.path)
        if depth > 1 and entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError, PermissionError):
                yield from _walk(entry.path, depth - 1)


def _make(path: str) -> pb.EntryInfo:
    with _named(path):
        if os.path.isdir(path):
            raise ConnectError(Code.ALREADY_EXISTS, f"directory already exists: {path}")
        if os.path.lexists(path):
            raise ConnectError(Code.INVALID_ARGUMENT, f"path already exists but is not a directory: {path}")
        os.makedirs(path)
        return _entry(path)


def _move(source: str, destination: str) -> pb.EntryInfo:
    with _named(source):
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        shutil.move(source, destination)
        return _entry(destination)


def _remove(path: str) -> None:
    """Remove a file, a link or a whole tree; what is not there is removed already."""
    with _named(path), contextlib.suppress(FileNotFoundError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def _entry(path: str) -> pb.EntryInfo:
    """What there is at a path: of a link, the type and size of its target and its own times and owner."""
    own = os.lstat(path)
    is_link = stat.S_ISLNK(own.st_mode)
    target = own
    if is_link:
        with contextlib.suppress(OSError):
            target = os.stat(path)
    return pb.EntryInfo(
        name=os.path.basename(path),
        type=_type(target.st_mode),
        path=path,
        size=target.st_size,
        mode=stat.S_IMODE(target.st_mode),
        permissions=stat.filemode(own.st_mode),
        owner=_name(own.st_uid, users=True),
        group=_name(own.st_gid, users=False),
        modified_time=Timestamp.from_datetime(datetime.fromtimestamp(own.st_mtime, UTC)),
        symlink_target=os.path.realpath(path) if is_link else None,
        is_symlink=is_link,
    )


def _type(mode: int) -> pb.FileType:
    if stat.S_ISDIR(mode):
        return pb.FileType.DIRECTORY
    if stat.S_ISREG(mode):
        return pb.FileType.FILE
    return pb.FileType.SYMLINK if stat.S_ISLNK(mode) else pb.FileType.UNSPECIFIED


def _name(number: int, *, users: bool) -> str:
    try:
        return pwd.getpwuid(number).pw_name if users else grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
