"""Reference images: announced, uploaded once, held against what was announced, used by runs, expired."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlmodel import col, select

from activities.reconcile.expired_files import ExpiredFiles
from api.app import create_app
from kit.database import Database
from kit.settings import Settings
from models import FileContent, JobFile, Run, UploadedFile
from models.base import now
from models.runs.uploaded_file import MAX_FILE_BYTES, MAX_UNUSED_FILES
from models.trash.row_removal import remove_job
from tests.conftest import ProjectKey
from tests.support import s3_server
from tests.support.contract_client import ContractClient
from tests.support.images import IMAGES, PNG, request_upload, upload, upload_content
from tests.support.s3_server import TinyS3
from tests.support.uvicorn_server import run_app
from tests.unit.api.conftest import client_of


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


async def change(database: Database, file_id: str, **fields: object) -> None:
    async with database.transaction() as session:
        row = await session.get_one(UploadedFile, file_id)
        for name, value in fields.items():
            setattr(row, name, value)


async def expire(database: Database, settings: Settings, *ids: str) -> list[str]:
    """Sweep; which of these files were removed."""
    check = ExpiredFiles(database, settings, timedelta(0))
    found = [finding async for finding in check.find() if finding.id in ids]
    return [finding.id for finding in found if await check.repair(finding) is not None]


@pytest.mark.parametrize("kind", IMAGES)
async def test_every_type_of_image_is_taken(
    client: httpx.AsyncClient, database: Database, run_body: dict[str, Any], kind: str
) -> None:
    file_id = await upload(client, kind)
    body = {**run_body, "referenceImages": [file_id]}
    run = (await client.post("/runs/start", json=body)).json()["data"]
    detail = (await client.get("/runs/detail", params={"id": run["id"]})).json()["data"]
    assert detail["referenceImages"] == [file_id]
    async with database.transaction() as session:
        content = await session.get_one(FileContent, file_id)
        assert content.data == IMAGES[kind]
        assert (await session.get_one(UploadedFile, file_id)).expires_at is None


async def test_content_is_held_against_what_was_announced(client: httpx.AsyncClient) -> None:
    told = await request_upload(client)
    assert "sent" in error_of(await upload_content(client, told, PNG + b"x"), 413)["message"]
    assert "announced" in error_of(await upload_content(client, told, PNG[:-1]), 400)["message"]
    assert "not image/png" in error_of(await upload_content(client, told, b"<" + PNG[1:]), 400)["message"]
    webp = await request_upload(client, "image/webp", 30)
    assert (
        "not image/webp"
        in error_of(await upload_content(client, webp, b"RIFF----WAVE" + b"\0" * 18), 400)["message"]
    )
    other = {**told, "headers": {"Content-Type": "image/gif"}}
    assert error_of(await upload_content(client, other, PNG), 400)["field"] == "Content-Type"
    assert (await upload_content(client, told, PNG)).status_code == 200


async def test_an_address_is_good_for_one_upload(client: httpx.AsyncClient, database: Database) -> None:
    told, other = await request_upload(client), await request_upload(client)
    answers = await asyncio.gather(*(upload_content(client, told, PNG) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    token = told["uploadUrl"].partition("token=")[2]
    for url in (
        told["uploadUrl"][:-3] + "AAA",
        other["uploadUrl"].partition("token=")[0] + "token=" + token,
        other["uploadUrl"].partition("token=")[0] + "token=x",
    ):
        assert (
            error_of(await upload_content(client, {**told, "uploadUrl": url}, PNG), 401)["code"]
            == "AUTH_INVALID"
        )
    await change(database, other["fileId"], upload_until=now() - timedelta(seconds=1))
    assert error_of(await upload_content(client, other, PNG), 401)["code"] == "AUTH_INVALID"


async def test_what_is_announced_has_bounds(client: httpx.AsyncClient) -> None:
    body = {"fileName": "a.png", "contentType": "image/png", "sizeBytes": 10}
    for field, value in (
        ("sizeBytes", MAX_FILE_BYTES + 1),
        ("sizeBytes", 0),
        ("sizeBytes", "10"),
        ("fileName", " "),
        ("contentType", "image/svg+xml"),
    ):
        answer = await client.post("/files/upload-url", json={**body, field: value})
        assert error_of(answer, 400)["field"] == field


async def test_images_that_cannot_be_used_are_named(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database, run_body: dict[str, Any]
) -> None:
    mine, theirs, never = (
        await upload(client),
        await upload(stranger),
        (await request_upload(client))["fileId"],
    )
    for wrong in (theirs, never, "file_" + "0" * 32, "x"):
        body = {**run_body, "referenceImages": [mine, wrong]}
        assert error_of(await client.post("/runs/start", json=body), 400)["field"] == "referenceImages.1"
    body = {**run_body, "referenceImages": [mine] * 11}
    assert error_of(await client.post("/runs/start", json=body), 400)["field"] == "referenceImages"
    large = [await upload(client) for _ in range(5)]
    for each in large:
        await change(database, each, size_bytes=MAX_FILE_BYTES)
    body = {**run_body, "referenceImages": large}
    assert "20 MiB" in error_of(await client.post("/runs/start", json=body), 400)["message"]


async def test_unused_files_expire_and_used_ones_stay(
    client: httpx.AsyncClient, database: Database, api_settings: Settings, run_body: dict[str, Any]
) -> None:
    used, unused = await upload(client), await upload(client)
    body = {**run_body, "referenceImages": [used, used]}
    first = (await client.post("/runs/start", json=body)).json()["data"]
    await client.post(f"/runs/{first['id']}/cancel")
    async with database.transaction() as session:
        (await session.get_one(Run, first["id"])).completed_at = now()
    assert await expire(database, api_settings, used, unused) == []
    await change(database, unused, expires_at=now())
    assert await expire(database, api_settings, used, unused) == [unused]
    async with database.transaction() as session:
        assert await session.get(FileContent, unused) is None
        await remove_job(session, await session.get_one(Run, first["id"]))
    assert await expire(database, api_settings, used) == [used]
    async with database.transaction() as session:
        assert (await session.exec(select(JobFile).where(col(JobFile.file_id) == used))).all() == []


async def test_a_project_has_so_many_unused_files(
    client: httpx.AsyncClient, database: Database, project: ProjectKey
) -> None:
    async with database.transaction() as session:
        for _ in range(MAX_UNUSED_FILES):
            session.add(
                UploadedFile(project_id=project.id, file_name="a", content_type="image/png", size_bytes=1)
            )
    body = {"fileName": "a.png", "contentType": "image/png", "sizeBytes": 10}
    assert error_of(await client.post("/files/upload-url", json=body), 409)["code"] == "CONFLICT"


async def test_they_are_as_documented(client: httpx.AsyncClient) -> None:
    body = {"fileName": "a.png", "contentType": "image/png", "sizeBytes": len(PNG)}
    told = await ContractClient(client)("createUploadUrl", body)
    assert (told["method"], told["headers"]) == ("PUT", {"Content-Type": "image/png"})


class Stored:
    """An API whose files are in a store."""

    def __init__(self, client: httpx.AsyncClient, store: TinyS3, settings: Settings) -> None:
        self.client, self.store, self.settings = client, store, settings


@pytest.fixture
async def stored(api_settings: Settings, project: ProjectKey) -> AsyncIterator[Stored]:
    store = TinyS3()
    async with run_app(store.app()) as endpoint:  # type: ignore[arg-type]
        settings = api_settings.model_copy(
            update={
                "files_s3_bucket": s3_server.BUCKET,
                "files_s3_endpoint": endpoint,
                "files_s3_region": s3_server.REGION,
                "files_s3_access_key_id": s3_server.KEY_ID,
                "files_s3_secret_access_key": SecretStr(s3_server.SECRET),
            }
        )
        app = create_app(settings)
        async with app.router.lifespan_context(app), client_of(app, project) as client:
            yield Stored(client, store, settings)


async def put_outside(told: dict[str, Any], data: bytes) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.put(told["uploadUrl"], content=data, headers=told["headers"])).status_code


async def test_a_store_holds_what_is_uploaded(
    stored: Stored, database: Database, run_body: dict[str, Any]
) -> None:
    told = await request_upload(stored.client)
    assert await put_outside({**told, "uploadUrl": told["uploadUrl"].replace("file_", "fil3_")}, PNG) == 403
    assert await put_outside(told, PNG) == 200
    body = {**run_body, "referenceImages": [told["fileId"]]}
    assert (await stored.client.post("/runs/start", json=body)).status_code == 201
    unused = await request_upload(stored.client)
    assert await put_outside(unused, PNG) == 200
    await change(database, unused["fileId"], expires_at=now())
    assert await expire(database, stored.settings, unused["fileId"]) == [unused["fileId"]]
    assert [key.rsplit("/", 1)[1] for key in stored.store.objects] == [told["fileId"]]


async def test_what_a_store_holds_is_checked_before_it_is_used(
    stored: Stored, run_body: dict[str, Any]
) -> None:
    empty, wrong, larger = [await request_upload(stored.client) for _ in range(3)]
    assert await put_outside(wrong, b"x" * len(PNG)) == 200
    assert await put_outside(larger, PNG + b"x") == 200
    for told, status in ((empty, 400), (wrong, 400), (larger, 502)):
        body = {**run_body, "referenceImages": [told["fileId"]]}
        error_of(await stored.client.post("/runs/start", json=body), status)
