"""Secrets at rest: encrypted with a key from the environment, shown by their last four characters only."""

import hashlib
import hmac
from base64 import urlsafe_b64decode
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from kit.errors import Internal

KEY_BYTES: Final = 32


class Vault:
    """Encrypts with the newest key, decrypts with any of them, so that keys can be rotated."""

    def __init__(self, keys: str) -> None:
        """`keys`: comma-separated Fernet keys, newest first.  Raises ValueError for a malformed one."""
        self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",")])

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Internal(
                "A stored secret cannot be decrypted: ENCRYPTION_KEYS lacks the key it was sealed with."
            ) from None


def symmetric_keys(text: str) -> list[bytes]:
    """Comma-separated keys of 32 bytes, newest first, each in URL-safe base64.  Raises ValueError."""
    return [_symmetric_key(key) for key in text.split(",")]


def _symmetric_key(text: str) -> bytes:
    try:
        key = urlsafe_b64decode(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"each key must be {KEY_BYTES} bytes in URL-safe base64")
    return key


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal: enough for secrets that are random and long, such as our API keys."""
    return hashlib.sha256(secret.encode()).hexdigest()


def signature(secret: str, body: bytes) -> str:
    """HMAC-SHA-256 of the body in hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def constant_time_equal(left: str, right: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())


def last_four(secret: str) -> str:
    return secret[-4:] if len(secret) >= 12 else ""
