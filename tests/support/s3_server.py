"""A store that speaks as much of S3 as uploads need, and verifies every signature (AWS Signature Version 4).

Presigned addresses and signed headers are both recomputed here from the published description of the
algorithm, with nothing of the library that made them.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KEY_ID, SECRET, REGION, BUCKET = "tiny-key", "tiny-secret-of-the-store", "eu-test-1", "files"


class TinyS3:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def app(self) -> Starlette:
        methods = ["PUT", "GET", "HEAD", "DELETE"]
        return Starlette(routes=[Route(f"/{BUCKET}/{{key:path}}", self._answer, methods=methods)])

    async def _answer(self, request: Request) -> Response:
        body, key = await request.body(), request.path_params["key"]
        if not is_signed(request, body):
            return _error(403, "SignatureDoesNotMatch")
        match request.method:
            case "PUT":
                self.objects[key] = body
                return Response(headers={"ETag": '"x"'})
            case "DELETE":
                self.objects.pop(key, None)
                return Response(status_code=204)
        if key not in self.objects:
            return _error(404, "NoSuchKey")
        headers = {"ETag": '"x"', "Last-Modified": "Thu, 15 Jan 2026 10:00:00 GMT"}
        return Response(self.objects[key], headers=headers)


def is_signed(request: Request, body: bytes) -> bool:
    query = dict(request.query_params)
    if "X-Amz-Signature" in query:
        given, payload = query.pop("X-Amz-Signature"), "UNSIGNED-PAYLOAD"
        credential, names, at = query["X-Amz-Credential"], query["X-Amz-SignedHeaders"], query["X-Amz-Date"]
        began = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if datetime.now(UTC) > began + timedelta(seconds=int(query["X-Amz-Expires"])):
            return False
    else:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if scheme != "AWS4-HMAC-SHA256":
            return False
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        given, credential, names = parts["Signature"], parts["Credential"], parts["SignedHeaders"]
        at, payload = request.headers["x-amz-date"], request.headers["x-amz-content-sha256"]
        if payload not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
            return False
    key_id, _, scope = credential.partition("/")
    day, region, service, _ = scope.split("/")
    if (key_id, region, service) != (KEY_ID, REGION, "s3") or not at.startswith(day):
        return False
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names.split(";"))
    asked = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
    path = quote(request.url.path)
    canonical = "\n".join([request.method, path, asked, headers, names, payload])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", at, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), given)


def _error(status: int, code: str) -> Response:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    )
    return Response(body, status, media_type="application/xml")
