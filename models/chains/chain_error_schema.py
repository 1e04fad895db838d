"""Why a chain failed, on the wire."""

from typing import Final

from kit.schemas import Wire
from models.json_view import json_object_sql


class ChainError(Wire):
    """Why a chain failed, and with which run."""

    code: str
    """A stable name, for programs."""
    message: str | None
    """A sentence, for people."""
    run_id: str | None
    """The run that the chain failed with; null when it was none."""


CHAIN_ERROR: Final = (
    "CASE WHEN error_code IS NOT NULL THEN "
    f"{json_object_sql(code='error_code', message='error_message', runId='error_run_id')} END"
)
"""SQL of a chain's error."""
