"""Answers as the texts show them, with elisions and example values, and whether a real one agrees."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import JsonValue

ELIDED = re.compile(r".*\.\.\.$")
FORMS = (
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z"),
    re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"),
    re.compile(r"kak_[0-9a-z]+"),
    re.compile(r"prj_[0-9a-z]+"),
)
"""Forms of which the texts show an example: any other value of the same form is as good."""

T = TypeVar("T")


@dataclass(frozen=True)
class Shown:
    """What a text says a request is answered with; the status is None where it does not say."""

    status: int | None
    headers: dict[str, str]
    body: JsonValue


def answers_under(code: str) -> Shown:
    """The answer in the comments below a command."""
    lines = iter(code.splitlines())
    next(line for line in lines if not line.startswith("#"))
    comments = [line.lstrip("#→ ") for line in lines if line.startswith("#")]
    status, headers = None, {}
    if comments[0].startswith("HTTP/"):
        status = int(comments.pop(0).split()[1])
        while not comments[0].startswith("{"):
            name, value = comments.pop(0).split(": ")
            headers[name] = value
    return Shown(status, headers, parsed("\n".join(comments)))


def parsed(text: str) -> JsonValue:
    """JSON as people write it: with remarks, and `...` for values and for all further fields."""
    text = re.sub(r"\s//.*$", "", text, flags=re.M)
    text = re.sub(r",\s*\.\.\.\s*(?=})", "", text)
    value: JsonValue = json.loads(re.sub(r":\s*\.\.\.", ': "..."', text))
    return value


def assert_agrees(shown: JsonValue, given: JsonValue, where: str = "the answer") -> dict[str, str]:
    """Assert that an answer has all that is shown; what really stood there for elided texts, as `jx7...`."""
    if isinstance(shown, dict):
        assert isinstance(given, dict), f"{where} is no object: {given!r}"
        assert shown.keys() <= given.keys(), f"{where} lacks {shown.keys() - given.keys()}"
        return _one(
            [assert_agrees(value, given[name], f"{where}.{name}") for name, value in shown.items()], where
        )
    if isinstance(shown, list) and isinstance(shown[0], dict):
        assert isinstance(given, list), f"{where} is no list: {given!r}"
        return _one([_first(assert_agrees, item, given, where) for item in shown], where)
    if isinstance(shown, str) and ELIDED.fullmatch(shown):
        assert isinstance(given, str), f"{where} is no text: {given!r}"
        assert given, f"{where} is empty"
        return {} if shown == "..." else {shown: given}
    form = next((form for form in FORMS if isinstance(shown, str) and form.fullmatch(shown)), None)
    if form is not None:
        assert isinstance(given, str), f"{where} is no text: {given!r}"
        assert form.fullmatch(given), f"{where} is not of the form of {shown}: {given}"
    else:
        assert given == shown, where
    return {}


def assert_same_shape(shown: JsonValue, given: JsonValue, where: str = "the answer") -> None:
    """Assert that an answer has every field that is shown, with a value of the same kind.

    Of a list one item has to; where null is shown, anything may stand.
    """
    if shown is None:
        return
    if isinstance(shown, dict):
        assert isinstance(given, dict), f"{where} is no object: {given!r}"
        assert shown.keys() <= given.keys(), f"{where} lacks {shown.keys() - given.keys()}"
        for name, value in shown.items():
            assert_same_shape(value, given[name], f"{where}.{name}")
    elif isinstance(shown, list):
        assert isinstance(given, list), f"{where} is no list: {given!r}"
        _first(assert_same_shape, shown[0], given, where)
    elif isinstance(shown, str) and FORMS[0].fullmatch(shown):
        assert_agrees(shown, given, where)
    else:
        assert type(given) is type(shown), f"{where} is not like {shown!r}: {given!r}"


def _first(
    compare: Callable[[JsonValue, JsonValue, str], T], shown: JsonValue, given: list[JsonValue], where: str
) -> T:
    """What comparing with the first item that agrees tells."""
    reasons = []
    for index, item in enumerate(given):
        try:
            return compare(shown, item, f"{where}[{index}]")
        except AssertionError as reason:
            reasons.append(str(reason))
    raise AssertionError(f"{where} has no item like {shown}: {reasons}")


def _one(found: list[dict[str, str]], where: str) -> dict[str, str]:
    """All of it together; the same placeholder means the same everywhere."""
    together: dict[str, str] = {}
    for values in found:
        for placeholder, value in values.items():
            assert together.setdefault(placeholder, value) == value, f"{where}: two values for {placeholder}"
    return together
