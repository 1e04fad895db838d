"""Whether two learnings are taken for one."""

import pytest

from models.learnings.duplicates import MIN_SIMILARITY, significant_words, similarity

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
    assert (similarity(significant_words(KNOWN), significant_words(text)) >= MIN_SIMILARITY) is is_same


def test_words_of_other_scripts_and_short_ones_count() -> None:
    assert significant_words("数据库 要先启动") == significant_words("要先启动 数据库")
    assert similarity(significant_words("a b"), significant_words("c d")) == 0
