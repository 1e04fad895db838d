"""Text and bytes from a sandbox as a client may read them: secrets masked, and cut to a limit after that."""

import base64
from typing import NamedTuple

from gateways.sandboxes.inspection import SECRET_MARGIN_BYTES
from kit.redaction import Redactor


class RedactedContent(NamedTuple):
    encoding: str
    """`utf-8` or `base64`."""
    content: str
    truncated: bool


def redact_content(data: bytes, redactor: Redactor, limit: int, *, goes_on: bool) -> RedactedContent:
    """At most `limit` bytes of what was read, without secrets.

    goes_on: there is more than was read: then the last `SECRET_MARGIN_BYTES` bytes, in which a secret may be
    cut in two, are left out.
    """
    clean = redactor.redact_bytes(data)
    kept = (clean[:-SECRET_MARGIN_BYTES] if goes_on else clean)[:limit]
    truncated = goes_on or len(kept) < len(clean)
    text = _text(kept, truncated)
    if text is None:
        return RedactedContent("base64", base64.b64encode(kept).decode(), truncated)
    return RedactedContent("utf-8", text, truncated)


def _text(data: bytes, truncated: bool) -> str | None:
    """What the bytes are as text, if they are text; a character that the cut has halved is left out."""
    for lost in range(4 if truncated else 1):
        try:
            text = data[: len(data) - lost].decode()
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None
