"""/files of envd: download by GET, upload by POST as a form or as the plain body, optionally gzipped."""

import errno
import os
import zlib
from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from local.sandboxes.envd.paths import resolve

_PART_BYTES = 1 << 20
_MAX_FILES = 1000


class FileRefused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def download(request: Request) -> Response:
    path = resolve(request.query_params.get("path", ""))
    try:
        return await anyio.to_thread.run_sync(_file, path)
    except FileRefused as refusal:
        return _error(refusal)


async def upload(request: Request) -> Response:
    """Write each file to its path, making the directories above it; answers what was written where."""
    try:
        written = [await _save(path, content) async for path, content in _contents(request)]
    except FileRefused as refusal:
        return _error(refusal)
    return JSONResponse(written)


def _file(path: str) -> FileResponse:
    if not os.path.exists(path):
        raise FileRefused(404, f"path '{path}' does not exist")
    if not os.path.isfile(path):
        raise FileRefused(400, f"path '{path}' is not a regular file")
    if not os.access(path, os.R_OK):
        raise FileRefused(403, f"permission denied: '{path}'")
    return FileResponse(path, filename=os.path.basename(path))


async def _contents(request: Request) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """The files of an upload with their paths; the path of the query goes before the names in a form."""
    named = request.query_params.get("path")
    if not request.headers.get("content-type", "").startswith("multipart/"):
        if not named:
            raise FileRefused(400, "the query needs `path` when the body is the file itself")
        yield resolve(named), _body(request)
        return
    async with request.form(max_files=_MAX_FILES) as form:
        for _, part in form.multi_items():
            if isinstance(part, UploadFile):
                yield resolve(named or part.filename or ""), _parts(part)


async def _body(request: Request) -> AsyncIterator[bytes]:
    if request.headers.get("content-encoding") != "gzip":
        async for chunk in request.stream():
            yield chunk
        return
    inflate = zlib.decompressobj(wbits=31)
    try:
        async for chunk in request.stream():
            while chunk:  # at most a part at a time: a small body may hold an endless file
                yield inflate.decompress(chunk, _PART_BYTES)
                chunk = inflate.unconsumed_tail
        yield inflate.flush()
    except zlib.error as error:
        raise FileRefused(400, f"the body is not gzip: {error}") from error


async def _parts(part: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await part.read(_PART_BYTES):
        yield chunk


async def _save(path: str, content: AsyncIterator[bytes]) -> dict[str, str]:
    try:
        await anyio.to_thread.run_sync(lambda: os.makedirs(os.path.dirname(path), exist_ok=True))
        async with await anyio.open_file(path, "wb") as file:
            async for chunk in content:
                await file.write(chunk)
    except IsADirectoryError as error:
        raise FileRefused(400, f"path is a directory: {path}") from error
    except PermissionError as error:
        raise FileRefused(403, f"permission denied: {path}") from error
    except OSError as error:
        raise FileRefused(
            507 if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else 500,
            f"{path}: {error.strerror}",
        ) from error
    return {"path": path, "name": os.path.basename(path), "type": "file"}


def _error(refusal: FileRefused) -> Response:
    return JSONResponse({"code": refusal.status, "message": str(refusal)}, refusal.status)
