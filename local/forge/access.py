"""Who asks: one token, compared in constant time, in any of the ways GitHub takes it."""

import base64
import binascii
import hashlib
import hmac

from starlette.requests import HTTPConnection

from local.forge.errors import BadCredentials

CHALLENGE = {"WWW-Authenticate": 'Basic realm="forge", charset="UTF-8"'}


class Keeper:
    """Knows the token (its digest) and tells whether a request carries it."""

    def __init__(self, token: str) -> None:
        self._digest = digest(token)

    def admits(self, request: HTTPConnection) -> bool:
        """True with the right token, False without any, `BadCredentials` with a wrong one."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return False
        given = {"token": value, "bearer": value, "basic": password(value)}.get(scheme.lower())
        if given is None or not hmac.compare_digest(digest(given.strip()), self._digest):
            raise BadCredentials
        return True


def digest(token: str) -> bytes:
    """Equal lengths for every comparison."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def password(credentials: str) -> str | None:
    """The password of Basic credentials; the user name (`x-access-token`) says nothing."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
