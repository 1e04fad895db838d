"""The bash that git work in a sandbox is made of.  Values come as positional parameters, never inside it.

No token comes here.  One script runs at a time (`WITH_LOCK`), so that the second attempt of an activity waits
for what is left of the first.
"""

from typing import Final

WITH_LOCK: Final = """
mkdir -p "$HOME/.codecourier"
exec 9>"$HOME/.codecourier/git.lock"
if command -v flock >/dev/null; then flock -w 900 9 || exit 75; fi
"""
"""Goes before each script; the lock is let go with the last process of it."""

FREE_INDEX: Final = """
free_index() {
  index_lock=$(git rev-parse --git-path index.lock)
  for _ in $(seq 40); do
    [ -e "$index_lock" ] || return 0
    grep -qx git /proc/[0-9]*/comm 2>/dev/null || break
    sleep 0.5
  done
  rm -f "$index_lock"
}
"""
"""A lock of the index that no living git holds is left over from one that was killed."""

FIND_CLONE: Final = """
cd "$1" 2>/dev/null || exit 0
git config codecourier.url && git config codecourier.base && git rev-parse -q --verify refs/codecourier/base
"""
"""`REPOSITORY`: prints address, base branch and base commit of a finished clone; nothing if there is none."""

INIT: Final = """
set -e
rm -rf "$1"
git init --quiet --template= "$1"
"""
"""`DIRECTORY`: an empty repository, to put packs into."""

CHECK_OUT: Final = """
set -e
cd "$1"
printf '%s\\n' "$8" | git update-ref --stdin
git remote add origin "$3"
git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'
git config codecourier.url "$3"
git config codecourier.base "$4"
fast='-c checkout.workers=0 -c checkout.thresholdForParallelism=1000'
git $fast checkout --quiet --no-track -b "$5" "$6"
if [ -n "$7" ]; then
  git read-tree -u --reset "$7"
  git read-tree "$6"
  git update-index --refresh -q >/dev/null || true
fi
rm -rf "$2"
mv "$1" "$2"
"""
"""`DIRECTORY REPOSITORY URL BASE BRANCH START CHECKPOINT REFS`: what was sent, on its branch, in its place.

CHECKPOINT may be empty; REFS are lines for `git update-ref --stdin`.
"""

_OWN_INDEX: Final = """
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
export GIT_INDEX_FILE=$directory/index
cp "$(git rev-parse --git-dir)/index" "$GIT_INDEX_FILE" 2>/dev/null || git read-tree HEAD
"""
"""An index beside the agent's: what happens to that one, or holds it, is no matter."""

WORK_TREE: Final = f"""
set -e
cd "$1"
{_OWN_INDEX}
git add --all || {{ git read-tree HEAD && git add --all; }}
git write-tree
git rev-parse 'HEAD^{{tree}}'
git rev-parse HEAD
before=$(git for-each-ref --format='%(refname)' refs/codecourier/base refs/codecourier/pushed)
git rev-list --count --max-count=1 HEAD --not --remotes=origin $before
git cat-file commit HEAD | base64 -w 0
printf '\n'
git rev-parse "$2^{{tree}}"
"""
"""`REPOSITORY BASE`: prints the tree of all its files, HEAD's tree, HEAD, 0 if HEAD was there before, HEAD as
base64 and the base's tree."""

ADOPT: Final = f"""
set -e
cd "$1"
{FREE_INDEX}
sha=$(printf '%s' "$3" | base64 -d | git hash-object -t commit -w --stdin)
[ "$sha" = "$2" ]
git update-ref HEAD "$sha"
free_index
git read-tree HEAD
git update-index --refresh -q >/dev/null || true
"""
"""`REPOSITORY COMMIT CONTENT`: HEAD is this commit, whose content comes as base64; the files stay."""

SNAPSHOT: Final = f"""
set -e
cd "$1"
if [ -n "$3" ]; then
  git commit-tree "$3^{{tree}}" -p "$3" -m "$2"
  exit 0
fi
{_OWN_INDEX}
git add --all --ignore-errors || true
git commit-tree "$(git write-tree)" -p HEAD -m "$2"
"""
"""`REPOSITORY MESSAGE COMMIT`: prints a commit of the work tree from an index of its own, or where a commit
is named of that one's files; nothing else changes."""

PACK: Final = """
set -e -o pipefail
cd "$1"
export GIT_NO_REPLACE_OBJECTS=1
printf '%s\\n^%s\\n' "$2" "$3" | git pack-objects --quiet --revs --thin --delta-base-offset --stdout \\
  | head -c "$5" >"$4" || [ "$(stat -c %s "$4")" = "$5" ]
"""
"""`REPOSITORY COMMIT BASE FILE BYTES`: what the commit has beside the base, as a pack of at most so long."""

RESET: Final = f"""
set -e
cd "$1"
{FREE_INDEX}
free_index
git merge --abort 2>/dev/null || true
git reset --quiet --hard "$2"
git clean --quiet -d --force
"""
"""`REPOSITORY COMMIT`: the work tree is this commit's."""

HAS_COMMIT: Final = """
cd "$1" && git cat-file -e "$2^{commit}" 2>/dev/null
"""
"""`REPOSITORY COMMIT`: fails where the clone does not have it."""
