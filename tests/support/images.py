"""Small images of every type that is taken, and how a client uploads one."""

import base64
from typing import Any, Final

import httpx

PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
JPEG: Final = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\0" * 50
WEBP: Final = b"RIFF\x1a\x00\x00\x00WEBPVP8L" + b"\0" * 14
IMAGES: Final = {"image/png": PNG, "image/gif": GIF, "image/jpeg": JPEG, "image/webp": WEBP}


async def request_upload(
    client: httpx.AsyncClient, kind: str = "image/png", size: int = len(PNG)
) -> dict[str, Any]:
    """Where to upload a file."""
    body = {"fileName": "mockup", "contentType": kind, "sizeBytes": size}
    answer = await client.post("/files/upload-url", json=body)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()["data"]
    return told


async def upload_content(client: httpx.AsyncClient, told: dict[str, Any], data: bytes) -> httpx.Response:
    """Upload it, as whoever has the address may: without a key."""
    headers = {"Authorization": "", **told["headers"]}
    return await client.request(told["method"], told["uploadUrl"], content=data, headers=headers)


async def upload(client: httpx.AsyncClient, kind: str = "image/png") -> str:
    """An uploaded file's id."""
    data = IMAGES[kind]
    told = await request_upload(client, kind, len(data))
    answer = await upload_content(client, told, data)
    assert answer.status_code == 200, answer.text
    return str(told["fileId"])
