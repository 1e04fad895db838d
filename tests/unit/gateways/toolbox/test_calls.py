"""One call, one effect, whoever is killed when; and what `bash` keeps, cuts and hides."""

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from gateways.toolbox.archive import archive, client
from tests.support.toolbox import ToolboxHome, wait_for_result
from tests.support.waiting import TEST_TIMEOUT_SECONDS

SECRET = "s3cr3t/value+with=signs&more"


@pytest.fixture
def toolbox(tmp_path: Path) -> Iterator[ToolboxHome]:
    toolbox = ToolboxHome(tmp_path)
    yield toolbox
    toolbox.kill()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + TEST_TIMEOUT_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def effects(toolbox: ToolboxHome) -> int:
    path = toolbox.repo / "effects"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_finished_call_is_told_again_and_not_run_again(toolbox: ToolboxHome) -> None:
    first = toolbox.bash("c1", "echo once >> effects; echo said")
    again = toolbox.bash("c1", "echo once >> effects; echo said")
    assert first == again
    assert (first.content, first.is_error, first.exit_code) == ("said", False, 0)
    assert effects(toolbox) == 1


def test_parallel_duplicates_wait_for_the_one_that_runs(toolbox: ToolboxHome) -> None:
    request = {"tool": "bash", "command": "echo once >> effects; sleep 0.7; echo $RANDOM$RANDOM"}
    processes = [toolbox.start("c1", request) for _ in range(5)]
    contents = {wait_for_result(process).content for process in processes}
    assert len(contents) == 1
    assert effects(toolbox) == 1


def test_killed_while_the_command_runs_it_is_not_run_again(toolbox: ToolboxHome) -> None:
    request = {"tool": "bash", "command": "echo once >> effects; sleep 5; echo twice >> effects"}
    process = toolbox.start("c1", request)
    wait_for(toolbox.repo / "effects")
    toolbox.kill()
    _, stderr = process.communicate()
    assert (process.returncode, b"was killed while" in stderr) == (70, True)
    result = toolbox.call("c1", request)
    assert result.is_error
    assert result.content.startswith("This call was started once and was interrupted; it was not run again.")
    assert toolbox.call("c1", request) == result
    assert effects(toolbox) == 1


def test_killed_at_any_moment_it_runs_at_most_once(toolbox: ToolboxHome) -> None:
    for attempt in range(16):
        (toolbox.repo / "effects").unlink(missing_ok=True)
        request = {"tool": "bash", "command": "echo once >> effects; echo said"}
        process = toolbox.start(f"c{attempt}", request)
        time.sleep(attempt * 0.008)
        toolbox.kill()
        process.kill()
        process.communicate()
        result = toolbox.call(f"c{attempt}", request)
        time.sleep(0.05)
        assert result == toolbox.call(f"c{attempt}", request)
        assert effects(toolbox) <= 1
        if not result.is_error:
            assert (result.content, effects(toolbox)) == ("said", 1)


def test_killed_before_it_started_it_runs_once(toolbox: ToolboxHome) -> None:
    toolbox.entry("c1").mkdir(parents=True)
    (toolbox.entry("c1") / "lock").touch()
    assert toolbox.bash("c1", "echo once >> effects").exit_code == 0
    assert effects(toolbox) == 1


def test_killed_after_the_result_and_before_telling_it_tells_it(toolbox: ToolboxHome) -> None:
    process = toolbox.start("c1", {"tool": "bash", "command": "echo once >> effects; seq 1 20000"})
    wait_for(toolbox.entry("c1") / "result.json")
    toolbox.kill()
    process.communicate()
    assert toolbox.bash("c1", "false").content.startswith("1\n2\n")
    assert effects(toolbox) == 1


@pytest.mark.parametrize("request_", [b"", b'{"tool": "bash", "command": "touch eff', b"[]", b"\xff"])
def test_a_request_that_came_in_part_starts_nothing(toolbox: ToolboxHome, request_: bytes) -> None:
    process = toolbox.start("c1", request_)
    _, stderr = process.communicate()
    assert (process.returncode, b"nothing was started" in stderr) == (65, True)
    assert toolbox.bash("c1", "echo whole").content == "whole"


@pytest.mark.parametrize("call_id", ["", "../x", "a b", "x" * 129, "é"])
def test_only_plain_call_ids(toolbox: ToolboxHome, call_id: str) -> None:
    process = toolbox.start(call_id, {"tool": "bash", "command": "true"})
    process.communicate()
    assert process.returncode == 64
    assert not (toolbox.private / "journal").exists()


def test_a_command_that_removes_our_directory_is_still_not_run_twice(toolbox: ToolboxHome) -> None:
    first = toolbox.bash("c1", "echo once >> effects; rm -rf ~/.codecourier; cd /; seq 1 20000")
    assert (first.exit_code, first.truncated) == (0, True)
    assert toolbox.bash("c1", "echo twice >> effects") == first
    assert effects(toolbox) == 1
    assert toolbox.bash("c2", "pwd").content == "/"


def test_it_outlives_whoever_asked(toolbox: ToolboxHome) -> None:
    process = toolbox.start("c1", {"tool": "bash", "command": "sleep 0.4; echo once >> effects"})
    assert process.stdout is not None
    wait_for(toolbox.entry("c1") / "started")
    time.sleep(0.1)
    process.stdout.close()
    assert toolbox.bash("c1", "never").exit_code == 0
    assert effects(toolbox) == 1
    assert process.wait(TEST_TIMEOUT_SECONDS) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_calls_share_one_resident_that_holds_nothing_of_them(toolbox: ToolboxHome) -> None:
    envs = {"TOKEN": SECRET, "CODECOURIER_SECRETS": "TOKEN"}
    lengths = [toolbox.bash(f"c{number}", "echo ${#TOKEN}", envs).content for number in range(3)]
    assert lengths == [str(len(SECRET))] * 3
    [resident] = [process for process in toolbox.processes() if process.status() != psutil.STATUS_ZOMBIE]
    assert "TOKEN" not in resident.environ()
    assert toolbox.bash("c3", "echo ${TOKEN-none}").content == "none"


def test_a_client_that_is_killed_takes_nothing_with_it(toolbox: ToolboxHome) -> None:
    process = toolbox.start("c1", {"tool": "bash", "command": "sleep 0.5; echo once >> effects; echo said"})
    wait_for(toolbox.entry("c1") / "started")
    process.kill()
    process.communicate()
    assert toolbox.bash("c1", "never").content == "said"
    assert effects(toolbox) == 1


def test_a_resident_that_a_command_kills_is_started_again(toolbox: ToolboxHome) -> None:
    toolbox.bash("c1", "export KEPT=here; cd /")
    [resident] = toolbox.processes()
    assert toolbox.bash("c2", f"kill -9 {resident.pid}; echo killed").content == "killed"
    assert toolbox.bash("c3", "pwd; echo $KEPT").content == "/\nhere"
    assert resident.pid not in [process.pid for process in toolbox.processes()]


def test_a_resident_that_answers_nobody_is_replaced(
    toolbox: ToolboxHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    toolbox.client.write_bytes(
        client().replace(
            b"ACCEPTED_SECONDS, STARTED_SECONDS = 10.0", b"ACCEPTED_SECONDS, STARTED_SECONDS = 0.5"
        )
    )
    toolbox.bash("c1", "true")
    [resident] = toolbox.processes()
    resident.suspend()
    assert toolbox.bash("c2", "echo once >> effects; echo said").content == "said"
    resident.resume()
    assert toolbox.bash("c2", "never").content == "said"
    assert effects(toolbox) == 1


def test_many_that_find_no_resident_all_get_one(toolbox: ToolboxHome) -> None:
    requests = [{"tool": "bash", "command": f"echo {number}"} for number in range(8)]
    processes = [toolbox.start(f"c{number}", request) for number, request in enumerate(requests)]
    assert [wait_for_result(process).content for process in processes] == [str(number) for number in range(8)]


def test_directory_and_exported_variables_last(toolbox: ToolboxHome) -> None:
    (toolbox.repo / "sub dir").mkdir()
    toolbox.bash(
        "c1", "cd 'sub dir'; export KEPT=$'two\\nlines' ALSO=1; local=2; unset GIVEN; exit 3", {"GIVEN": "g"}
    )
    result = toolbox.bash("c2", 'pwd; echo "$KEPT|$local|${GIVEN-gone}"; export -n ALSO', {"GIVEN": "g"})
    assert result.content == f"{toolbox.repo}/sub dir\ntwo\nlines||gone"
    assert toolbox.bash("c3", "echo ${ALSO-gone}", {"GIVEN": "g"}).content == "gone"
    toolbox.call("c4", {"tool": "bash", "restart": True})
    assert toolbox.bash("c5", "pwd; echo $KEPT$GIVEN", {"GIVEN": "h"}).content == f"{toolbox.repo}\nh"


def test_a_variable_given_anew_wins_over_the_state_unless_the_command_set_it(toolbox: ToolboxHome) -> None:
    toolbox.bash("c1", "export MINE=1", {"GIVEN": "old", "MINE": "0"})
    assert toolbox.bash("c2", "echo $GIVEN $MINE", {"GIVEN": "new", "MINE": "0"}).content == "new 1"


def test_output_is_merged_in_order_and_input_is_empty(toolbox: ToolboxHome) -> None:
    result = toolbox.bash("c1", "echo 1; echo 2 >&2; cat; echo 3; printf '\\xff\\0'; exit 7")
    assert result.content == "1\n2\n3\n\ufffd\u2400\n(exit code 7)"
    assert (result.is_error, result.exit_code) == (True, 7)


def test_a_time_out_ends_the_whole_group_and_tells_what_was_said(toolbox: ToolboxHome) -> None:
    stubborn = "trap '' TERM; until [ -e go ]; do sleep 0.1; done; echo late >> effects"
    result = toolbox.bash("c1", f"echo begun; ({stubborn}) & {stubborn}", timeout_seconds=1)
    assert result.content.startswith("begun\nThe command was stopped: it ran for 1 seconds")
    assert (result.is_error, result.exit_code) == (True, 124)
    (toolbox.repo / "go").touch()
    time.sleep(1)
    assert effects(toolbox) == 0


def test_a_background_child_does_not_hold_the_call_up(toolbox: ToolboxHome) -> None:
    result = toolbox.bash("c1", "(until [ -e go ]; do sleep 0.1; done; echo once >> effects) & echo said")
    assert result.content == "said"
    (toolbox.repo / "go").touch()
    wait_for(toolbox.repo / "effects")


def test_long_output_keeps_head_and_tail_and_the_whole_in_a_file(toolbox: ToolboxHome) -> None:
    result = toolbox.bash("c1", "seq 1 100000")
    whole = toolbox.entry("c1") / "output.txt"
    assert result.truncated
    assert len(result.content) < 31_000
    assert result.content.startswith("1\n2\n")
    assert result.content.endswith("99999\n100000")
    assert str(whole) in result.content
    assert whole.read_text() == "".join(f"{number}\n" for number in range(1, 100_001))


def test_endless_output_is_stopped(toolbox: ToolboxHome) -> None:
    result = toolbox.bash("c1", "yes")
    assert "The command was stopped: it printed more than" in result.content
    assert (toolbox.entry("c1") / "output.txt").stat().st_size <= 50_000_000


def test_secrets_are_in_no_result_and_no_file(toolbox: ToolboxHome) -> None:
    envs = {"TOKEN": SECRET, "OTHER": "not hidden", "CODECOURIER_SECRETS": "TOKEN,UNSET"}
    command = (
        'export COPY="x$TOKEN" OTHER2=$OTHER; echo "$TOKEN"; printf "%s" "$TOKEN" | base64 -w0; echo; '
        'printf "a%s" "$TOKEN" | base64 -w0; echo; printf "ab%s" "$TOKEN" | base64 -w0; echo; '
        f"echo '{quote(SECRET, safe='')} {SECRET.encode().hex()}'; seq 1 9000; echo $OTHER; echo $TOKEN"
    )
    result = toolbox.bash("c1", command, envs)
    assert result.content.startswith("[secret]\n[secret]")
    assert result.content.endswith("not hidden\n[secret]")
    forms = [SECRET, SECRET.encode().hex(), quote(SECRET, safe="")]
    forms += [base64.b64encode(b"xyz"[:pad] + SECRET.encode()).decode()[4:-4] for pad in range(3)]
    texts = [result.content]
    texts += [path.read_text() for path in toolbox.private.rglob("*") if path.is_file()]
    assert not [form for form in forms for text in texts if form in text]
    after = toolbox.bash("c2", 'echo "${#TOKEN} ${COPY-gone} $OTHER2 ${CODECOURIER_SECRETS-none}"', envs)
    assert after.content == f"{len(SECRET)} gone not hidden none"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "`tool` is missing"),
        ({"tool": "python"}, "the tools are bash, edit, search"),
        ({"tool": "bash"}, "`command` is missing"),
        ({"tool": "bash", "command": ["ls"]}, "`command` must be a string, not an array"),
        ({"tool": "bash", "command": "  "}, "`command` is empty"),
        ({"tool": "bash", "command": "true", "timeout_seconds": "5"}, "must be an integer"),
        ({"tool": "bash", "command": "true", "timeout_seconds": 0}, "must be from 1 to"),
        ({"tool": "bash", "command": "#" * 200_000}, "longer than 100000 bytes"),
    ],
)
def test_bad_input_says_what_to_send(toolbox: ToolboxHome, request_: dict[str, object], words: str) -> None:
    result = toolbox.call("c1", request_)
    assert result.is_error
    assert words in result.content


def test_a_spoilt_state_is_begun_anew(toolbox: ToolboxHome) -> None:
    toolbox.private.mkdir()
    (toolbox.private / "shell.json").write_text('{"cwd": ')
    assert toolbox.bash("c1", "pwd").content == str(toolbox.repo)
    toolbox.bash("c2", "mkdir gone && cd gone && rmdir ../gone")
    assert toolbox.bash("c3", "pwd").content == str(toolbox.repo)


def test_the_archive_is_the_same_for_the_same_sources() -> None:
    archive.cache_clear()
    first = archive()
    archive.cache_clear()
    assert archive() == first
    assert not re.search(rb"/work|/home/(?!user)|/root", first)
