"""Uploaded files on the wire."""

from typing import Literal

from kit.schemas import Read, Secret, UtcTimestamp, Wire
from models.json_view import example
from models.runs.uploaded_file import FileUpload

FILE = "file_0198f2c7b1c27d3e8f4a5b6c7d8e9f0a"
_NOW = "2026-01-15T10:05:00.000Z"


class FileUploadBody(FileUpload):
    """What a client says of an image that it wants to upload."""

    model_config = example(fileName="mockup.png", contentType="image/png", sizeBytes=48_213)


class FileUploadRead(Wire):
    """Where to upload a file, once: send its bytes by this method, to this address, with these headers."""

    model_config = example(
        fileId=FILE,
        uploadUrl=f"https://codecourier.example.com/api/v1/files/{FILE}/content?token=gAAAAAB…",
        method="PUT",
        headers={"Content-Type": "image/png"},
        expiresAt="2026-01-15T10:20:00.000Z",
    )
    file_id: str
    """The file's id, for `referenceImages` of `POST /runs/start`."""
    upload_url: Secret
    """Where the bytes go; no API key is sent along."""
    method: Literal["PUT"]
    """How they are sent."""
    headers: dict[str, str]
    """What has to be sent with them."""
    expires_at: UtcTimestamp
    """When the address stops working."""


class UploadedFileRead(Read):
    """An uploaded file."""

    model_config = example(
        id=FILE,
        _id=FILE,
        fileName="mockup.png",
        contentType="image/png",
        sizeBytes=48_213,
        uploadedAt=_NOW,
        expiresAt="2026-01-16T10:05:00.000Z",
        createdAt=_NOW,
    )
    file_name: str
    """What the file is called."""
    content_type: str
    """What the file is."""
    size_bytes: int
    """Its size."""
    uploaded_at: UtcTimestamp | None
    """When its bytes arrived."""
    expires_at: UtcTimestamp | None
    """When it is removed unless a run uses it by then; null once one does."""
    created_at: UtcTimestamp
    """When it was announced."""
