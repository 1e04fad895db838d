"""Patterns of repositories, as operators type them."""

import pytest

from models.projects.allowed_repository import repository_pattern


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("Acme/Shop", "acme/shop"), ("acme/*", "acme/*"), ("*", "*"), ("a-b/c.d_e", "a-b/c.d_e")],
)
def test_a_pattern_is_stored_in_lower_case(typed: str, stored: str) -> None:
    assert repository_pattern(typed) == stored


@pytest.mark.parametrize(
    "typed", ["", "acme", "acme/", "/shop", "*/shop", "*/*", "acme/sh*p", "a/b/c", "acme/..", "https://x/a/b"]
)
def test_what_is_no_pattern_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="owner/name"):
        repository_pattern(typed)
