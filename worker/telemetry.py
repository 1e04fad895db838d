"""The telemetry of the SDK's core: its log lines among ours, its metrics for Prometheus."""

import logging
from typing import Final

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from kit.settings import Settings

CORE: Final = "temporalio.core"
"""The logger that core's lines come from: why it failed a workflow task, above all."""


def runtime_of(settings: Settings) -> Runtime:
    """With metrics at `GET http://<worker_metrics_address>/metrics`, where the settings name an address.

    Raises RuntimeError when something else listens there.
    """
    address = settings.worker_metrics_address
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                forwarding=LogForwardingConfig(logger=logging.getLogger(CORE), append_target_to_name=False),
            ),
            metrics=PrometheusConfig(bind_address=address) if address else None,
        )
    )
