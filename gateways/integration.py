"""Several pull requests on one branch: merged one by one in the clone, each as a merge commit of its own."""

from dataclasses import dataclass
from typing import Final, Literal

from gateways.git_scripts import RESET
from gateways.repository import REPOSITORY, Repository, WorkTreeDamaged
from gateways.sandbox import PRIVATE

PULLS: Final = "refs/codecourier/pulls"

_FETCH: Final = """
set -e
rm -rf "$1"
git init --quiet --bare --template= "$1"
cd "$1"
printf '%s\\n' "$2/.git/objects" >objects/info/alternates
url=$3; shift 3
git fetch --quiet --no-recurse-submodules "$url" "$@"
"""
"""`DIRECTORY REPOSITORY URL REFSPEC…`, with the token: the heads, in a directory of their own."""

_TAKE: Final = 'cd "$1" && git fetch --quiet "$2" "+$3/*:$3/*"'
"""`REPOSITORY DIRECTORY REFS`: what was fetched, now without the token."""

_MERGE: Final = """
set -e
cd "$1"
git merge --abort 2>/dev/null || true
git reset --quiet --hard "$2"
git clean --quiet -d --force
if git merge-base --is-ancestor "$3" HEAD; then echo merged; exit 0; fi
if git merge --quiet --no-ff --no-commit "$3" >/dev/null 2>&1; then
  git commit --quiet --no-verify --message "$4"
  echo merged
elif [ -f "$(git rev-parse --git-path MERGE_HEAD)" ]; then
  echo conflict
  git diff --name-only --diff-filter=U -z | tr '\\0' '\\n'
else
  echo unrelated
fi
"""
"""`REPOSITORY GOOD HEAD MESSAGE`: merges into the good commit; prints how that went, and what conflicts."""

_CONCLUDE: Final = """
set -e
cd "$1"
if git merge-base --is-ancestor "$2" HEAD; then
  if [ -n "$(git status --porcelain)" ]; then
    git add --all
    git commit --quiet --no-verify --amend --no-edit
  fi
elif [ -f "$(git rev-parse --git-path MERGE_HEAD)" ]; then
  git add --all
  git commit --quiet --no-verify --message "$3"
else
  echo lost
  exit 0
fi
marked=$(git diff -G'^(<<<<<<<|>>>>>>>)' --name-only "$4" HEAD | while IFS= read -r path; do
  git show "HEAD:$path" 2>/dev/null | grep -q -E '^(<<<<<<<|>>>>>>>)( |$)' && printf '%s\\n' "$path"
done || true)
if [ -n "$marked" ]; then echo markers; printf '%s\\n' "$marked"; else echo merged; fi
"""
"""`REPOSITORY HEAD MESSAGE GOOD`: commits what was solved; prints whether markers of a conflict are left."""


Outcome = Literal["merged", "conflict", "unrelated", "markers", "lost"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("merged", "conflict", "unrelated", "markers", "lost")


@dataclass(frozen=True)
class Merged:
    outcome: Outcome
    """`unrelated`: git cannot merge it at all; `lost`: the merge that was begun is not there any more."""
    paths: list[str]
    """Those that conflict, or that have markers left."""


class Integration(Repository):
    """The clone on its integration branch."""

    async def fetch_pull(self, number: int) -> str:
        """The head of a pull request, as GitHub keeps it; its commit."""
        directory, refspec = f"{PRIVATE}/pulls", f"+refs/pull/{number}/head:{PULLS}/{number}"
        fetching = (directory, REPOSITORY, self._url, refspec)
        await self._git("Fetching a pull request", _FETCH, *fetching, token=True)
        await self._git("Taking a pull request", _TAKE, REPOSITORY, directory, PULLS)
        script, ref = 'cd "$1" && git rev-parse --verify "$2"', f"{PULLS}/{number}"
        done = await self._git("Reading a pull request", script, REPOSITORY, ref)
        return done.stdout.strip()

    async def merge(self, good: str, head: str, message: str, who: tuple[str, str]) -> Merged:
        """Merge a commit into the good one, from a clean tree; one that conflicts is left half done."""
        done = await self._git("Merging", _MERGE, REPOSITORY, good, head, message, who=who)
        return _told(done.stdout)

    async def conclude(self, good: str, head: str, message: str, who: tuple[str, str]) -> Merged:
        """Commit the merge whose conflicts were solved; again, it finds the commit."""
        done = await self._git("Committing the merge", _CONCLUDE, REPOSITORY, head, message, good, who=who)
        return _told(done.stdout)

    async def go_back(self, good: str) -> None:
        """Leave out what was merged last."""
        await self._git("Going back", RESET, REPOSITORY, good)


def _told(printed: str) -> Merged:
    outcome, *paths = printed.splitlines()
    for known in OUTCOMES:
        if outcome == known:
            return Merged(known, paths)
    raise WorkTreeDamaged(f"Merging said {outcome[:80]!r}, which means nothing.")
