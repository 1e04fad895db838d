"""The reference pages, executed: every request as the page prints it, and how it is answered."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from pydantic import JsonValue

from tests.integration.stack.tutorial.shell import CURLS, Shell
from tests.integration.stack.tutorial.shown import answers_under, assert_same_shape, parsed
from tests.integration.stack.tutorial.texts import filled
from tests.support.detached_stack import DetachedStack
from tests.support.waiting import TEST_TIMEOUT_SECONDS

PART = re.compile(
    r"^#+ (?P<heading>[^\n]+)$|^(?P<response>Response)(?: \((?P<status>\d+) \w+\))?:$"
    r"|^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.M | re.S,
)
OPERATION = re.compile(r"(GET|POST|PUT|DELETE) (/api/v1/\S+)")
LEFT_OPEN = re.compile(r"""["_\d]\.\.\.""")
"""An id or a value that the page leaves open; three dots after a word belong to a text."""
"""Seconds for what a page promises to come true."""
Json = dict[str, JsonValue]
T = TypeVar("T")


@dataclass
class Section:
    """What a page prints of an operation, or of an object.

    requests: commands for a shell, and bodies that are to be sent; empty text for no body at all.
    status: of the answer, where the page says it.
    """

    requests: list[str] = field(default_factory=list)
    status: int | None = None
    shown: JsonValue = None


class Page:
    """A page in a shell.

    values: what the page leaves open from the beginning, by what it prints there.
    """

    def __init__(self, name: str, shell: Shell, values: dict[str, str]) -> None:
        self._sections, self._shell, self._values = _sections(name), shell, values
        self._left = {
            (operation, number)
            for operation, section in self._sections.items()
            for number in range(len(section.requests))
        }

    def answer(self, operation: str, values: dict[str, str], number: int = 0) -> tuple[int, JsonValue]:
        """Status and body of the answer to a request as the page prints it.

        values: ids and addresses for what the page elides, by the name of the field (`issueId`, or `id` of a
            query), or by the words that stand there (`sc_...`).
        number: which of the requests that the page prints there.
        """
        script = filled(_script(operation, self._sections[operation].requests[number], values), self._values)
        assert not LEFT_OPEN.search(script), f"{operation}: not all is filled in:\n{script}"
        self._left.discard((operation, number))
        answer = self._shell.curl(script)
        return answer.status, answer.body

    def send(self, operation: str, values: dict[str, str] | None = None, number: int = 0) -> Json:
        """The `data` of the answer, which has the status and every field that the page prints."""
        section = self._sections[operation]
        status, body = self.answer(operation, values or {}, number)
        assert status in ((section.status,) if section.status else (200, 201)), (
            f"{operation}: {status}: {body}"
        )
        assert_same_shape(section.shown, body)
        return cast("Json", cast("Json", body)["data"])

    def all(self, operation: str, values: dict[str, str] | None = None) -> list[Json]:
        """The items of a list."""
        return cast("list[Json]", self.send(operation, values))

    def object(self, name: str) -> JsonValue:
        """An object as the page prints it."""
        return self._sections[name].shown

    @property
    def left(self) -> list[str]:
        """The requests that were not sent yet."""
        return [f"{operation} #{number}" for operation, number in sorted(self._left)]


def open_page(name: str, stack: DetachedStack, directory: Path) -> Page:
    """A page whose deployment is the stack."""
    values = {
        "cc_live_...": stack.file.api_key,
        "https://<deployment>.convex.site": stack.file.api_url,
        "https://github.com": stack.file.forge_url,
    }
    return Page(name, Shell([*CURLS.values()][-1], directory), values)


def wait_until(read: Callable[[], T], holds: Callable[[T], object]) -> T:
    """What is read once it holds."""
    deadline = time.monotonic() + TEST_TIMEOUT_SECONDS
    while not holds(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def _sections(name: str) -> dict[str, Section]:
    """What a page prints, by the headings, of which those of operations are their method and path."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    found: dict[str, Section] = {}
    heading, is_response = "", False
    for part in PART.finditer(text):
        if part["heading"]:
            heading, is_response = part["heading"], False
            found[heading] = Section()
            continue
        section, code = found[heading], part["code"]
        if part["response"]:
            section.status, is_response = int(part["status"] or 200), True
        elif part["language"] == "sh":
            section.requests += re.findall(r"^curl .*?(?=^#|^curl |\Z)", code, re.M | re.S)
            if "# → " in code:
                section.shown = answers_under(code).body
        elif is_response or not OPERATION.fullmatch(heading):
            section.shown = parsed(code)
        else:
            section.requests.append(code)
    for heading, section in found.items():
        if OPERATION.fullmatch(heading) and not section.requests:
            section.requests.append("")
    return found


def _script(operation: str, request: str, values: dict[str, str]) -> str:
    """The command of a request, in the words of the page's others where it prints none, and filled in."""
    for name, value in values.items():
        field = f'"{name}": "..."'
        request = request.replace(*((field, f'"{name}": "{value}"') if field in request else (name, value)))
    if request.startswith("curl "):
        return request
    method, path = operation.split()
    query = "" if request else "&".join(f"{name}={value}" for name, value in values.items())
    words = [
        f'curl -X {method} -H "Authorization: Bearer cc_live_..."',
        *([f"""-H "Content-Type: application/json" -d '{request}'"""] if request else []),
        f'"https://<deployment>.convex.site{path}{query and "?" + query}"',
    ]
    return " ".join(words)
