"""Entity tags: which state of an object an answer shows, and requests that depend on it (RFC 9110, 13.1)."""

from hashlib import blake2b

from fastapi import Request, Response

from kit.errors import PreconditionFailed


def etag_of(body: bytes) -> str:
    """A strong tag: two answers have the same one only if they are the same bytes."""
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def not_modified(request: Request, response: Response) -> Response:
    """304 instead of an answer to a GET that the client has already, by `If-None-Match`."""
    tag, known = response.headers.get("etag"), request.headers.get("if-none-match")
    if request.method != "GET" or tag is None or known is None or not _contains_tag(known, tag):
        return response
    return Response(status_code=304, headers={"ETag": tag})


def require_match(if_match: str | None, body: bytes) -> None:
    """PreconditionFailed unless `If-Match`, if there is one, names the state that `body` shows."""
    if if_match is not None and not _contains_tag(if_match, etag_of(body)):
        raise PreconditionFailed(
            "The object has changed since it was read: get it again and apply the change to what it is now."
        )


def _contains_tag(header: str, tag: str) -> bool:
    tags = [part.strip().removeprefix("W/") for part in header.split(",")]
    return "*" in tags or tag in tags
