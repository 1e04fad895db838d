"""The request as our routes read it: a bounded body, and strict JSON."""

import json
from collections.abc import Iterable

import orjson
from fastapi import Request

from kit.errors import PayloadTooLarge

MAX_BODY_BYTES = 1024 * 1024
BODY_TOO_LARGE = "The body may have 1 MiB at most."
MAX_DEPTH = 64
"""Objects and lists within one another, in a body."""


class StrictRequest(Request):
    async def body(self) -> bytes:
        """The whole body; PayloadTooLarge as soon as it is known to be over 1 MiB."""
        if not hasattr(self, "_body"):
            length = self.headers.get("content-length")
            if length is not None and length.isdecimal() and int(length) > MAX_BODY_BYTES:
                raise PayloadTooLarge(BODY_TOO_LARGE)
            chunks, size = [], 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise PayloadTooLarge(BODY_TOO_LARGE)
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> object:
        """UTF-8 JSON without NaN, lone surrogates, deep nesting and the NUL that PostgreSQL cannot hold."""
        body = await self.body()
        try:
            value: object = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise json.JSONDecodeError(error.msg, "", 0) from None
        if _is_too_deep(value, body):
            raise json.JSONDecodeError(f"it nests more than {MAX_DEPTH} objects and lists", "", 0)
        if b"\\u0000" in body and _contains_nul(value):
            raise json.JSONDecodeError("it holds the character NUL, which cannot be stored", "", 0)
        return value


def _is_too_deep(value: object, body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for part in level for child in _children(part)]
    return any(isinstance(part, dict | list) for part in level)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _contains_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, list):
        return any(map(_contains_nul, value))
    return isinstance(value, dict) and any(_contains_nul(part) for pair in value.items() for part in pair)
