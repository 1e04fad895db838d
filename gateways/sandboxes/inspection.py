"""A look into a sandbox for those who work with it: files, changes, and the preview server.

All of it comes from inside and may be whatever the work there wants it to be; it is bounded, and it runs no
command that the repository names: not for a filter, a hook, a text conversion or a file system monitor.
"""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from gateways.errors import GatewayError, UpstreamFailed, UpstreamRefused
from gateways.git.repository import MAX_FILES, REPOSITORY, ChangedFile
from gateways.sandboxes import inspection_program
from gateways.sandboxes.sandbox import Completed, SandboxHandle
from kit.redaction import MAX_SECRET_BYTES

TIMEOUT_SECONDS: Final = 25
MAX_FILE_BYTES: Final = 1024 * 1024
"""Of a file that is read."""
MAX_PATCH_BYTES: Final = 512 * 1024
MAX_NUMSTAT_BYTES: Final = 300_000
SECRET_MARGIN_BYTES: Final = 6 * MAX_SECRET_BYTES
"""Read beyond a limit, so that a secret that lies across it is whole when it is looked for.

No form of a secret is longer: JSON writes some characters in six.
"""
_SOURCE: Final = Path(inspection_program.__file__).read_text()
_GIT: Final = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_PAGER": "cat",
}
_EXIT_REASONS: Final = {66: "no-repository", 65: "no-base"}
"""Of the exit codes of `_DIFF`."""
_DIFF: Final = """
set -e
repo=$1
[ -d "$repo/.git" ] || exit 66
plain="git --git-dir=$repo/.git -c core.fsmonitor=false -c core.hooksPath=/dev/null"
base=$($plain rev-parse --verify --quiet --end-of-options "$2^{commit}" 2>/dev/null) \\
  || base=$($plain rev-parse --verify --quiet "refs/remotes/origin/$2^{commit}" 2>/dev/null) \\
  || exit 65
head=$($plain rev-parse --verify --quiet HEAD 2>/dev/null) || head=
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
git init --quiet --template= "$directory/own"
export GIT_DIR=$directory/own/.git GIT_WORK_TREE=$repo GIT_INDEX_FILE=$directory/index
mkdir -p "$GIT_DIR/objects/info"
printf '%s\\n' "$repo/.git/objects" >"$GIT_DIR/objects/info/alternates"
if [ -f "$repo/.git/shallow" ]; then cp "$repo/.git/shallow" "$GIT_DIR/shallow"; fi
if [ -f "$repo/.git/index" ]; then cp "$repo/.git/index" "$GIT_INDEX_FILE"; fi
cd "$repo"
git ls-files --stage >/dev/null 2>&1 || { rm -f "$GIT_INDEX_FILE"; git read-tree "$base"; }
[ -f "$GIT_INDEX_FILE" ] || git read-tree "$base"
git -c core.fsmonitor=false -c "core.excludesFile=$repo/.git/info/exclude" add --all --ignore-errors . \\
  >/dev/null 2>&1 || true
safe="--cached --no-color --no-ext-diff --no-textconv --ignore-submodules=all"
printf '%s\\n%s\\n' "$base" "$head"
git -c core.quotePath=false diff $safe --numstat -z --no-renames "$base" -- | head -c "$3" | base64 -w 0
echo
git -c core.quotePath=false diff $safe --find-renames "$base" -- | head -c "$4" | base64 -w 0
echo
"""
"""`REPOSITORY BASE BYTES BYTES`: against a repository of its own that only borrows the clone's objects."""
_REFUSALS: Final = {
    "missing": "There is no such file or directory.",
    "outside": "This leads out of the home directory of the sandbox, or to what is not shown.",
    "denied": "The user of the sandbox may not read this.",
    "not-a-file": "This is no regular file.",
    "not-a-directory": "This is no directory.",
    "is-a-directory": "This is a directory: list it with GET /api/v1/sandboxes/files.",
    "no-base": "The repository in the sandbox has no such commit or branch.",
    "no-repository": "There is no repository in the sandbox any more.",
    "other-server": "Another preview server runs: stop it first with POST /api/v1/sandboxes/preview/stop.",
}


class InspectionRefused(GatewayError):
    """What was asked for cannot be shown or done, by what the sandbox holds; `word` says why."""

    def __init__(self, word: str) -> None:
        super().__init__(_REFUSALS.get(word, "The sandbox refused it."))
        self.reason_code = word


class FileFacts(BaseModel):
    name: str
    type: Literal["file", "directory", "symlink", "other"]
    size: int
    modified: float


class Listing(BaseModel):
    entries: list[FileFacts]
    more: bool


class FileContent(BaseModel):
    size: int
    modified: float
    data: str
    """In base64."""

    @property
    def content(self) -> bytes:
        return _decoded(self.data)


class PreviewFacts(BaseModel):
    state: Literal["stopped", "starting", "running", "failed"]
    command: str | None
    port: int | None
    at: float | None
    exit: int | None
    output: str


class Changes(BaseModel):
    base: str
    head: str | None
    files: list[ChangedFile]
    patch: bytes
    """At most `MAX_PATCH_BYTES` and `SECRET_MARGIN_BYTES` bytes of it."""


T = TypeVar("T", bound=BaseModel)


class Inspection:
    """Everything may be repeated; raises `InspectionRefused` and `gateways.errors`."""

    def __init__(self, handle: SandboxHandle) -> None:
        self._handle = handle

    async def files(self, path: str, limit: int, after: str) -> Listing:
        """A page of a directory's entries, those whose names come after `after`."""
        return await self._look(Listing, "list", path, str(limit), after)

    async def read(self, path: str) -> FileContent:
        """A file, at most `MAX_FILE_BYTES` and `SECRET_MARGIN_BYTES` bytes of it."""
        return await self._look(FileContent, "read", path, str(MAX_FILE_BYTES + SECRET_MARGIN_BYTES))

    async def start_preview(self, command: str, port: int, environment: Mapping[str, str]) -> PreviewFacts:
        """Have one server at work; the sandbox keeps a journal, so that starting twice is starting once."""
        return await self._look(PreviewFacts, "preview-start", command, str(port), envs=environment)

    async def preview(self) -> PreviewFacts:
        return await self._look(PreviewFacts, "preview-state")

    async def stop_preview(self) -> PreviewFacts:
        return await self._look(PreviewFacts, "preview-stop")

    async def changes(self, base: str) -> Changes:
        """The work tree against a commit or branch, untracked files included."""
        words = [
            "bash",
            "-c",
            _DIFF,
            "diff",
            REPOSITORY,
            base,
            str(MAX_NUMSTAT_BYTES),
            str(MAX_PATCH_BYTES + SECRET_MARGIN_BYTES),
        ]
        done = await self._handle.run(words, envs=_GIT, timeout_seconds=TIMEOUT_SECONDS)
        if done.exit_code in _EXIT_REASONS:
            raise InspectionRefused(_EXIT_REASONS[done.exit_code])
        lines = done.stdout.split("\n")
        if done.exit_code != 0 or len(lines) < 4:
            raise _failed("Comparing the work tree", done)
        whole = _text(lines[2]).split("\0")[
            :-1
        ]  # each ends with it: what comes after the last one was cut off
        rows = [row.split("\t", 2) for row in whole if row.count("\t") >= 2]
        files = [
            ChangedFile(path, _count(added), _count(deleted)) for added, deleted, path in rows[:MAX_FILES]
        ]
        return Changes(base=lines[0], head=lines[1] or None, files=files, patch=_decoded(lines[3]))

    async def _look(self, kind: type[T], verb: str, *words: str, envs: Mapping[str, str] | None = None) -> T:
        program = ["python3", "-IS", "-c", _SOURCE, verb, *words]
        done = await self._handle.run(program, envs=envs, timeout_seconds=TIMEOUT_SECONDS)
        if done.exit_code == 127:
            raise UpstreamRefused("The sandbox's template has no python3: use one with Python 3.8 or later.")
        try:
            if done.stdout.startswith('{"refused"'):
                raise InspectionRefused(_Refusal.model_validate_json(done.stdout).refused)
            return kind.model_validate_json(done.stdout)
        except ValidationError as error:
            raise _failed("Looking into the sandbox", done) from error


class _Refusal(BaseModel):
    refused: str


def _failed(doing: str, done: Completed) -> UpstreamFailed:
    said = done.stderr.strip()[-300:] or f"exit code {done.exit_code}"
    return UpstreamFailed(f"{doing} failed in the sandbox: {said}")


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise UpstreamFailed("The sandbox answered what cannot be read.") from error


def _text(data: str) -> str:
    return _decoded(data).decode(errors="replace")


def _count(number: str) -> int | None:
    return int(number) if number.isdecimal() and len(number) < 10 else None
