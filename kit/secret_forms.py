"""Secret forms: the texts in which a secret value may appear, and the mask that takes their place.

The toolbox takes this module into sandboxes (`gateways/toolbox/archive.py`): Python 3.8 and its own library
have to do.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "[secret]"
MIN_CHARS = 6
"""Shorter values are not masked: they would blank out ordinary words."""
MIN_LINE_CHARS = 12
"""Shorter lines of a secret of several lines, such as `EOF`, are no secrets of their own."""


def secret_forms(secrets: Iterable[str]) -> set[str]:
    """All that is to be masked of these values: each whole and its longer lines, plain and encoded."""
    return {form for secret in secrets for piece in secret_parts(secret) for form in encoded_forms(piece)}


def secret_parts(secret: str) -> set[str]:
    """What of a secret is one when it stands alone: the whole, and its longer lines."""
    lines = {line.strip() for line in secret.splitlines()}
    whole = secret.strip()
    return {line for line in lines if len(line) >= MIN_LINE_CHARS} | (
        {whole} if len(whole) >= MIN_CHARS else set()
    )


def encoded_forms(secret: str) -> set[str]:
    """The secret as it is, and as it looks after the encodings programs print things in.

    Bytes that are not UTF-8 are surrogates in it, as in `os.environ`.
    """
    raw = secret.encode(errors="surrogateescape")
    found = {secret, quote(raw, safe=""), quote_plus(raw), raw.hex(), raw.hex().upper()}
    found.add(json.dumps(secret, ensure_ascii=False)[1:-1])
    for shift in range(3):  # base64 of a longer text that holds the secret at any offset
        padded = b"\0" * shift + raw
        encoded = base64.b64encode(padded).decode()
        core = encoded[(0, 2, 3)[shift] : len(encoded) - (0 if len(padded) % 3 == 0 else 4)]
        found |= {core, core.replace("+", "-").replace("/", "_")}
    found |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {form for form in found if len(form) >= MIN_CHARS}
