"""The bash that git work in a sandbox is made of.  Values come as positional parameters, never inside it.

Scripts that carry the token run where nothing that an agent wrote is read: in a new bare directory that only
borrows the clone's objects, with no configuration but what the environment says.
"""

from typing import Final

EXISTING: Final = """
cd "$1" 2>/dev/null || exit 0
git config codecourier.url && git config codecourier.base && git rev-parse -q --verify refs/codecourier/base
"""
"""`REPOSITORY`: prints address, base branch and base commit of a finished clone; nothing if there is none."""

FETCH: Final = """
set -e
rm -rf "$1"
git init --quiet --template= "$1"
cd "$1"
url=$2; shift 2
git fetch --quiet --no-recurse-submodules "$url" "$@"
"""
"""`DIRECTORY URL REFSPEC…`, with the token: a new repository with these refs."""

CHECK_OUT: Final = """
set -e
cd "$1"
git remote add origin "$3"
git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'
git config codecourier.url "$3"
git config codecourier.base "$4"
start=refs/remotes/origin/$4
if checkpoint=$(git rev-parse --verify --quiet refs/codecourier/checkpoint); then
  start=$checkpoint^1
fi
git update-ref refs/codecourier/base "$(git merge-base "refs/remotes/origin/$4" "$start")"
git checkout --quiet --no-track -b "$5" "$start"
if [ -n "$checkpoint" ]; then
  git read-tree -u --reset "$checkpoint"
  git read-tree "$start"
  git update-index --refresh -q >/dev/null || true
fi
git rev-parse refs/codecourier/base
rm -rf "$2"
mv "$1" "$2"
"""
"""`DIRECTORY REPOSITORY URL BASE BRANCH`: what was fetched, on its branch, moved to its place at last."""

COMMIT: Final = """
set -e
cd "$1"
git add --all
tree=$(git write-tree)
if [ "$tree" = "$(git rev-parse "$2^{tree}")" ]; then exit 0; fi
if [ "$tree" != "$(git rev-parse 'HEAD^{tree}')" ]; then
  git commit --quiet --no-verify --message "$3"
fi
git rev-parse HEAD
"""
"""`REPOSITORY BASE MESSAGE`: prints the commit of the whole work tree, or nothing if that equals the base."""

SNAPSHOT: Final = """
set -e
cd "$1"
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
export GIT_INDEX_FILE=$directory/index
cp "$(git rev-parse --git-dir)/index" "$GIT_INDEX_FILE" 2>/dev/null || git read-tree HEAD
git add --all --ignore-errors || true
git commit-tree "$(git write-tree)" -p HEAD -m "$2"
"""
"""`REPOSITORY MESSAGE`: prints a commit of the work tree from an index of its own; nothing else changes."""

PUSH: Final = """
set -e
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
git init --quiet --bare --template= .
printf '%s\\n' "$1/.git/objects" >objects/info/alternates
if [ -f "$1/.git/shallow" ]; then cp "$1/.git/shallow" shallow; fi
git push --porcelain --no-verify "$2" "$3"
"""
"""`REPOSITORY URL REFSPEC`, with the token."""

DIFF: Final = """
set -e
cd "$1"
git diff --no-color --no-ext-diff --no-textconv "$2" "$3" -- | head -c "$4"
"""
"""`REPOSITORY BASE SHA BYTES`."""

OUTGOING: Final = """
set -e
cd "$1"
export GIT_NO_REPLACE_OBJECTS=1
git rev-list --objects "$3" "^$2" | cut -d ' ' -f 1 | git cat-file --batch --buffer \\
  | tail -c "+$4" | head -c "$5"
"""
"""`REPOSITORY BASE SHA START BYTES`: of every commit, name and content that a push would add, a piece."""

RESET: Final = """
set -e
cd "$1"
git merge --abort 2>/dev/null || true
git reset --quiet --hard "$2"
git clean --quiet -d --force
"""
"""`REPOSITORY COMMIT`: the work tree is this commit's."""
