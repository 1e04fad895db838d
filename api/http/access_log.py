"""One line a request, written on a short path: the usual one would cost a quarter of a request's time.

The lines look like all others (`kit.logs`) and are redacted like them.
"""

import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import orjson
from starlette.types import Scope

from kit.redaction import Redactor

LOGGER_NAME = "api.access"
UNLOGGED_PATHS = ("/healthz", "/readyz")
_logger = logging.getLogger(LOGGER_NAME)


def configure(secrets: Iterable[str]) -> None:
    """Write JSON lines to standard error, past the formatter that all other lines share."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(Redactor(secrets)))
    _logger.handlers, _logger.propagate = [handler], False


def log_request(scope: Scope, status: int, seconds: float) -> None:
    """Tell of a request that was answered; `status` 0: its client was gone before."""
    if scope["path"] in UNLOGGED_PATHS or not _logger.isEnabledFor(logging.INFO):
        return
    key = scope.get("key")
    fields = {
        "method": "HEAD" if scope.get("head") else scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(seconds * 1000, 1),
        "key_id": key.id if key else None,
        "request_id": scope["request_id"],
    }
    record = logging.LogRecord(LOGGER_NAME, logging.INFO, __file__, 0, "request", None, None)
    record.__dict__.update(fields=fields, **fields)
    _logger.handle(record)


class _Line(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line = {
            **record.__dict__["fields"],
            "event": record.msg,
            "level": "info",
            "logger": LOGGER_NAME,
            "timestamp": at.replace("+00:00", "Z"),
        }
        return self._redactor.redact_text(orjson.dumps(line).decode())
