"""The faults of the table; a module for each part that fails.  Their order here is the table's."""

from tests.chaos.faults import (  # isort: skip
    nothing,
    workers,
    api,
    postgres,
    temporal,
    partitions,
    answers,
    webhooks,
    sandboxes,
    github,
    model,
    money,
    clock,
    elsewhere,
)

__all__ = [
    "answers",
    "api",
    "clock",
    "elsewhere",
    "github",
    "model",
    "money",
    "nothing",
    "partitions",
    "postgres",
    "sandboxes",
    "temporal",
    "webhooks",
    "workers",
]
