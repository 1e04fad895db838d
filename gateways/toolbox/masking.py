"""Keeps secrets out of results and files: the same forms as `kit/scrub.py`, without its dependencies."""

from __future__ import annotations

import base64
import json
import os
import re
from urllib.parse import quote, quote_plus

MASK = "[secret]"
SHORTEST = 6
NAMES = "CODECOURIER_SECRETS"
"""The variable that lists, comma-separated, the names of the variables that are secret."""


def forms(secret: str) -> set[str]:
    """The secret as it is, and as it looks after the encodings programs print things in."""
    raw = secret.encode(errors="surrogateescape")
    found = {secret, quote(raw, safe=""), quote_plus(raw), raw.hex(), raw.hex().upper()}
    found.add(json.dumps(secret, ensure_ascii=False)[1:-1])
    for shift in range(3):  # base64 of a longer text that holds the secret at any offset
        padded = b"\0" * shift + raw
        encoded = base64.b64encode(padded).decode()
        core = encoded[(0, 2, 3)[shift] : len(encoded) - (0 if len(padded) % 3 == 0 else 4)]
        found |= {core, core.replace("+", "-").replace("/", "_")}
    found |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {form for form in found if len(form) >= SHORTEST}


class Masker:
    """Replaces the values of the secret variables of this process by a mask."""

    def __init__(self) -> None:
        self.names = {name.strip() for name in os.environ.get(NAMES, "").split(",") if name.strip()}
        values = [os.environ[name] for name in self.names if name in os.environ]
        lines = {line.strip() for value in values for line in [value, *value.splitlines()]}
        found = {form for line in lines if len(line) >= SHORTEST for form in forms(line)}
        longest_first = sorted(found, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def text(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

    def found_in(self, text: str) -> bool:
        return bool(self._pattern and self._pattern.search(text))
