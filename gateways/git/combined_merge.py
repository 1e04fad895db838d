"""Several pull requests on one branch: merged one by one in the clone, each as a merge commit of its own."""

from dataclasses import dataclass
from typing import Final, Literal

from gateways.git.mirror import Mirror
from gateways.git.repository import REPOSITORY, BranchMissing, CloneBase, Repository, WorkTreeDamaged
from gateways.git.scripts import FREE_INDEX, HAS_COMMIT, RESET

PULL_REFS_PREFIX: Final = "refs/codecourier/pulls"

_UPDATE_REF: Final = """
cd "$1"
git update-ref "$2" "$3"
"""
"""`REPOSITORY REF COMMIT`: what was sent has a name, and stays."""

_MERGE: Final = f"""
set -e
cd "$1"
{FREE_INDEX}
free_index
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

_CONCLUDE: Final = f"""
set -e
cd "$1"
{FREE_INDEX}
free_index
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


MergeOutcome = Literal["merged", "conflict", "unrelated", "markers", "lost"]
MERGE_OUTCOMES: Final[tuple[MergeOutcome, ...]] = ("merged", "conflict", "unrelated", "markers", "lost")


@dataclass(frozen=True)
class MergeResult:
    outcome: MergeOutcome
    """`unrelated`: git cannot merge it at all; `lost`: the merge that was begun is not there any more."""
    paths: list[str]
    """Those that conflict, or that have markers left."""


class CombinedMergeClone(Repository):
    """The clone on its integration branch."""

    async def fetch_pull(self, number: int, base: CloneBase) -> str:
        """The head of a pull request, as GitHub keeps it; its commit.  `BranchMissing` without it."""

        async def work(mirror: Mirror) -> str:
            pull = f"refs/pull/{number}/head"
            await self._read_remote(mirror, base, pull)
            refs = await mirror.fetch(self._remote, [pull])
            if (head := refs.shas.get(pull)) is None:
                raise BranchMissing(f"The repository has no pull request #{number} any more.")
            has = await self._git("Looking for the pull request", HAS_COMMIT, REPOSITORY, head, check=False)
            if has.exit_code != 0:
                async with mirror.increment([head], [base.base_sha]) as pack:
                    if pack is not None:
                        await self._send([pack], REPOSITORY)
            await self._git(
                "Taking a pull request", _UPDATE_REF, REPOSITORY, f"{PULL_REFS_PREFIX}/{number}", head
            )
            return head

        return await self._with_mirror(work)

    async def merge(self, good: str, head: str, message: str, who: tuple[str, str]) -> MergeResult:
        """Merge a commit into the good one, from a clean tree; one that conflicts is left half done."""
        done = await self._git("Merging", _MERGE, REPOSITORY, good, head, message, who=who)
        return _parse_result(done.stdout)

    async def conclude(self, good: str, head: str, message: str, who: tuple[str, str]) -> MergeResult:
        """Commit the merge whose conflicts were solved; again, it finds the commit."""
        done = await self._git("Committing the merge", _CONCLUDE, REPOSITORY, head, message, good, who=who)
        return _parse_result(done.stdout)

    async def reset_to(self, good: str) -> None:
        """Leave out what was merged last."""
        await self._git("Going back", RESET, REPOSITORY, good)


def _parse_result(printed: str) -> MergeResult:
    outcome, *paths = printed.splitlines()
    for known in MERGE_OUTCOMES:
        if outcome == known:
            return MergeResult(known, paths)
    raise WorkTreeDamaged(f"Merging said {outcome[:80]!r}, which means nothing.")
