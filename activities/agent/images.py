"""Images in conversations: rows hold a reference, and the bytes are put in when the model is asked."""

import base64
from collections.abc import Sequence

from temporalio.exceptions import ApplicationError

from activities.runs.files import FileStore, sha256_hex
from gateways.anthropic.conversation import Block, Message
from kit.ttl_cache import TTLCache
from models import UploadedFile
from models.base import JsonObject

CACHE_SECONDS = 300.0
MAX_CACHED_IMAGES = 12
"""Images in memory, of at most 5 MiB each."""


def image_reference(file_id: str, content_type: str) -> JsonObject:
    """A block of a stored message."""
    return {"type": "image", "fileId": file_id, "contentType": content_type}


class ImageLoader:
    def __init__(self, files: FileStore) -> None:
        self.files = files
        self._cache: TTLCache[str, str] = TTLCache(CACHE_SECONDS, MAX_CACHED_IMAGES)

    async def inline_images(self, messages: Sequence[Message]) -> list[Message]:
        """The same messages with the bytes of every image that they refer to."""
        return [
            {
                "role": message["role"],
                "content": [await self._inline_image(block) for block in message["content"]],
            }
            if any("fileId" in block for block in message["content"])
            else message
            for message in messages
        ]

    async def _inline_image(self, block: Block) -> Block:
        if block["type"] != "image":
            return block
        file_id = str(block["fileId"])
        data = await self._cache.get(file_id, lambda: self._load(file_id))
        return {
            "type": "image",
            "source": {"type": "base64", "media_type": block["contentType"], "data": data},
        }

    async def _load(self, file_id: str) -> str:
        async with self.files.database.read_only() as session:
            file = await session.get(UploadedFile, file_id)
        data = await self.files.read(file) if file else None
        if file is None or data is None or sha256_hex(data) != file.sha256:
            raise ApplicationError(
                f"The image {file_id} is gone, or was changed after it was checked: start again without it.",
                type="IMAGE_GONE",
                non_retryable=True,
            )
        return base64.b64encode(data).decode()
