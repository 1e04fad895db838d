"""How this program speaks to Temporal: one client, two queues, four kinds of patience."""

from datetime import timedelta
from typing import Final, TypedDict

from temporalio.client import Client, GrpcCompression
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter, DataConverter

from kit.settings import Settings

TASK_QUEUE: Final = "codecourier"
AGENTS_QUEUE: Final = "codecourier-agents"

PROJECT_ID: Final = SearchAttributeKey.for_keyword("ProjectId")
RUN_ID: Final = SearchAttributeKey.for_keyword("CourierRunId")
KIND: Final = SearchAttributeKey.for_keyword("Kind")
STATUS: Final = SearchAttributeKey.for_keyword("Status")
REPOSITORY: Final = SearchAttributeKey.for_keyword("Repository")
SCHEDULED_FOR: Final = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""The engine's own: the time that a schedule meant, however late it starts."""
SEARCH_ATTRIBUTES: Final = (PROJECT_ID, RUN_ID, KIND, STATUS, REPOSITORY)


class Patience(TypedDict):
    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta | None
    heartbeat_timeout: timedelta | None
    retry_policy: RetryPolicy


def _retry(first_seconds: float, longest_seconds: float) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timedelta(seconds=first_seconds), maximum_interval=timedelta(seconds=longest_seconds)
    )


INSTANT: Final[Patience] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "schedule_to_close_timeout": None,
    "heartbeat_timeout": None,
    "retry_policy": _retry(0.2, 10),
}
"""Our own database, as a local activity: tried until the database is back."""

QUICK: Final[Patience] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "schedule_to_close_timeout": timedelta(minutes=2),
    "heartbeat_timeout": None,
    "retry_policy": _retry(0.5, 10),
}
"""One short call that may be given up: clean-up and sweeps, which come again."""

PATIENT: Final[Patience] = {
    "start_to_close_timeout": timedelta(minutes=10),
    "schedule_to_close_timeout": timedelta(hours=1),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _retry(1, 60),
}
"""Someone else's service: slow, retried with a growing pause for an hour."""

LONG: Final[Patience] = {
    "start_to_close_timeout": timedelta(hours=2),
    "schedule_to_close_timeout": timedelta(hours=6),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _retry(1, 60),
}
"""An agent at work: heartbeats tell a long turn from a dead worker."""


_ENCODINGS: Final = tuple(PydanticPayloadConverter().converters.values())


class _Converter(CompositePayloadConverter):
    """Pydantic's, made once: the SDK makes a converter for every workflow task, and its cache was empty."""

    def __init__(self) -> None:
        super().__init__(*_ENCODINGS)


CONVERTER: Final = DataConverter(payload_converter_class=_Converter)
"""How arguments and results are written."""


async def connect(settings: Settings) -> Client:
    """A client of the configured namespace; raises `RuntimeError` when the server cannot be reached."""
    key = settings.temporal_api_key
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        api_key=key.get_secret_value() if key else None,
        tls=True if key else None,
        data_converter=CONVERTER,
        # To a server next door, packing takes longer than sending (ADR 11).
        grpc_compression=GrpcCompression.GZIP if key else GrpcCompression.NONE,
    )
