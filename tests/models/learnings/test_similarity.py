"""Whether two learnings are taken for one."""

import pytest

from models.learnings.similarity import SAME, similarity, words

KNOWN = "Tests need the database: start it with `make postgres` before running them."


@pytest.mark.parametrize(
    ("text", "is_same"),
    [
        ("TESTS need the database; start it with make postgres, before running them!", True),
        ("Before running tests, start the database with make postgres: they need it.", True),
        ("The tests need a database: run `make postgres` before running them.", True),
        ("Tests need the network: allow it before running them.", False),
        ("Format the code with ruff before you commit.", False),
        ("", False),
    ],
)
def test_near_duplicates_share_most_of_their_words(text: str, is_same: bool) -> None:
    assert (similarity(words(KNOWN), words(text)) >= SAME) is is_same


def test_words_of_other_scripts_and_short_ones_count() -> None:
    assert words("数据库 要先启动") == words("要先启动 数据库")
    assert similarity(words("a b"), words("c d")) == 0
