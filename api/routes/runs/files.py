"""Files that clients upload: images for runs."""

from typing import Annotated

from fastapi import Path, Query, Request

from activities.runs.files import build_object_store
from api.after_commit import DbSession
from api.auth import requires
from api.http.router import PREFIX, Router
from api.runs.uploads import receive_upload, require_capacity, upload_token
from api.state import app_state_of, unit_of_work_of
from models import Project, UploadedFile
from models.runs.uploaded_file import SIGNATURES, UPLOAD_TIMEOUT
from models.runs.uploaded_file_schemas import FileUploadBody, FileUploadRead, UploadedFileRead

router = Router("/files", "Files")


@router.post("/upload-url", requires("runs:write"), creates=True)
async def create_upload_url(body: FileUploadBody, session: DbSession, request: Request) -> FileUploadRead:
    """Ask where to upload a reference image for runs: PNG, JPEG, GIF or WebP, at most 5 MiB.

    The address is good for 15 minutes and for one upload, with the method and the headers that are answered.
    The content is checked against what is announced here. A file that no run uses is removed after a day.
    """
    unit = unit_of_work_of(request)
    api, project_id = unit.api, unit.key.project_id
    await session.get_one(Project, project_id, with_for_update={"key_share": True})  # one at a time
    await require_capacity(session, project_id)
    store = build_object_store(api.settings)
    file = UploadedFile(project_id=project_id, is_outside=store is not None, **body.model_dump())
    session.add(file)
    if store is not None:
        url = await store.sign_upload(file.key, UPLOAD_TIMEOUT)
    else:
        base = str(request.base_url).rstrip("/")
        url = f"{base}{PREFIX}/files/{file.id}/content?token={upload_token(api, file)}"
    return FileUploadRead(
        file_id=file.id,
        upload_url=url,
        method="PUT",
        headers={"Content-Type": file.content_type},
        expires_at=file.upload_until,
    )


@router.put("/{id}/content", None)
async def upload_file_content(
    id: Annotated[str, Path(description="The file's id.")],
    token: Annotated[str, Query(max_length=500, description="What `POST /files/upload-url` answered.")],
    request: Request,
) -> UploadedFileRead:
    """Upload the bytes of a file to the address that `POST /files/upload-url` answered, once.

    The body is the file itself, with its `Content-Type`. 401 for an address that is unknown or has expired,
    409 for a file that was uploaded already, 400 for content that is not what was announced, 413 for more.
    """
    file = await receive_upload(app_state_of(request), id, token, request)
    return UploadedFileRead.model_validate(file)


router.routes[-1].openapi_extra = {
    **(router.routes[-1].openapi_extra or {}),
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in SIGNATURES},
    },
}
"""The handler reads the body itself, piece by piece, so that the description has to be told of it."""
