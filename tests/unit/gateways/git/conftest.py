"""A repository on the forge, its mirror, and a quarantine beside it."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from gateways.git.cache import CloneCache
from gateways.git.mirror import Mirror
from gateways.git.quarantine import Quarantine, quarantine
from gateways.git.remote import Remote
from local.forge.seed import seed
from tests.support.git_objects import ObjectWriter
from tests.support.servers import FORGE_TOKEN, ServedDirectory

FILES = {"README.md": "# Hello\n", ".github/workflows/ci.yml": "on: push\n", "src/app.py": "print('hi')\n"}


@pytest.fixture
async def url(forge: ServedDirectory) -> str:
    name = f"repo-{uuid4().hex[:12]}"
    assert await seed(forge.data, "codecourier", name, FILES)
    return f"{forge.url}/codecourier/{name}.git"


@pytest.fixture
def remote(cache: CloneCache, url: str) -> Remote:
    return Remote(cache.git, url, FORGE_TOKEN)


@pytest.fixture
async def mirror(cache: CloneCache, remote: Remote) -> AsyncIterator[Mirror]:
    """With the repository's main branch in it."""
    mirror = cache.mirror(remote.url)
    async with mirror.lock_for_use():
        await mirror.fetch(remote, ["refs/heads/main"])
        yield mirror


@pytest.fixture
async def base(mirror: Mirror, remote: Remote) -> str:
    """The commit of the main branch."""
    return (await mirror.fetch(remote, ["refs/heads/main"])).shas["refs/heads/main"]


@pytest.fixture
async def taken(mirror: Mirror) -> AsyncIterator[Quarantine]:
    async with quarantine(mirror) as opened:
        yield opened


@pytest.fixture
def workshop(tmp_path: Path, mirror: Mirror, base: str) -> ObjectWriter:
    """With all that the mirror has."""
    made = ObjectWriter(tmp_path / "workshop")
    (made.directory / ".git/objects/info").mkdir(exist_ok=True)
    (made.directory / ".git/objects/info/alternates").write_text(f"{mirror.objects}\n")
    made.git("update-ref", "refs/heads/main", base)
    return made
