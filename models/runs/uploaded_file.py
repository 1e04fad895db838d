"""Images that a client uploads for its runs: announced, uploaded once, checked, and used or expired."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field as Bounded
from sqlalchemy import Index, LargeBinary, delete, select, update
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Invalid
from kit.ids import prefixed
from kit.schemas import Body
from models.base import Record, Table, Timestamp, now

MAX_FILE_BYTES: Final = 5 * 1024 * 1024
"""Of one image, as the model takes it."""
MAX_IMAGES: Final = 10
MAX_TOTAL_BYTES: Final = 20 * 1024 * 1024
"""Of the images of one run: they are sent with every turn, and a request has a limit, too."""
MAX_UNUSED_FILES: Final = 100
"""Files of a project that no job uses."""
UPLOAD_TIMEOUT: Final = timedelta(minutes=15)
UNUSED_RETENTION: Final = timedelta(hours=24)
"""How long a file is kept that no job uses."""
SIGNATURES: Final = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
"""How the files of each content type begin; WebP says so again at its eighth byte."""

ContentType = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]


class FileUpload(Body):
    """What a client says of an image that it wants to upload."""

    file_name: Annotated[str, Bounded(min_length=1, max_length=200, pattern=r"\S")]
    """What the file is called."""
    content_type: ContentType
    """What the file is; its content is held against this."""
    size_bytes: Annotated[int, Bounded(ge=1, le=MAX_FILE_BYTES)]
    """The exact size of the file, at most 5 MiB."""


class UploadedFile(Record, table=True):
    __table_args__ = (
        Index("uploaded_file_expiring", "expires_at", postgresql_where="expires_at IS NOT NULL"),
    )
    id: str = Field(default_factory=prefixed("file"), primary_key=True)
    file_name: str
    content_type: str
    size_bytes: int
    is_outside: bool = False
    """Whether its bytes are in the S3-compatible store instead of the database."""
    upload_until: datetime = Field(default_factory=lambda: now() + UPLOAD_TIMEOUT, sa_type=Timestamp)
    uploaded_at: datetime | None = Field(default=None, sa_type=Timestamp)
    """When its content was found to be what was announced."""
    sha256: str | None = None
    """Of that content: whatever has another one is not shown to any model."""
    expires_at: datetime | None = Field(default_factory=lambda: now() + UNUSED_RETENTION, sa_type=Timestamp)
    """When it is removed; None while a job uses it."""

    @property
    def key(self) -> str:
        """Its name in the store."""
        return f"{self.project_id}/{self.id}"

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be uploaded to it any more."""
        return self.uploaded_at is not None or now() > self.upload_until

    def set_content(self, data: bytes, sha256: str) -> None:
        """Take this content for the file's; Invalid when it is not what was announced."""
        if len(data) != self.size_bytes:
            raise Invalid(f"The file has {len(data)} bytes, but {self.size_bytes} were announced.")
        begins = data.startswith(SIGNATURES[self.content_type])
        if not begins or (self.content_type == "image/webp" and data[8:12] != b"WEBP"):
            raise Invalid(f"The content of the file is not {self.content_type}.")
        self.uploaded_at, self.sha256 = now(), sha256


class FileContent(Table, table=True):
    """The bytes of a file that is stored in the database, beside it so that its row stays light."""

    file_id: str = Field(primary_key=True, foreign_key="uploaded_file.id", ondelete="CASCADE")
    data: bytes = Field(sa_type=LargeBinary)


class JobFile(Table, table=True):
    """A job that uses a file, which is kept for as long."""

    job_id: str = Field(primary_key=True)
    file_id: str = Field(primary_key=True, foreign_key="uploaded_file.id", ondelete="CASCADE", index=True)


async def use_files(session: AsyncSession, job_id: str, file_ids: Sequence[str]) -> None:
    """Keep the files for as long as there is the job."""
    session.add_all([JobFile(job_id=job_id, file_id=file_id) for file_id in file_ids])
    used = update(UploadedFile).where(col(UploadedFile.id).in_(file_ids))
    await session.execute(used.values(expires_at=None))


async def release_files(session: AsyncSession, job_id: str) -> None:
    """Let go of the job's files; those that no other job uses are removed with the next sweep."""
    released = delete(JobFile).where(col(JobFile.job_id) == job_id).returning(col(JobFile.file_id))
    ids = (await session.execute(released)).scalars().all()
    used = select(JobFile).where(col(JobFile.file_id) == col(UploadedFile.id)).exists()
    expired = update(UploadedFile).where(col(UploadedFile.id).in_(ids), ~used)
    await session.execute(expired.values(expires_at=now()))
