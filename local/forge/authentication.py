"""Who asks: the token of a user, compared in constant time, in any of the ways GitHub takes it."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from starlette.requests import HTTPConnection

from local.forge.errors import BadCredentials
from local.forge.github_app import INSTALLATION_PREFIX, App, Grant

CHALLENGE = {"WWW-Authenticate": 'Basic realm="forge", charset="UTF-8"'}


class Authenticator:
    """Knows each user's token (its digest) and tells whose a request carries.

    app: the App whose installations' tokens it knows, too.
    """

    def __init__(self, tokens: Mapping[str, str], app: App | None = None) -> None:
        self._digests = {login: token_digest(token) for login, token in tokens.items()}
        self.app = app

    def caller(self, request: HTTPConnection) -> str | Grant | None:
        """The login the token belongs to, or what an installation's opens; None without any token.

        `BadCredentials` with a wrong one.
        """
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return None
        given = {"token": value, "bearer": value, "basic": basic_password(value)}.get(scheme.lower())
        if given is None:
            raise BadCredentials
        if self.app is not None and given.startswith(INSTALLATION_PREFIX):
            return self.app.grant(given.strip())
        found = token_digest(given.strip())
        for login, known in self._digests.items():
            if hmac.compare_digest(found, known):
                return login
        raise BadCredentials


def bearer_token(request: HTTPConnection) -> str | None:
    """The token of the scheme that Apps sign requests with; None without it."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def token_digest(token: str) -> bytes:
    """Equal lengths for every comparison."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def basic_password(credentials: str) -> str | None:
    """The password of Basic credentials; the user name (`x-access-token`) says nothing."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
