"""Keeps secrets out of every sink: logs, messages, events, errors, pull requests."""

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

import orjson

MASK = "[secret]"
SHORTEST = 6
"""Shorter values are not masked: they would blank out ordinary words."""


def _forms(secret: str) -> set[str]:
    """The secret as it is, and as it looks after the encodings programs print things in."""
    raw = secret.encode()
    forms = {secret, quote(secret, safe=""), quote_plus(secret), raw.hex(), raw.hex().upper()}
    forms.add(orjson.dumps(secret).decode()[1:-1])
    for shift in range(3):  # base64 of a longer text that holds the secret at any offset
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        core = encoded[(0, 2, 3)[shift] : len(encoded) - (0 if len(raw + b"\0" * shift) % 3 == 0 else 4)]
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    forms |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {form for form in forms if len(form) >= SHORTEST}


class Scrubber:
    """Replaces secrets, whole and encoded, by a mask; cheap when there is nothing to replace."""

    def __init__(self, secrets: Iterable[str]) -> None:
        lines = {line.strip() for secret in secrets for line in [secret, *secret.splitlines()]}
        forms = {form for line in lines if len(line) >= SHORTEST for form in _forms(line)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def text(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

    def json(self, value: object) -> object:
        """The same JSON value with every string in it, keys included, scrubbed."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {self.text(str(key)): self.json(item) for key, item in value.items()}
        return value

    def found_in(self, text: str) -> bool:
        return bool(self._pattern and self._pattern.search(text))


def storable(value: object) -> object:
    """The same JSON value with what PostgreSQL's text cannot hold, NUL and half surrogates, replaced."""
    if isinstance(value, str):
        return value.replace("\0", "␀").encode(errors="replace").decode()
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {str(storable(key)): storable(item) for key, item in value.items()}
    return value
