"""Scenario files: what the scripted model does, turn by turn, for whom."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator
from pydantic.alias_generators import to_camel

BUILT_IN_SCENARIOS = Path(__file__).parent / "scenario_files"
PLACEHOLDERS = {"prompt", "task", "slug", "images"}


class ScenarioError(Exception):
    """A scenario file that cannot be used; the message names the file, the place and what is wrong."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class StatusFault(_Strict):
    """An HTTP error instead of an answer."""

    status: int = Field(ge=400, le=599)
    retry_after: float | None = Field(None, ge=0, description="Seconds, sent as the `retry-after` header.")


Fault = StatusFault | Literal["cut", "truncated", "malformed", "refusal", "maxTokens"]
StopReason = Literal["end_turn", "tool_use", "max_tokens", "refusal", "stop_sequence", "pause_turn"]


class ToolCall(_Strict):
    name: str
    input: dict[str, JsonValue] = {}


class Turn(_Strict):
    """One answer.  `faults` come first, one a request, and then the answer itself."""

    thinking: str | None = None
    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    stop_reason: StopReason | None = None
    delay_ms: int = Field(0, ge=0, le=600_000)
    faults: tuple[Fault, ...] = ()
    repeat: int = Field(1, ge=1, le=10_000, description="Play this turn so many times in a row.")

    @field_validator("text", "thinking", "tool_calls")
    @classmethod
    def _known_placeholders(
        cls, value: str | tuple[ToolCall, ...] | None
    ) -> str | tuple[ToolCall, ...] | None:
        written = (
            value if isinstance(value, str) else " ".join(call.model_dump_json() for call in value or ())
        )
        for name in re.findall(r"\{\{\s*(\w+)\s*\}\}", written):
            if name not in PLACEHOLDERS:
                raise ValueError(f"{{{{{name}}}}} is not known here; use {', '.join(sorted(PLACEHOLDERS))}")
        return value


class When(_Strict):
    """Regular expressions, searched without regard to case; one left out matches everything."""

    role: re.Pattern[str] | None = None
    system: re.Pattern[str] | None = None
    """Of the whole system prompt."""
    prompt: re.Pattern[str] | None = None

    @field_validator("role", "system", "prompt", mode="before")
    @classmethod
    def _compiled(cls, value: str | None) -> re.Pattern[str] | None:
        try:
            return None if value is None else re.compile(value, re.IGNORECASE | re.MULTILINE)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error


class Scenario(_Strict):
    name: str
    when: When = When()
    turns: Annotated[tuple[Turn, ...], Field(min_length=1)]

    def turn(self, number: int) -> Turn:
        """The turn after `number` answers; past the end, the last one again."""
        for turn in self.turns:
            number -= turn.repeat
            if number < 0:
                return turn
        return self.turns[-1]

    @property
    def tools(self) -> set[str]:
        return {call.name for turn in self.turns for call in turn.tool_calls}

    def fits(self, role: str, prompt: str, offered_tools: set[str], system: str = "") -> bool:
        """Whether this scenario is for that conversation and can be played with the tools it offers."""
        wanted = ((self.when.role, role), (self.when.prompt, prompt), (self.when.system, system))
        return self.tools <= offered_tools and all(not regex or regex.search(text) for regex, text in wanted)


def load(directories: Iterable[Path]) -> list[Scenario]:
    """Read `*.json` of each directory in file-name order, directories in the order given.

    Raises `ScenarioError` for a missing directory, broken JSON or a broken rule.
    """
    scenarios = []
    for directory in directories:
        if not directory.is_dir():
            raise ScenarioError(
                f"{directory} is not a directory; --scenarios takes a directory of *.json files"
            )
        scenarios += [_read(path) for path in sorted(directory.glob("*.json"), key=lambda path: path.name)]
    return scenarios


def find_scenario(
    scenarios: Sequence[Scenario], role: str, prompt: str, offered_tools: set[str], system: str = ""
) -> Scenario:
    """The first scenario that fits.  Raises `ScenarioError` when none does (a built-in one always does)."""
    for scenario in scenarios:
        if scenario.fits(role, prompt, offered_tools, system):
            return scenario
    raise ScenarioError(f"no scenario fits the role '{role}' with the tools {sorted(offered_tools)}")


def _read(path: Path) -> Scenario:
    try:
        return Scenario.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise ScenarioError(f"{path}: not JSON: {error}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors()]
        raise ScenarioError(f"{path}: " + "; ".join(faults)) from error
