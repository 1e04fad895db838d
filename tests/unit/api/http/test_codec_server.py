"""The codec server decrypts for those who show the token, and for the origins of Temporal's Web UI only."""

import base64
from collections.abc import AsyncIterator

import httpx
import pytest
from cryptography.fernet import Fernet
from google.protobuf import json_format
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload, Payloads

from api.codec_server import MAX_BODY_BYTES, create_codec_server
from kit.payload_encryption import EncryptingCodec
from kit.settings import CodecServerSettings

KEY = Fernet.generate_key().decode()
TOKEN = "a-token-of-twenty-characters"
UI = "https://temporal.example"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CLEAR = Payload(metadata={"encoding": b"json/plain"}, data=b'"the prompt"')


@pytest.fixture
async def codec_server() -> AsyncIterator[httpx.AsyncClient]:
    app = create_codec_server(
        CodecServerSettings(
            temporal_payload_keys=SecretStr(KEY),
            temporal_codec_token=SecretStr(TOKEN),
            temporal_codec_origins=f"{UI}, http://127.0.0.1:8233",
        )
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://codec.test"
    ) as client:
        yield client


async def encrypted() -> str:
    return json_format.MessageToJson(Payloads(payloads=await EncryptingCodec(KEY).encode([CLEAR])))


async def test_payloads_are_decrypted_for_who_has_the_token(codec_server: httpx.AsyncClient) -> None:
    basic = "Basic " + base64.b64encode(f"me:{TOKEN}".encode()).decode()
    for header in (BEARER["Authorization"], basic):
        answer = await codec_server.post(
            "/decode", content=await encrypted(), headers={"Authorization": header, "X-Namespace": "default"}
        )
        assert json_format.Parse(answer.text, Payloads()).payloads == [CLEAR]


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Basic x", "Basic bWU6d3Jvbmc=", f"Token {TOKEN}"]
)
async def test_nothing_is_decrypted_without_the_token(
    codec_server: httpx.AsyncClient, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await codec_server.post("/decode", content=await encrypted(), headers=headers)
    assert (answer.status_code, "the prompt" in answer.text) == (401, False)
    assert (await codec_server.get("/", headers=headers)).status_code == 401
    assert "Basic" in answer.headers["WWW-Authenticate"]


async def test_only_the_web_ui_may_ask_from_a_browser(codec_server: httpx.AsyncClient) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-namespace"}
    allowed = await codec_server.options("/decode", headers={"Origin": UI, **asks})
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == UI
    assert allowed.headers["Access-Control-Allow-Credentials"] == "true"
    foreign = await codec_server.options("/decode", headers={"Origin": "https://evil.example", **asks})
    assert foreign.status_code == 400
    assert "Access-Control-Allow-Origin" not in foreign.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b'{"payload": 1}', 400), (b"\xff", 400), (b"x" * (MAX_BODY_BYTES + 1), 413)],
)
async def test_bad_bodies_are_refused(codec_server: httpx.AsyncClient, body: bytes, status: int) -> None:
    assert (await codec_server.post("/decode", content=body, headers=BEARER)).status_code == status


async def test_an_unknown_key_is_named(codec_server: httpx.AsyncClient) -> None:
    other = await EncryptingCodec(Fernet.generate_key().decode()).encode([CLEAR])
    answer = await codec_server.post(
        "/decode", content=json_format.MessageToJson(Payloads(payloads=other)), headers=BEARER
    )
    assert (answer.status_code, "TEMPORAL_PAYLOAD_KEYS lacks" in answer.text) == (400, True)


async def test_nothing_is_encrypted(codec_server: httpx.AsyncClient) -> None:
    assert (await codec_server.post("/encode", content="{}", headers=BEARER)).status_code == 404
