"""The bytes of uploaded files: in our own database, or in an S3-compatible store where one is set up."""

import hashlib

from sqlmodel.ext.asyncio.session import AsyncSession

from gateways.s3.object_store import ObjectStore
from kit.database import Database
from kit.settings import Settings
from models import FileContent, UploadedFile


class FileStore:
    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.store = build_object_store(settings)

    async def read(self, file: UploadedFile) -> bytes | None:
        """What was uploaded; None when nothing was, or when it can no longer be found."""
        if file.is_outside:
            return None if self.store is None else await self.store.read(file.key, file.size_bytes)
        async with self.database.read_only() as session:
            content = await session.get(FileContent, file.id)
        return content.data if content else None

    async def remove(self, session: AsyncSession, file: UploadedFile) -> None:
        """Remove a file with its bytes; killed between the two, a row without bytes is left to remove."""
        if file.is_outside and self.store is not None:
            await self.store.delete(file.key)
        await session.delete(file)


def build_object_store(settings: Settings) -> ObjectStore | None:
    """The store that is set up; None: files are kept in the database."""
    key, secret = settings.files_s3_access_key_id, settings.files_s3_secret_access_key
    if settings.files_s3_bucket is None or key is None or secret is None:
        return None
    return ObjectStore(
        settings.files_s3_bucket,
        endpoint=settings.files_s3_endpoint,
        region=settings.files_s3_region,
        access_key_id=key,
        secret_access_key=secret.get_secret_value(),
    )


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
