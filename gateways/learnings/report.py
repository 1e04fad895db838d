"""How an extractor reports a learning."""

from typing import Annotated, Final, Literal

from pydantic import Field

from gateways.tools.finish_schemas import ToolInput
from models.blueprints.persona import StepRole

REPORT_LEARNING: Final = "report_learning"
NotBlank = Annotated[str, Field(min_length=1, pattern=r"\S")]


class ReportLearning(ToolInput):
    """Something to do differently in later runs; it is kept at once, and counted when it is known."""

    description: NotBlank = Field(
        max_length=2_000, description="What is to be learned, in one or two sentences, whole in themselves."
    )
    trigger: NotBlank = Field(max_length=2_000, description="The situation in which it matters.")
    correct_behavior: NotBlank = Field(max_length=4_000, description="What to do then.")
    severity: Literal["low", "medium", "high", "critical"]
    category: NotBlank | None = Field(
        None, max_length=100, description="One or two words, such as `testing` or `performance`."
    )
    applicable_roles: list[StepRole] = Field(
        [], max_length=len(StepRole), description="Whom it concerns; left out, everybody."
    )
