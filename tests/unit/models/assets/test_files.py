"""The files of a skill: which names may lie in its folder together."""

import pytest
from pydantic import ValidationError

from models.assets.schemas import SkillPublish
from models.assets.skill_files import MAX_FILES


def publish(*names: str) -> SkillPublish:
    return SkillPublish.model_validate({"files": [{"name": name, "content": ""} for name in names]})


@pytest.mark.parametrize(
    "name", ["SKILL.md", "a/b/c.tsx", "[id]/(group)/@x.ts", ".env.example", "naïve plan.md", "..a"]
)
def test_a_file_within_the_folder_is_taken(name: str) -> None:
    assert publish(name).files[0].name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a/./b",
        "a//b",
        "a/",
        "a\\b",
        "a\0b",
        "a\nb",
        " a",
        "a ",
        ".git/config",
        "a/.GIT/hooks/pre-commit",
        "x" * 101,
        "x/" * 100 + "y",
        "~/../x",
        ".",
    ],
)
def test_a_file_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        publish(name)


@pytest.mark.parametrize("names", [["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"]])
def test_files_that_cannot_lie_side_by_side_are_refused(names: list[str]) -> None:
    with pytest.raises(ValidationError):
        publish(*names)


def test_a_skill_has_a_bounded_number_of_files() -> None:
    publish(*(f"{number}.md" for number in range(MAX_FILES)))
    with pytest.raises(ValidationError):
        publish(*(f"{number}.md" for number in range(MAX_FILES + 1)))
