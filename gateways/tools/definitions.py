"""The tools a model is offered, and what it means when it calls one.

`bash` and the text editor are Anthropic's own tool types, which models are trained on; `search`,
`report_issue`, `report_learning` and `finish` are ours.  A call that does not fit is an `InvalidCall`: words
for the model, never an exception.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import NullableSchema, WithDefaultSchema

from gateways.learnings.report import REPORT_LEARNING, ReportLearning
from gateways.tools.finish_schemas import FINISH_HINTS, FINISH_SCHEMAS, Finish, ToolInput
from models.agent.session_kind import SessionKind

EDITOR_TOOL: Final = "str_replace_based_edit_tool"
REPORT_ISSUE: Final = "report_issue"


SANDBOX_TOOLS: Final = ("bash", EDITOR_TOOL, "search")
"""The tools whose calls are carried out in the sandbox."""


def may_write(name: str, given: Mapping[str, JsonValue]) -> bool:
    """Whether a call may change files in the sandbox."""
    return name == "bash" or (name == EDITOR_TOOL and given.get("command") != "view")


class ToolRequest(ToolInput):
    """A call for the toolbox in the sandbox."""

    tool: ClassVar[Literal["bash", "edit", "search"]]

    def wire(self) -> dict[str, JsonValue]:
        """What the toolbox takes: `{"tool": …}` and the inputs that were given, by Anthropic's own names."""
        return {"tool": self.tool, **self.model_dump(mode="json", exclude_none=True)}


class Bash(ToolRequest):
    tool = "bash"
    command: str | None = None
    restart: bool = False
    timeout_seconds: int | None = Field(None, ge=1, le=7_200)

    @model_validator(mode="after")
    def _says_what_to_do(self) -> Self:
        if not self.restart and not (self.command or "").strip():
            raise ValueError("`command` is missing or blank")
        return self


class _Edit(ToolRequest):
    tool = "edit"
    path: str = Field(min_length=1)

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if "\0" in path:
            raise ValueError("must not contain a NUL character")
        return path


class View(_Edit):
    command: Literal["view"]
    view_range: tuple[int, int] | None = None

    @field_validator("view_range")
    @classmethod
    def _is_a_range(cls, lines: tuple[int, int] | None) -> tuple[int, int] | None:
        if lines is not None and (lines[0] < 1 or (lines[1] != -1 and lines[1] < lines[0])):
            raise ValueError(
                "must be [first line, last line], counted from 1; -1 as the last means to the end"
            )
        return lines


class Create(_Edit):
    command: Literal["create"]
    file_text: str


class StrReplace(_Edit):
    command: Literal["str_replace"]
    old_str: str = Field(min_length=1)
    new_str: str = ""


class Insert(_Edit):
    command: Literal["insert"]
    insert_line: int = Field(ge=0)
    insert_text: str


class Search(ToolRequest):
    tool = "search"
    pattern: str = Field(min_length=1, description="Regular expression to look for in the lines of files.")
    path: str = Field(
        ".", min_length=1, description="Directory or file to search in; the repository by default."
    )
    glob: str | None = Field(None, min_length=1, description="Only files whose path fits, such as `*.py`.")
    max_results: int = Field(100, ge=1, le=1_000, description="Stop after so many matching lines.")


class ReportIssue(ToolInput):
    """An issue that a scout found; it is kept at once, so that nothing is lost if the scan ends early."""

    title: str = Field(min_length=1, max_length=300, description="What is wrong, in one line.")
    description: str = Field(
        min_length=1, max_length=20_000, description="The evidence: where, why it matters, how to see it."
    )
    priority: Literal["low", "medium", "high", "critical"]
    suggested_prompt: str = Field(
        min_length=1,
        max_length=20_000,
        description="The task, as an engineer is told who knows nothing of this.",
    )


class InvalidCall(NamedTuple):
    """A call that cannot be made; `text` tells the model what was wrong and what to send."""

    text: str


Request = ToolRequest | ReportIssue | ReportLearning | Finish | InvalidCall
_EDITS: Final[TypeAdapter[View | Create | StrReplace | Insert]] = TypeAdapter(
    Annotated[View | Create | StrReplace | Insert, Field(discriminator="command")]
)
_USAGE_HINTS: Final = {
    "bash": 'Send {"command": "…"}, or {"restart": true} for a fresh shell.',
    EDITOR_TOOL: 'Send {"command": "view", "path": "…"},'
    ' {"command": "create", "path": "…", "file_text": "…"},'
    ' {"command": "str_replace", "path": "…", "old_str": "…", "new_str": "…"} or'
    ' {"command": "insert", "path": "…", "insert_line": 0, "insert_text": "…"}.',
    "search": 'Send {"pattern": "…"}, and if you like "path", "glob" and "max_results".',
    REPORT_ISSUE: 'Send {"title": "…", "description": "…", "priority": "low|medium|high|critical", '
    '"suggested_prompt": "…"}.',
    REPORT_LEARNING: 'Send {"description": "…", "trigger": "…", "correct_behavior": "…", '
    '"severity": "low|medium|high|critical"}, and if you like "category" and "applicable_roles".',
}


@cache
def definitions(kind: SessionKind) -> list[dict[str, JsonValue]]:
    """`tools` of a request, always in the same order and words, as the prompt cache wants it."""
    return [
        *(_sandbox_tools() if kind.has_sandbox else []),
        *([_report_issue_tool()] if kind is SessionKind.scout else []),
        *([_report_learning_tool()] if kind is SessionKind.extractor else []),
        *([_finish_tool(kind)] if kind in FINISH_SCHEMAS else []),
    ]


def _sandbox_tools() -> list[dict[str, JsonValue]]:
    return [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": EDITOR_TOOL},
        {
            "name": "search",
            "description": "Search files for a regular expression: answers with path, line number and line.",
            "input_schema": _schema(Search),
        },
    ]


def _report_learning_tool() -> dict[str, JsonValue]:
    return {
        "name": REPORT_LEARNING,
        "description": "Report one learning, and go on. It is kept at once, or counted if it is known.",
        "input_schema": _schema(ReportLearning),
    }


def _finish_tool(kind: SessionKind) -> dict[str, JsonValue]:
    return {
        "name": "finish",
        "description": "End your work and report on it. Call it once, alone, when nothing is left to do.",
        "input_schema": _schema(FINISH_SCHEMAS[kind]),
    }


def _report_issue_tool() -> dict[str, JsonValue]:
    return {
        "name": REPORT_ISSUE,
        "description": "Report one issue as soon as you have found it, and go on. It is kept at once.",
        "input_schema": _schema(ReportIssue),
    }


def parse(kind: SessionKind, name: str, input: Mapping[str, JsonValue]) -> Request:
    """What a `tool_use` block of a session of this kind asks for; nulls count as left out."""
    given = {field: value for field, value in input.items() if value is not None}
    how = FINISH_HINTS.get(kind) if name == "finish" else _USAGE_HINTS.get(name)
    try:
        match name:
            case "bash" if kind.has_sandbox:
                return Bash.model_validate(given)
            case "str_replace_based_edit_tool" if kind.has_sandbox:
                return _EDITS.validate_python(given)
            case "search" if kind.has_sandbox:
                return Search.model_validate(given)
            case "report_issue" if kind is SessionKind.scout:
                return ReportIssue.model_validate(given)
            case "report_learning" if kind is SessionKind.extractor:
                return ReportLearning.model_validate(given)
            case "finish" if kind in FINISH_SCHEMAS:
                return FINISH_SCHEMAS[kind].model_validate(given)
            case _:
                offered = ", ".join(str(tool["name"]) for tool in definitions(kind))
                return InvalidCall(f"There is no tool `{name}`. The tools are {offered}.")
    except ValidationError as error:
        problems = "; ".join(
            _problem_text(fault) for fault in error.errors(include_url=False, include_input=False)
        )
        return InvalidCall(f"This call of `{name}` was not made. {problems}. {how}")


class _PlainSchema(GenerateJsonSchema):
    """Without titles and nulls: fewer tokens, and nothing a model could take for a value to send."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        written = super().default_schema(schema)
        return {key: value for key, value in written.items() if key != "default" or value is not None}


def _schema(model: type[BaseModel]) -> dict[str, JsonValue]:
    schema = model.model_json_schema(schema_generator=_PlainSchema)
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("title", None)
        part.pop("description", None)
    return schema


def _problem_text(fault: ErrorDetails) -> str:
    """One problem in words: where, and what is wrong there."""
    where = ".".join(
        str(part) for part in fault["loc"] if part not in ("view", "create", "str_replace", "insert")
    )
    message = fault["msg"].removeprefix("Value error, ").rstrip(".")
    return f"`{where}`: {message}" if where else message
