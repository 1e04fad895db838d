"""References and what they point at."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass

from local.forge.errors import Invalid
from local.forge.git.process import Git, GitFailed, git_environment

SHA = re.compile(r"[0-9a-f]{40}")
SHORT_SHA = re.compile(r"[0-9a-f]{7,40}")
ZERO_SHA = "0" * 40
# What git's revision language or its line protocols would read as more than a name.
REVISION_SYNTAX = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^-|^@$|//|/$|\.lock$|\.$")


@dataclass(frozen=True, slots=True)
class Ref:
    """A full reference name and the object it points at; `kind` is `commit` or `tag`."""

    name: str
    sha: str
    kind: str


async def is_well_formed(name: str) -> bool:
    """git's own verdict on a full reference name."""
    if "\x00" in name:
        return False
    process = await asyncio.create_subprocess_exec("git", "check-ref-format", name, env=git_environment())
    return await process.wait() == 0


async def branch_is_well_formed(name: str) -> bool:
    """The same for a branch, which in addition may not start with a dash or be called HEAD."""
    return not name.startswith("-") and name != "HEAD" and await is_well_formed(f"refs/heads/{name}")


async def list_refs(git: Git, *prefixes: str) -> list[Ref]:
    """References below the given full prefixes such as `refs/heads`, in the order of their names."""
    out = await git.text("for-each-ref", "--format=%(refname)%00%(objectname)%00%(objecttype)", *prefixes)
    return [Ref(*line.split("\x00")) for line in out.splitlines()]


async def find(git: Git, name: str) -> Ref | None:
    """The reference of exactly this full name."""
    sha, kind = (await resolve_objects(git, name))[0]
    return Ref(name, sha, kind) if sha and name.startswith("refs/") else None


async def branch_tips(git: Git, *branches: str) -> list[str | None]:
    """The commit of each branch, None where there is no such branch."""
    return [sha for sha, _ in await resolve_objects(git, *(f"refs/heads/{branch}" for branch in branches))]


async def commit_of(git: Git, name: str) -> str | None:
    """The commit of a branch, a tag, a (short) sha, `heads/x` or `tags/x`, as GitHub reads `{ref}`."""
    candidates = [f"refs/heads/{name}", f"refs/tags/{name}", f"refs/{name}"]
    if name == "HEAD" or SHORT_SHA.fullmatch(name):
        candidates.insert(0, name)
    found = await resolve_objects(git, *candidates, peel="^{commit}")
    return next((sha for sha, kind in found if kind == "commit"), None)


async def resolve_objects(git: Git, *names: str, peel: str = "") -> list[tuple[str | None, str]]:
    """(sha, type) of each name, (None, "") where nothing has that name; one process for all of them."""
    safe = [name if not REVISION_SYNTAX.search(name) else ZERO_SHA for name in names]
    out = await git.text("cat-file", "--batch-check", stdin="".join(f"{n}{peel}\n" for n in safe).encode())
    answers = (line.split(" ") for line in out.splitlines())
    return [(words[0], words[1]) if len(words) == 3 else (None, "") for words in answers]


async def compare_and_set(git: Git, name: str, new: str, old: str) -> bool:
    """Sets a reference from `old` (`ZERO_SHA`: it must not exist); False if it was not `old`."""
    return (await git.run("update-ref", name, new, old, codes=(0, 1, 128))).code == 0


async def set_all(git: Git, targets: Iterable[tuple[str, str]]) -> None:
    """Sets several references to commits in one process."""
    lines = "".join(f"update {name} {sha}\n" for name, sha in targets)
    if lines:
        await git.run("update-ref", "--stdin", stdin=lines.encode())


async def is_ancestor(git: Git, ancestor: str, commit: str) -> bool:
    """Whether `commit` contains `ancestor`; False too when one of the two is no commit."""
    return (await git.run("merge-base", "--is-ancestor", ancestor, commit, codes=(0, 1, 128))).code == 0


async def create(git: Git, name: str, sha: str) -> Ref:
    """Makes a new reference to an existing object; `Invalid` in GitHub's words otherwise."""
    if not name.startswith("refs/") or name.count("/") < 2 or name.startswith("refs/pull/"):
        raise Invalid("Reference name must start with 'refs/' and contain at least two slashes.")
    if not await is_well_formed(name):
        raise Invalid(f"{name} is not a valid ref name.")
    found, kind = (await resolve_objects(git, sha))[0] if SHA.fullmatch(sha) else (None, "")
    if found is None or (name.startswith("refs/heads/") and kind != "commit"):
        raise Invalid("Object does not exist")
    if not await compare_and_set(git, name, sha, ZERO_SHA):
        if (await resolve_objects(git, name))[0][0] is None:  # a branch `a` is in the way of a branch `a/b`
            raise Invalid("Reference cannot be created: another reference is in the way")
        raise Invalid("Reference already exists")
    return Ref(name, sha, kind)


async def update(git: Git, ref: Ref, sha: str, *, force: bool) -> Ref:
    """Moves a reference; a branch only forward, unless the repository allows more and `force` is set."""
    found, kind = (await resolve_objects(git, sha))[0] if SHA.fullmatch(sha) else (None, "")
    if found is None or (ref.name.startswith("refs/heads/") and kind != "commit"):
        raise Invalid("Object does not exist")
    branch = ref.name.startswith("refs/heads/")
    may_force = force and (not branch or not await denies_forced_pushes(git))
    if not may_force and not await is_ancestor(git, ref.sha, sha):
        raise Invalid("Update is not a fast forward")
    if not await compare_and_set(git, ref.name, sha, ref.sha):
        raise Invalid("Reference was changed meanwhile")
    return Ref(ref.name, sha, kind)


async def denies_forced_pushes(git: Git) -> bool:
    """What the repository's own configuration says."""
    result = await git.run("config", "--type=bool", "receive.denyNonFastForwards", codes=(0, 1))
    return result.text == "true"


async def delete(git: Git, ref: Ref, default_branch: str) -> None:
    """Removes a reference, but never the default branch."""
    if ref.name == f"refs/heads/{default_branch}":
        raise Invalid("Cannot delete the default branch")
    try:
        await git.run("update-ref", "-d", ref.name, ref.sha)
    except GitFailed:
        raise Invalid("Reference was changed meanwhile") from None
