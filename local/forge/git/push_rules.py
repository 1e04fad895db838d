"""What a push may not do to a protected branch: asked by git itself for each reference, through a hook."""

from pathlib import Path

from local.forge.errors import Invalid
from local.forge.git import refs
from local.forge.store import branch_protections
from local.forge.store.branch_protections import Protection
from local.forge.store.database import Database
from local.forge.store.repositories import Repository

DELETION_REFUSED = "Cannot delete this protected branch"
FORCE_PUSH_REFUSED = "Cannot force-push to this protected branch"
# git's `update` hook: REF OLD NEW. FORGE_PROTECTION has a line `ref:deletion:force:any` for each protected
# branch, where each of the three is a reason to refuse that, or empty.
UPDATE_HOOK_SCRIPT = r"""#!/bin/sh
refuse() {
    printf 'error: GH006: Protected branch update failed for %s.\nerror: %s\n' "$1" "$2" >&2
    exit 1
}
printf '%s\n' "$FORGE_PROTECTION" | {
    while IFS=: read -r ref deletion force any; do
        [ "$ref" = "$1" ] || continue
        case "$3" in *[!0]*) gone= ;; *) gone=yes ;; esac
        [ -n "$gone" ] && [ -n "$deletion" ] && refuse "$1" "$deletion"
        [ -n "$any" ] && refuse "$1" "$any"
        case "$2" in *[!0]*) ;; *) continue ;; esac
        if [ -z "$gone" ] && [ -n "$force" ] && ! git merge-base --is-ancestor "$2" "$3"; then
            refuse "$1" "$force"
        fi
    done
    exit 0
}
"""


def write_hooks(directory: Path) -> None:
    """Puts the hook where `core.hooksPath` can name it; written anew at each start."""
    directory.mkdir(exist_ok=True)
    hook = directory / "update"
    hook.write_text(UPDATE_HOOK_SCRIPT)
    hook.chmod(0o755)


async def protection_environment(db: Database, repository_id: int, login: str) -> str | None:
    """The hook's `FORGE_PROTECTION` for this user; None where no branch is protected."""
    protected = await branch_protections.of_repository(db, repository_id)
    return "\n".join(protection_line(protection, login) for protection in protected.values()) or None


def protection_line(protection: Protection, login: str) -> str:
    rules = protection.rules
    deletion = "" if rules.allow_deletions else DELETION_REFUSED
    force = "" if rules.allow_force_pushes else FORCE_PUSH_REFUSED
    return f"refs/heads/{protection.branch}:{deletion}:{force}:{push_refusal(protection, login) or ''}"


def push_refusal(protection: Protection, login: str) -> str | None:
    """Why this user may not push to the branch at all."""
    rules = protection.rules
    if rules.lock_branch:
        return "Cannot change this locked branch"
    if rules.excludes(login):
        return "You're not authorized to push to this branch."
    if rules.enforce_admins and rules.required_pull_request_reviews is not None:
        return "Changes must be made through a pull request."
    return None


async def require_update_allowed(
    repo: Repository, ref: refs.Ref, sha: str, login: str, *, force: bool
) -> None:
    """The same for a reference that is moved over REST."""
    protection = await protection_of(repo, ref)
    if protection is None:
        return
    if reason := push_refusal(protection, login):
        raise Invalid(reason)
    may_rewrite = not force or protection.rules.allow_force_pushes
    if not may_rewrite and not await refs.is_ancestor(repo.git, ref.sha, sha):
        raise Invalid(FORCE_PUSH_REFUSED)


async def require_deletion_allowed(repo: Repository, ref: refs.Ref, login: str) -> None:
    """The same for one that is deleted over REST."""
    protection = await protection_of(repo, ref)
    if protection is None:
        return
    if not protection.rules.allow_deletions:
        raise Invalid(DELETION_REFUSED)
    if reason := push_refusal(protection, login):
        raise Invalid(reason)


async def protection_of(repo: Repository, ref: refs.Ref) -> Protection | None:
    branch = ref.name.removeprefix("refs/heads/")
    return await branch_protections.find(repo, branch) if branch != ref.name else None
