"""Files and directories of a commit, as `/contents` shows them."""

import base64
from dataclasses import dataclass

from local.forge.errors import NotFound
from local.forge.git.process import Git
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, quote_path

MAX_CONTENT_BYTES = 1_000_000  # bytes; GitHub answers larger files without their content
SUBMODULE, SYMLINK = "160000", "120000"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a tree; `size` is 0 for directories and submodules."""

    mode: str
    kind: str
    sha: str
    size: int
    path: str

    @property
    def type(self) -> str:
        """GitHub's word."""
        return {"tree": "dir", "commit": "submodule"}.get(
            self.kind, "symlink" if self.mode == SYMLINK else "file"
        )

    def shape(self, site: Viewer, repo: Repository, ref: str) -> Json:
        """The entry without content."""
        api, html, path = site.repo_api(repo), site.repo_html(repo), quote_path(self.path)
        url = f"{api}/contents/{path}?ref={quote_path(ref)}"
        page = f"{html}/{'tree' if self.kind == 'tree' else 'blob'}/{quote_path(ref)}/{path}"
        git = f"{api}/git/{'trees' if self.kind == 'tree' else 'blobs'}/{self.sha}"
        raw = f"{html}/raw/{quote_path(ref)}/{path}" if self.kind == "blob" else None
        return {
            "type": self.type,
            "name": self.path.rpartition("/")[2],
            "path": self.path,
            "sha": self.sha,
            "size": self.size,
            "url": url,
            "html_url": page,
            "git_url": git,
            "download_url": raw,
            "_links": {"self": url, "git": git, "html": page},
        }


async def find(git: Git, commit: str, path: str) -> Entry:
    """What is at a path of a commit."""
    if "\x00" in path or {"..", ".", ""} & set(path.split("/")):
        raise NotFound
    listed = await entries(git, commit, "--", path)
    if not listed:
        raise NotFound
    return listed[0]


async def entries(git: Git, *arguments: str) -> list[Entry]:
    """The lines of a tree."""
    literal = {"GIT_LITERAL_PATHSPECS": "1"}
    out = await git.text("ls-tree", "-z", "-l", "--full-tree", *arguments, extra=literal)
    listed = []
    for line in out.split("\x00")[:-1]:
        about, _, path = line.partition("\t")
        mode, kind, sha, size = about.split()
        listed.append(Entry(mode, kind, sha, 0 if size == "-" else int(size), path))
    return listed


async def children(git: Git, tree: str, directory: str) -> list[Entry]:
    """The entries of a tree (or of a commit's root), which stands at `directory`; "" is the root."""
    listed = await entries(git, tree)
    prefix = f"{directory}/" if directory else ""
    return [Entry(item.mode, item.kind, item.sha, item.size, prefix + item.path) for item in listed]


async def add_content(git: Git, entry: Entry, shape: Json) -> Json:
    """A file's shape and its content in base64, broken into lines as GitHub does."""
    if entry.kind != "blob":
        return shape
    if entry.size > MAX_CONTENT_BYTES:
        return shape | {"encoding": "none", "content": ""}
    blob = (await git.run("cat-file", "blob", entry.sha)).out
    return shape | {"encoding": "base64", "content": base64.encodebytes(blob).decode()}
