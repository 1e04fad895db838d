"""The API's description: served, and committed as `docs/openapi.json` (`python -m api.openapi [--check]`)."""

import sys
from functools import cache
from pathlib import Path

import orjson
from fastapi import Response

from api.http.route import Route
from api.http.router import Router
from api.openapi.describe import schema
from api.routes import ROUTES

COMMITTED_FILE = Path(__file__).parents[2] / "docs" / "openapi.json"
router = Router("", "Discovery, identity and others")


@router.get("/openapi.json", None, name="get_openapi")
async def serve_description() -> Response:
    """Get this description as OpenAPI 3.1."""
    return Response(document(), media_type="application/json")


ALL_ROUTES: list[Route] = [*ROUTES, *router.routes]


@cache
def document() -> bytes:
    return orjson.dumps(schema(ALL_ROUTES), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def main(arguments: list[str]) -> int:
    """Write the file, or with `--check` compare it; 0 when it says what the API says."""
    if "--check" not in arguments:
        COMMITTED_FILE.write_bytes(document())
        return 0
    if COMMITTED_FILE.exists() and COMMITTED_FILE.read_bytes() == document():
        return 0
    sys.stderr.write(
        "docs/openapi.json is not what the API says: run `python -m api.openapi` and commit it.\n"
    )
    return 1
