"""A GitHub App for the tests: its key, and a forge that knows it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.support.server_process import run_server
from tests.support.servers import FORGE_TOKEN, ServedDirectory

APP_ID = "12345"


@dataclass(frozen=True)
class KeyPair:
    """PEM."""

    private: str
    public: str


@lru_cache(maxsize=2)
def key_pair(number: int = 0) -> KeyPair:
    """A key of its own for each number, the App's for 0."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(private.decode(), public.decode())


@contextmanager
def forge_with_app(data: Path, *owners: str) -> Iterator[ServedDirectory]:
    """A forge where these owners have installed the App."""
    environment = {"FORGE_TOKEN": FORGE_TOKEN, "FORGE_APP_PUBLIC_KEY": key_pair().public}
    installed = [word for owner in owners for word in ("--installed", owner)]
    with run_server("local.forge", environment, "--data", str(data), "--app", APP_ID, *installed) as url:
        yield ServedDirectory(url, data)
