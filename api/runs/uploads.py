"""Uploads to this API, by an address that is its own permission; and uploads to a store, checked at use."""

from collections.abc import Sequence

from fastapi import Request
from sqlalchemy import func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import ClientDisconnect

from activities.runs.files import FileStore, sha256_hex
from api.state import AppState, UnitOfWork
from gateways.errors import GatewayError
from kit.errors import AuthInvalid, Conflict, Internal, Invalid, PayloadTooLarge, UpstreamError
from kit.tenancy import EVERY_PROJECT
from models import FileContent, UploadedFile
from models.runs.uploaded_file import MAX_UNUSED_FILES

UPLOAD_REFUSED = "This upload address is unknown or has expired: ask for another one."


def upload_token(api: AppState, file: UploadedFile) -> str:
    """What lets its holder upload this one file; when it ends, and that it is used once, is on the row."""
    return api.vault.seal(f"upload:{file.id}")


async def require_capacity(session: AsyncSession, project_id: str) -> None:
    """Conflict when the project has as many files already that no run uses."""
    unused = select(func.count()).where(
        col(UploadedFile.project_id) == project_id, col(UploadedFile.expires_at).is_not(None)
    )
    if (await session.execute(unused)).scalar_one() >= MAX_UNUSED_FILES:
        raise Conflict(
            f"The project has {MAX_UNUSED_FILES} uploads that no run uses: use them, or wait until they "
            "expire."
        )


async def receive_upload(api: AppState, file_id: str, token: str, request: Request) -> UploadedFile:
    """Keep what is uploaded to a file, if it is what was announced; nothing is kept otherwise."""
    try:
        is_ours = api.vault.open(token) == f"upload:{file_id}"
    except Internal:
        is_ours = False
    if not is_ours:
        raise AuthInvalid(UPLOAD_REFUSED)
    async with api.database.for_project(EVERY_PROJECT).read_only() as session:  # the file says whose it is
        file = await session.get(UploadedFile, file_id)
    _require_open(file)
    assert file is not None
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != file.content_type:
        raise Invalid(f"Content-Type: Send {file.content_type}, as announced.", field="Content-Type")
    data = await _body(request, file.size_bytes)
    async with api.database.for_project(file.project_id).transaction() as session:
        file = await session.get(UploadedFile, file_id, with_for_update=True)
        _require_open(file)
        assert file is not None
        file.set_content(data, sha256_hex(data))
        session.add(FileContent(file_id=file.id, data=data))
    return file


async def check_stored(unit: UnitOfWork, ids: Sequence[str]) -> None:
    """Look at what was uploaded to the store for these files, once each, before a run uses them.

    What is not there, or not what was announced, is an Invalid that names its place in the list.
    """
    settings, database = unit.api.settings, unit.database
    if not ids or settings.files_s3_bucket is None:
        return
    files = FileStore(database, settings)
    async with database.read_only() as session:
        statement = select(UploadedFile).where(
            col(UploadedFile.id).in_(ids),
            col(UploadedFile.project_id) == unit.key.project_id,
            col(UploadedFile.is_outside),
            col(UploadedFile.uploaded_at).is_(None),
        )
        unchecked = (await session.execute(statement)).scalars().all()
    for file in unchecked:
        field = f"referenceImages.{ids.index(file.id)}"
        try:
            data = await files.read(file)
        except GatewayError as error:
            raise UpstreamError(error.message) from error
        if data is None:
            continue  # nothing was uploaded, which starting the run finds and tells
        async with database.transaction() as session:
            row = await session.get(UploadedFile, file.id, with_for_update=True)
            if row is None:
                continue  # it has just expired, which starting the run finds and tells
            try:
                row.set_content(data, sha256_hex(data))
            except Invalid as error:
                raise Invalid(f"{field}: {error.message}", field=field) from error


def _require_open(file: UploadedFile | None) -> None:
    if file is None or (file.is_closed and file.uploaded_at is None):
        raise AuthInvalid(UPLOAD_REFUSED)
    if file.is_closed:
        raise Conflict("This file was uploaded already: ask for another address to upload another one.")


async def _body(request: Request, limit: int) -> bytes:
    """The whole body; PayloadTooLarge as soon as it is known to be larger than what was announced."""
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > limit:
                raise PayloadTooLarge(f"More than the announced {limit} bytes were sent.")
    except ClientDisconnect as error:
        raise Invalid("The upload was cut off.") from error
    return bytes(data)
