"""The codec server: decrypts Temporal's payloads for its Web UI and command line, for who has the token.

It speaks Temporal's protocol of remote codecs: `POST /decode` with payloads in protobuf's JSON.  It encrypts
nothing: whoever could have it do that could write what workers believe.
"""

import base64
import binascii
from typing import Final

from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payloads

from kit.crypto import constant_time_equal
from kit.payload_encryption import EncryptingCodec, PayloadUnreadable
from kit.settings import CodecServerSettings

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="codecourier codec server", charset="UTF-8"'}
_WELCOME: Final = "This browser may decrypt payloads now: go back to Temporal's Web UI.\n"


def create_codec_server(settings: CodecServerSettings | None = None) -> Starlette:
    """Settings come from the environment unless given."""
    configured = settings or CodecServerSettings()
    codec = EncryptingCodec(configured.temporal_payload_keys.get_secret_value())
    token = configured.temporal_codec_token.get_secret_value()

    async def decode(request: Request) -> Response:
        if not _is_allowed(request, token):
            return PlainTextResponse("Show the token of TEMPORAL_CODEC_TOKEN.\n", 401, _CHALLENGE)
        body = await _bounded_body(request)
        if body is None:
            return PlainTextResponse(f"The body has more than {MAX_BODY_BYTES:,} bytes.\n", 413)
        try:
            given = json_format.Parse(body, Payloads())
            plain = Payloads(payloads=await codec.decode(given.payloads))
        except (json_format.ParseError, UnicodeDecodeError):
            return PlainTextResponse("The body is no JSON of temporal.api.common.v1.Payloads.\n", 400)
        except PayloadUnreadable as unreadable:
            return PlainTextResponse(f"{unreadable}\n", 400)
        return Response(json_format.MessageToJson(plain), media_type="application/json")

    async def sign_in(request: Request) -> Response:
        """Has a browser ask for the token, as the password of any name, and keep it for the Web UI."""
        if not _is_allowed(request, token):
            return PlainTextResponse("Sign in: any name, and the token as password.\n", 401, _CHALLENGE)
        return PlainTextResponse(_WELCOME)

    async def is_up(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    cors = Middleware(
        CORSMiddleware,
        allow_origins=configured.origins,
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-namespace"],
        allow_credentials=True,
    )
    routes = [
        Route("/decode", decode, methods=["POST"]),
        Route("/", sign_in, methods=["GET"]),
        Route("/readyz", is_up, methods=["GET"]),
    ]
    return Starlette(routes=routes, middleware=[cors])


def _is_allowed(request: Request, token: str) -> bool:
    """By `Authorization: Bearer <token>`, or `Basic` with the token as password."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            _, _, shown = base64.b64decode(shown, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return constant_time_equal(shown, token)


async def _bounded_body(request: Request) -> bytes | None:
    """None for one that is too large, of which no more is read."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)
