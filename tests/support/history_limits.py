"""Workflows that go on in a new one: how long a history may become, and how to have it sooner."""

import pytest
from temporalio import workflow

MAX_HISTORY_EVENTS = 5_000
"""Of one execution, which an engine likes to have fewer of."""


def suggest_continue_as_new_after(events: int, monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    """What the engine suggests after thousands of events comes after these, to these kinds or to all."""

    def suggested(info: workflow.Info) -> bool:
        is_meant = not kinds or info.workflow_type in kinds
        return is_meant and info.get_current_history_length() > events

    monkeypatch.setattr(workflow.Info, "is_continue_as_new_suggested", suggested)
