"""A rule about a row is a method of its model: nobody else writes a status or a moment."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.checkout import ROOT

ROOMS = ("activities", "api", "cli", "gateways", "models", "worker")
STATE = {"status", "pr_status", "pr_url", "pr_number", "head_sha", "is_active", "is_enabled"}
"""Attributes, besides moments, that say where a row is in its life."""


def is_state(name: str) -> bool:
    return name in STATE or name.endswith("_at")


def written(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Where state is assigned to anything but `self`, and where a statement sets it."""
    for node in (each for each in ast.walk(tree) if isinstance(each, ast.stmt | ast.expr)):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []
        for target in targets:
            for part in ast.walk(target):
                is_own = isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self"
                if isinstance(part, ast.Attribute) and is_state(part.attr) and not is_own:
                    yield node.lineno, ast.unparse(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values":
            yield from (
                (node.lineno, f"values({keyword.arg}=…)")
                for keyword in node.keywords
                if keyword.arg is not None and is_state(keyword.arg)
            )


@pytest.mark.parametrize("room", ROOMS)
def test_a_row_is_only_changed_by_its_model(room: str) -> None:
    """A rule over several rows may be a statement, in `models`."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, what in written(ast.parse(path.read_text()))
        if room != "models" or not what.startswith("values(")
    ]
    assert found == [], "give the model a method that says what happens, and call that"


@pytest.mark.parametrize("room", ["activities", "workflows"])
def test_statements_past_the_session_stand_beside_their_tables(room: str) -> None:
    """Those that take from a queue are told here; all others are in `models`."""
    allowed = {"activities/webhooks/waking.py"}
    found = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / room).rglob("*.py"))
        if ".sql.fetch(" in path.read_text()
    ]
    assert {*found} <= allowed
