"""Encryption of what Temporal stores: arguments, results, summaries and failures, with keys it never has.

Ids, search attributes and the names of workflows and activities stay readable: Temporal needs them itself.
"""

from collections.abc import Sequence
from hashlib import sha256
from os import urandom
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from kit.crypto import symmetric_keys

ENCODING: Final = b"binary/encrypted"
KEY_ID: Final = "encryption-key-id"
_NONCE_BYTES: Final = 12


class PayloadUnreadable(Exception):
    """A payload that none of the keys decrypts; the message says which key is missing."""


class EncryptingCodec(PayloadCodec):
    """Encrypts with the newest key (AES-256-GCM), decrypts with any of them, so that keys can be rotated.

    What was stored before encryption was turned on is read as it is.
    """

    def __init__(self, keys: str) -> None:
        """keys: as `symmetric_keys` reads them.  Raises ValueError."""
        raw = symmetric_keys(keys)
        self._ciphers = {key_id(key): AESGCM(key) for key in raw}
        self._newest = key_id(raw[0])

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises `PayloadUnreadable`."""
        return [self._decrypt(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        nonce, name = urandom(_NONCE_BYTES), self._newest.encode()
        sealed = self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), name)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: name}, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        name = payload.metadata.get(KEY_ID, b"")
        known = name.decode(errors="replace")[:40]
        if (cipher := self._ciphers.get(known)) is None:
            raise PayloadUnreadable(
                f"A payload in Temporal was encrypted with the key {known!r}, which TEMPORAL_PAYLOAD_KEYS "
                "lacks: add it at the end of the list."
            )
        try:
            plain = cipher.decrypt(payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], name)
        except (InvalidTag, ValueError):
            raise PayloadUnreadable(f"A payload in Temporal is damaged (key {known!r}).") from None
        return Payload.FromString(plain)


def key_id(key: bytes) -> str:
    """By which a payload names its key: it tells nothing of the key, which is random."""
    return sha256(b"codecourier payload key " + key).hexdigest()[:12]
