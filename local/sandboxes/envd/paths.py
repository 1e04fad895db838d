"""How requests name paths and users: relative paths and `~` start at the home, and there is one user."""

import base64
import binascii
import os

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.request import Headers

USER = "user"


def resolve(path: str) -> str:
    """The absolute path a client means; the empty one is the home."""
    return os.path.normpath(os.path.join(os.path.expanduser("~"), os.path.expanduser(path)))


def require_user(headers: Headers) -> None:
    """Refuse to act as anybody but the sandbox's user, rather than as somebody the client did not mean."""
    header = headers.get("authorization", "")
    if not header:
        return
    try:
        name = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ConnectError(Code.UNAUTHENTICATED, "the authorization header is not Basic") from error
    if name != USER:
        raise ConnectError(
            Code.UNAUTHENTICATED, f"invalid username: '{name}': this sandbox has only '{USER}'"
        )
