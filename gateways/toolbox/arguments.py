"""A model's input, checked: every complaint says which field is wrong and what to send."""

from __future__ import annotations

from collections.abc import Mapping

from .outcome import CallRefused


def text(given: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if value is None:
        raise CallRefused(f"`{name}` is missing: send it as a string.")
    if not isinstance(value, str):
        raise CallRefused(f"`{name}` must be a string, not {_kind(value)}.")
    return value


def number(given: Mapping[str, object], name: str, default: int | None, lowest: int, highest: int) -> int:
    value = given.get(name, default)
    if value is None:
        raise CallRefused(f"`{name}` is missing: send an integer from {lowest} to {highest}.")
    if not isinstance(value, int) or isinstance(value, bool):
        raise CallRefused(f"`{name}` must be an integer, not {_kind(value)}.")
    if not lowest <= value <= highest:
        raise CallRefused(f"`{name}` is {value}; it must be from {lowest} to {highest}.")
    return value


def _kind(value: object) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", list: "an array", dict: "an object"}
    return names.get(type(value), "that") if value is not None else "null"
