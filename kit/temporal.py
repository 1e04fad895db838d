"""How this program speaks to Temporal: one client, three queues, eight kinds of patience.

Nothing that a job waits for is given up because time passes in which nobody could try: where the wait has an
end it is one of attempts, and no worker, no attempt (ADR 28).
"""

from dataclasses import replace
from datetime import timedelta
from inspect import isawaitable
from typing import Any, Final, TypedDict

from temporalio.client import (
    Client,
    CreateScheduleInput,
    GrpcCompression,
    Interceptor,
    OutboundInterceptor,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleUpdate,
    ScheduleUpdateInput,
    StartWorkflowInput,
    UpdateScheduleInput,
    WorkflowHandle,
)
from temporalio.common import (
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributes,
    TypedSearchAttributes,
)
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
)
from temporalio.runtime import Runtime
from temporalio.service import TLSConfig

from kit.payload_encryption import EncryptingCodec
from kit.settings import PayloadSettings, Settings

TASK_QUEUE: Final = "codecourier"
AGENTS_QUEUE: Final = "codecourier-agents"
WEBHOOKS_QUEUE: Final = "codecourier-webhooks"
"""Of its own, so that receivers that hang hold no place of anything else."""

PROJECT_ID: Final = SearchAttributeKey.for_keyword("ProjectId")
RUN_ID: Final = SearchAttributeKey.for_keyword("CourierRunId")
KIND: Final = SearchAttributeKey.for_keyword("Kind")
STATUS: Final = SearchAttributeKey.for_keyword("Status")
INSTALLATION: Final = SearchAttributeKey.for_keyword("Installation")
"""Whose it is: every workflow and schedule of ours carries it, and nothing else is ever judged."""
REPOSITORY: Final = SearchAttributeKey.for_keyword("Repository")
SCHEDULED_FOR: Final = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""The engine's own: the time that a schedule meant, however late it starts."""
SEARCH_ATTRIBUTES: Final = (PROJECT_ID, RUN_ID, KIND, STATUS, REPOSITORY, INSTALLATION)
MAX_SUMMARY_BYTES: Final = 200
"""Temporal refuses a start whose summary has more than 400."""


class ActivityOptions(TypedDict):
    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta | None
    heartbeat_timeout: timedelta | None
    retry_policy: RetryPolicy


def _retry(first_seconds: float, longest_seconds: float, attempts: int = 0) -> RetryPolicy:
    """attempts: at most so many; 0: as many as there is time for."""
    return RetryPolicy(
        initial_interval=timedelta(seconds=first_seconds),
        maximum_interval=timedelta(seconds=longest_seconds),
        maximum_attempts=attempts,
    )


_ATTEMPTS_IN_A_WEEK: Final = 5_000
"""Attempts that fail at once, two minutes apart: about seven days."""


LOCAL_DB: Final[ActivityOptions] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "schedule_to_close_timeout": None,
    "heartbeat_timeout": None,
    "retry_policy": _retry(0.2, 10),
}
"""Our own database, as a local activity: tried until the database is back."""

SHORT: Final[ActivityOptions] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "schedule_to_close_timeout": timedelta(minutes=2),
    "heartbeat_timeout": None,
    "retry_policy": _retry(0.5, 10),
}
"""One short call that may be given up: clean-up and sweeps, which come again."""

SCHEDULED: Final[ActivityOptions] = {
    "start_to_close_timeout": timedelta(minutes=10),
    "schedule_to_close_timeout": timedelta(hours=1),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _retry(1, 60),
}
"""What a schedule does: given up after an hour, as the next time comes."""

EXTERNAL: Final[ActivityOptions] = {
    "start_to_close_timeout": timedelta(minutes=10),
    "schedule_to_close_timeout": None,
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _retry(1, 120, _ATTEMPTS_IN_A_WEEK),
}
"""Someone else's service: slow, tried again with a growing pause for days."""

BEST_EFFORT: Final[ActivityOptions] = {
    "start_to_close_timeout": timedelta(minutes=5),
    "schedule_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _retry(1, 30),
}
"""A safety net: worth some minutes, and given up rather than waited for."""

SWEEP: Final[ActivityOptions] = {
    "start_to_close_timeout": timedelta(minutes=4),
    "schedule_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _retry(1, 10),
}
"""A look at many things, which comes again soon."""

LONG_RUNNING: Final[ActivityOptions] = {
    "start_to_close_timeout": timedelta(hours=2),
    "schedule_to_close_timeout": None,
    "heartbeat_timeout": timedelta(seconds=10),
    "retry_policy": _retry(1, 120, _ATTEMPTS_IN_A_WEEK),
}
"""An agent at work: heartbeats tell a long turn from a dead worker."""

BRANCH_PUSH: Final[ActivityOptions] = {**LONG_RUNNING, "retry_policy": _retry(1, 60, 8)}
"""What leaves a sandbox: tried for two minutes, then the sandbox rests before it is tried again."""


class InstallationInterceptor(Interceptor):
    """Puts an installation's id on every workflow and schedule that a client starts."""

    def __init__(self, installation: str) -> None:
        self._own = SearchAttributePair(INSTALLATION, installation)

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _InstallationOutbound(next, self._own)


class _InstallationOutbound(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, own: SearchAttributePair[str]) -> None:
        super().__init__(next)
        self._own = own

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.search_attributes = self._with_installation(input.search_attributes)
        input.static_summary = input.static_summary and truncate_summary(input.static_summary)
        return await super().start_workflow(input)

    async def create_schedule(self, input: CreateScheduleInput) -> ScheduleHandle:
        input.search_attributes = self._with_installation(input.search_attributes)
        self._mark_action(input.schedule)
        return await super().create_schedule(input)

    async def update_schedule(self, input: UpdateScheduleInput) -> None:
        updater = input.updater

        async def update(given: ScheduleUpdateInput) -> ScheduleUpdate | None:
            changed = updater(given)
            told = await changed if isawaitable(changed) else changed
            if told is not None:
                self._mark_action(told.schedule)
            return told

        input.updater = update
        await super().update_schedule(input)

    def _mark_action(self, schedule: Schedule) -> None:
        action = schedule.action
        if isinstance(action, ScheduleActionStartWorkflow):
            action.typed_search_attributes = self._with_installation(action.typed_search_attributes)
            if isinstance(action.static_summary, str):
                action.static_summary = truncate_summary(action.static_summary)

    def _with_installation(
        self, given: TypedSearchAttributes | SearchAttributes | None
    ) -> TypedSearchAttributes:
        typed = given if isinstance(given, TypedSearchAttributes) else TypedSearchAttributes.empty
        return typed.updated(self._own)


_ENCODINGS: Final = tuple(PydanticPayloadConverter().converters.values())


class _PayloadConverter(CompositePayloadConverter):
    """Pydantic's, made once: the SDK makes a converter for every workflow task, and its cache was empty."""

    def __init__(self) -> None:
        super().__init__(*_ENCODINGS)


DATA_CONVERTER: Final = DataConverter(payload_converter_class=_PayloadConverter)
"""How arguments and results are written."""


def data_converter_for(settings: PayloadSettings) -> DataConverter:
    """The same, encrypted where the settings have keys; then failures' messages and traces are, too."""
    if (keys := settings.temporal_payload_keys) is None:
        return DATA_CONVERTER
    return replace(
        DATA_CONVERTER,
        payload_codec=EncryptingCodec(keys.get_secret_value()),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def truncate_summary(text: str) -> str:
    """A workflow's or an activity's summary, cut between characters where it is too long for Temporal."""
    encoded = text.encode()
    if len(encoded) <= MAX_SUMMARY_BYTES:
        return text
    ellipsis = "…"
    return encoded[: MAX_SUMMARY_BYTES - len(ellipsis.encode())].decode(errors="ignore") + ellipsis


async def connect(
    settings: Settings, installation: str | None = None, runtime: Runtime | None = None
) -> Client:
    """A client of the configured namespace; raises `RuntimeError` when the server cannot be reached.

    installation: whose id is put on whatever the client starts; None for a client that starts nothing.
    runtime: with telemetry of its own; without one, the process's default.
    """
    key = settings.temporal_api_key
    tls = _tls(settings)
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        api_key=key.get_secret_value() if key else None,
        tls=tls,
        data_converter=data_converter_for(settings),
        interceptors=[InstallationInterceptor(installation)] if installation else [],
        runtime=runtime,
        # To a server next door, packing takes longer than sending (ADR 11).
        grpc_compression=GrpcCompression.GZIP if tls else GrpcCompression.NONE,
    )


def _tls(settings: Settings) -> TLSConfig | bool:
    """Raises OSError for a file that cannot be read."""
    ca, cert, key = (
        path.read_bytes() if path else None
        for path in (
            settings.temporal_tls_ca_file,
            settings.temporal_tls_cert_file,
            settings.temporal_tls_key_file,
        )
    )
    if ca or cert:
        return TLSConfig(server_root_ca_cert=ca, client_cert=cert, client_private_key=key)
    return settings.temporal_api_key is not None if settings.temporal_tls is None else settings.temporal_tls
