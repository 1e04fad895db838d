"""What changed between two trees, file by file."""

import asyncio
from dataclasses import dataclass

from local.forge.git.process import Git
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, quote_path

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
STATUS = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "C": "copied", "T": "changed"}


@dataclass(frozen=True, slots=True)
class Change:
    """One changed file; `patch` starts at the first hunk and is None for binary files and pure renames."""

    status: str
    path: str
    previous: str | None
    blob: str
    additions: int
    deletions: int
    patch: str | None

    def shape(self, site: Viewer, repo: Repository, sha: str) -> Json:
        """GitHub's diff entry; `sha` is the commit in which the file is shown."""
        api, html, path = site.repo_api(repo), site.repo_html(repo), quote_path(self.path)
        return {
            "sha": self.blob,
            "filename": self.path,
            "status": self.status,
            "additions": self.additions,
            "deletions": self.deletions,
            "changes": self.additions + self.deletions,
            "blob_url": f"{html}/blob/{sha}/{path}",
            "raw_url": f"{html}/raw/{sha}/{path}",
            "contents_url": f"{api}/contents/{path}?ref={sha}",
            **({"patch": self.patch} if self.patch is not None else {}),
            **({"previous_filename": self.previous} if self.previous is not None else {}),
        }


async def count_changes(git: Git, base: str, head: str) -> tuple[int, int, int]:
    """(files, added lines, removed lines) of what `head` brings to `base`, counted from where they parted."""
    out = await git.text("diff", "--numstat", "-M", f"{base}...{head}")
    counts = [line.split("\t")[:2] for line in out.splitlines()]
    added, removed = (sum(int(count[i]) for count in counts if count[i] != "-") for i in (0, 1))
    return len(counts), added, removed


async def list_changes(git: Git, before: str, after: str) -> list[Change]:
    """The changes between two commits or trees, given as full shas."""
    summary, patch = await asyncio.gather(
        git.run("diff", "--raw", "--numstat", "--no-abbrev", "-z", "-M", before, after),
        git.text("diff", "--patch", "--no-ext-diff", "--no-textconv", "-M", before, after),
    )
    return join_patches(summary.out.decode("utf-8", "replace"), patch)


def join_patches(summary: str, patch: str) -> list[Change]:
    """Puts `--raw` and `--numstat` (by NUL) and the patch together: git lists files in one order in all."""
    words = iter(summary.split("\x00"))
    raw: list[tuple[str, str, str | None, str]] = []
    counts: list[tuple[int, int]] = []
    for word in words:
        if word.startswith(":"):
            _, _, old, new, status = word.split(" ")
            first = next(words)
            renamed = status[0] in "RC"
            path = next(words) if renamed else first
            raw.append((status[0], path, first if renamed else None, old if status == "D" else new))
        elif word:
            plus, minus, path = word.split("\t")
            counts.append((0 if plus == "-" else int(plus), 0 if minus == "-" else int(minus)))
            if not path:  # a rename: its two paths follow
                next(words), next(words)
    sections = iter(split_patch(patch))
    found = []
    for (letter, path, previous, blob), (added, removed) in zip(raw, counts, strict=True):
        # git shows a changed type (a file that became a link) as a removal and an addition.
        hunks = [hunk for hunk in (next(sections) for _ in range(2 if letter == "T" else 1)) if hunk]
        found.append(
            Change(STATUS[letter], path, previous, blob, added, removed, "\n".join(hunks) if hunks else None)
        )
    return found


def split_patch(patch: str) -> list[str]:
    """The hunks of each file of a patch; "" for a file without any."""
    sections: list[list[str]] = []
    in_hunks = False
    for line in patch.split("\n"):
        if line.startswith("diff --git "):
            sections.append([])
            in_hunks = False
        elif sections:
            in_hunks = in_hunks or line.startswith("@@ ")
            if in_hunks:
                sections[-1].append(line)
    return ["\n".join(section) for section in sections]
