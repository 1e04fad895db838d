"""The request as our routes read it: a bounded body, and strict JSON."""

import json

import orjson
from fastapi import Request

from kit.errors import PayloadTooLarge

LARGEST_BODY = 1024 * 1024
TOO_LARGE = "The body may have 1 MiB at most."


class StrictRequest(Request):
    async def body(self) -> bytes:
        """The whole body; PayloadTooLarge as soon as it is known to be over 1 MiB."""
        if not hasattr(self, "_body"):
            length = self.headers.get("content-length")
            if length is not None and length.isdecimal() and int(length) > LARGEST_BODY:
                raise PayloadTooLarge(TOO_LARGE)
            chunks, size = [], 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > LARGEST_BODY:
                    raise PayloadTooLarge(TOO_LARGE)
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> object:
        """UTF-8 JSON without NaN, lone surrogates and the NUL that PostgreSQL cannot hold."""
        body = await self.body()
        try:
            value: object = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise json.JSONDecodeError(error.msg, "", 0) from None
        if b"\\u0000" in body and _holds_nul(value):
            raise json.JSONDecodeError("it holds the character NUL, which cannot be stored", "", 0)
        return value


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, list):
        return any(map(_holds_nul, value))
    return isinstance(value, dict) and any(_holds_nul(part) for pair in value.items() for part in pair)
