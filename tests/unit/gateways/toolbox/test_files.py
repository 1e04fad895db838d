"""The editor and the search: what they change and find, and what they say when asked for the impossible."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateways.sandboxes.sandbox import ToolResult
from tests.support.toolbox import ToolboxHome


class Files(ToolboxHome):
    def edit(self, **fields: object) -> ToolResult:
        return self.call(os.urandom(6).hex(), {"tool": "edit", **fields})

    def search(self, pattern: str, **fields: object) -> ToolResult:
        return self.call(os.urandom(6).hex(), {"tool": "search", "pattern": pattern, **fields})


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path)
    yield files
    files.kill()


def test_create_view_replace_insert(files: Files) -> None:
    created = files.edit(command="create", path="src/a.py", file_text="one\ntwo\nthree\n")
    assert created.content == "src/a.py was created: 3 lines."
    assert files.edit(command="view", path="src/a.py").content == "     1\tone\n     2\ttwo\n     3\tthree"
    assert (
        files.edit(command="view", path="src/a.py", view_range=[2, -1]).content
        == "     2\ttwo\n     3\tthree"
    )
    replaced = files.edit(command="str_replace", path="src/a.py", old_str="two", new_str="2\n2b")
    assert "     2\t2\n     3\t2b" in replaced.content
    path = str(files.repo / "src/a.py")
    files.edit(command="insert", path=path, insert_line=0, insert_text="zero")
    files.edit(command="insert", path=path, insert_line=5, insert_text="end\n")
    assert Path(path).read_text() == "zero\none\n2\n2b\nthree\nend\n"
    files.edit(command="str_replace", path=path, old_str="2\n2b\n")
    assert Path(path).read_text() == "zero\none\nthree\nend\n"


def test_modes_links_and_line_ends_are_kept(files: Files) -> None:
    script = files.repo / "run.sh"
    script.write_bytes(b"echo 1\r\necho 2\r\n")
    script.chmod(0o755)
    (files.repo / "link").symlink_to("run.sh")
    files.edit(command="str_replace", path="link", old_str="1\necho", new_str="0\necho 1\necho")
    files.edit(command="insert", path="link", insert_line=1, insert_text="true\nfalse")
    assert script.read_bytes() == b"echo 0\r\ntrue\r\nfalse\r\necho 1\r\necho 2\r\n"
    assert script.stat().st_mode & 0o777 == 0o755
    assert (files.repo / "link").is_symlink()
    (files.repo / "bare").write_text("last line without an end")
    files.edit(command="insert", path="bare", insert_line=1, insert_text="more")
    assert (files.repo / "bare").read_text() == "last line without an end\nmore\n"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"command": "undo", "path": "a"}, "send one of view, create, str_replace, insert"),
        ({"command": "view"}, "`path` is missing"),
        ({"command": "view", "path": ""}, "`path` is empty"),
        ({"command": "view", "path": "none.py"}, "none.py does not exist"),
        ({"command": "view", "path": "a\0b"}, "NUL character"),
        ({"command": "view", "path": "~/.codecourier/journal"}, "belongs to the platform"),
        ({"command": "create", "path": "../.codecourier/x", "file_text": ""}, "belongs to the platform"),
        ({"command": "view", "path": "sneaky/journal"}, "belongs to the platform"),
        ({"command": "view", "path": "a.txt", "view_range": [9, 12]}, "the file has 4 lines"),
        ({"command": "view", "path": "a.txt", "view_range": [1]}, "must be two integers"),
        ({"command": "view", "path": ".", "view_range": [1, 2]}, "without `view_range`"),
        ({"command": "view", "path": "binary"}, "is a binary file"),
        ({"command": "view", "path": "latin"}, "is not UTF-8 text"),
        ({"command": "view", "path": "huge"}, "more than the 5000000"),
        ({"command": "view", "path": "pipe"}, "not a regular file"),
        ({"command": "create", "path": "folder", "file_text": ""}, "is a directory"),
        ({"command": "create", "path": "a.txt"}, "`file_text` is missing"),
        ({"command": "create", "path": "a.txt/b", "file_text": ""}, "a.txt"),
        ({"command": "str_replace", "path": "a.txt", "old_str": "", "new_str": ""}, "`old_str` is empty"),
        (
            {"command": "str_replace", "path": "a.txt", "old_str": "twice"},
            "occurs 2 times in a.txt, at lines 2, 4",
        ),
        ({"command": "str_replace", "path": "a.txt", "old_str": "one\n  twice"}, "other white space"),
        ({"command": "insert", "path": "a.txt", "insert_line": 5, "insert_text": ""}, "must be from 0 to 4"),
        ({"command": "insert", "path": "a.txt", "insert_text": ""}, "`insert_line` is missing"),
    ],
)
def test_the_impossible_is_explained_and_changes_nothing(
    files: Files, fields: dict[str, object], words: str
) -> None:
    text = "one\ntwice\nthree\ntwice\n"
    (files.repo / "a.txt").write_text(text)
    (files.repo / "folder").mkdir()
    (files.repo / "binary").write_bytes(b"a\0b")
    (files.repo / "latin").write_bytes(b"caf\xe9")
    (files.repo / "sneaky").symlink_to(files.private)
    os.truncate(os.open(files.repo / "huge", os.O_CREAT | os.O_WRONLY), 6_000_000)
    os.mkfifo(files.repo / "pipe")
    result = files.edit(**fields)
    assert result.is_error
    assert words in result.content
    assert (files.repo / "a.txt").read_text() == text
    assert not [path for path in files.repo.rglob("*") if path.name.endswith(".tmp")]


def test_long_files_and_directories_are_cut_with_a_way_on(files: Files) -> None:
    (files.repo / "long.txt").write_text("".join(f"line {number}\n" for number in range(1, 9001)))
    result = files.edit(command="view", path="long.txt")
    assert result.truncated
    assert "of 9000; view the rest with `view_range`" in result.content
    (files.repo / "a/b/c").mkdir(parents=True)
    (files.repo / "a/b/c/deep").touch()
    (files.repo / "a/.hidden").touch()
    listing = files.edit(command="view", path=".").content.splitlines()[1:]
    assert listing == ["a/", "a/b/", "long.txt"]
    for number in range(600):
        (files.repo / f"f{number}").touch()
    assert "more entries" in files.edit(command="view", path=".").content


def test_search_finds_what_git_would_show(files: Files) -> None:
    subprocess.run(["git", "init", "-q", str(files.repo)], check=True)
    (files.repo / ".gitignore").write_text("ignored\n")
    for name in ["a.py", "src/b.py", "src/c.txt", "ignored", ".git/info/x"]:
        (files.repo / name).parent.mkdir(exist_ok=True)
        (files.repo / name).write_text("import os\n  needle_42 here\n")
    (files.repo / "binary").write_bytes(b"needle_1\0")
    assert files.search(r"needle_\d+").content.splitlines() == [
        "a.py:2: needle_42 here",
        "src/b.py:2: needle_42 here",
        "src/c.txt:2: needle_42 here",
    ]
    assert files.search("needle", glob="*.py", path="src").content == "src/b.py:2: needle_42 here"
    assert files.search("needle", glob="src/**/*.txt").content == "src/c.txt:2: needle_42 here"
    assert files.search("needle", path="src/c.txt").content == "src/c.txt:2: needle_42 here"
    cut = files.search("needle", max_results=2)
    assert (cut.truncated, "more than these 2 matches" in cut.content) == (True, True)
    none = files.search("absent")
    assert (none.is_error, none.content) == (False, "No matches for 'absent' in .: 5 files searched.")


def test_search_works_without_git_and_explains_the_impossible(files: Files) -> None:
    (files.repo / "a.py").write_text("a" * 40 + "b\n")
    assert files.search("b$").content.startswith("a.py:1: aaa")
    refused: list[tuple[str, dict[str, object], str]] = [
        ("(", {}, "is not a regular expression"),
        ("", {}, "`pattern` is empty"),
        ("x", {"path": "nowhere"}, "nowhere does not exist"),
        ("x", {"max_results": 0}, "must be from 1 to 1000"),
        ("(a+)+$", {"timeout_seconds": 1}, "took too long"),
    ]
    for pattern, fields, words in refused:
        result = files.search(pattern, **fields)
        assert result.is_error
        assert words in result.content
