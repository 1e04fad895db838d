"""What a Messages API request must look like; a broken rule is answered in its words."""

import base64
import hashlib

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError


class ApiError(Exception):
    """An error in Anthropic's words: HTTP status, error type and message."""

    def __init__(self, status: int, type: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.type, self.message, self.retry_after = status, type, message, retry_after


def invalid(message: str) -> ApiError:
    return ApiError(400, "invalid_request_error", message)


class CacheableBlock(BaseModel):
    """What may carry a mark that says: keep the prompt up to here."""

    model_config = ConfigDict(extra="allow")
    cache_control: dict[str, JsonValue] | None = None


class ImageSource(BaseModel):
    """The bytes of an `image` block."""

    type: str
    media_type: str = ""
    data: str = ""

    @property
    def bytes(self) -> bytes | None:
        """None for what is no base64."""
        try:
            return base64.b64decode(self.data, validate=True)
        except ValueError:
            return None

    @property
    def described(self) -> str:
        """Its media type and the beginning of its digest, for scenarios to tell."""
        return f"{self.media_type} {hashlib.sha256(self.bytes or b'').hexdigest()[:16]}"


class Block(CacheableBlock):
    """One content block of a message, a system prompt or a tool's result; fields by `type`."""

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, JsonValue] | None = None
    tool_use_id: str | None = None
    content: str | list["Block"] | None = None
    thinking: str | None = None
    signature: str | None = None
    source: "ImageSource | None" = None


class Message(BaseModel):
    role: str
    content: list[Block]

    @property
    def text(self) -> str:
        return "\n".join(block.text for block in self.content if block.text)

    @property
    def images(self) -> list[ImageSource]:
        return [block.source for block in self.content if block.type == "image" and block.source]

    def ids(self, type: str) -> list[str]:
        """Ids of this message's `tool_use` or `tool_result` blocks."""
        ids = [
            block.id if type == "tool_use" else block.tool_use_id
            for block in self.content
            if block.type == type
        ]
        return [each or "" for each in ids]


class IncomingMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: str
    content: str | list[Block]


class Tool(CacheableBlock):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")
    type: str = "custom"
    input_schema: dict[str, JsonValue] | None = None


class ToolChoiceOrThinking(BaseModel):
    """`thinking` or `tool_choice`: a type with a few options."""

    model_config = ConfigDict(extra="allow")
    type: str
    name: str | None = None
    budget_tokens: int | None = None
    display: str | None = None


class CountRequest(BaseModel):
    """The body of `POST /v1/messages/count_tokens`, and what `POST /v1/messages` shares with it."""

    model: str
    messages: list[IncomingMessage]
    system: str | list[Block] = ""
    tools: list[Tool] = []
    tool_choice: ToolChoiceOrThinking | None = None
    thinking: ToolChoiceOrThinking | None = None
    cache_control: dict[str, JsonValue] | None = None

    @property
    def system_blocks(self) -> list[Block]:
        return [Block(type="text", text=self.system)] if isinstance(self.system, str) else self.system

    @property
    def system_text(self) -> str:
        return "\n".join(block.text or "" for block in self.system_blocks)

    @property
    def turns(self) -> list[Message]:
        """The conversation with consecutive messages of one role combined, as the API documents it."""
        turns: list[Message] = []
        for message in self.messages:
            text = message.content
            blocks = [Block(type="text", text=text)] if isinstance(text, str) else text
            if turns and turns[-1].role == message.role:
                turns[-1] = Message(role=message.role, content=[*turns[-1].content, *blocks])
            else:
                turns.append(Message(role=message.role, content=blocks))
        return turns

    @property
    def first_prompt(self) -> str:
        """The text of the first user message: with the system prompt, what tells conversations apart."""
        content = self.messages[0].content
        return content if isinstance(content, str) else Message(role="user", content=content).text

    @property
    def opening(self) -> str:
        """The first text of the first user message: it stays as it is when later words are joined to it."""
        content = self.messages[0].content
        if isinstance(content, str):
            return content
        return next((block.text for block in content if block.text), "")

    @property
    def offered_tools(self) -> set[str]:
        if self.tool_choice is not None and self.tool_choice.type == "none":
            return set()
        return {tool.name for tool in self.tools}

    @property
    def thinks(self) -> bool:
        return self.thinking is not None and self.thinking.type != "disabled"


class MessagesRequest(CountRequest):
    """The body of `POST /v1/messages`."""

    max_tokens: int = Field(ge=1)
    stream: bool = False


def parse_request(body: bytes, *, counting: bool = False) -> CountRequest | MessagesRequest:
    """Read a body into a request.  Raises `ApiError` 400 naming the first faulty field."""
    try:
        model = CountRequest if counting else MessagesRequest
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("str", "list[Block]"))
        raise invalid(f"{where}: {first['msg']}" if where else str(first["msg"])) from error
