"""A repository made of files, for the demo and for tests."""

from collections.abc import Mapping
from pathlib import Path

from local.forge.errors import AlreadyExists, NotFound
from local.forge.store.repositories import NewRepository, Store


async def seed(
    data: Path,
    owner: str,
    name: str,
    files: Mapping[str, bytes | str],
    *,
    private: bool = True,
    message: str = "Initial commit",
) -> bool:
    """Creates `owner/name` with one commit of `files` on `main`; False, and nothing done, if it exists.

    Works on the data directory of a forge, whether one is running on it or not. A file that starts with `#!`
    becomes executable. Raises `Invalid` for names and paths that cannot be.
    """
    store = Store(data, login=owner)
    try:
        await store.find(owner, name)
    except NotFound:
        return await create_unless_exists(
            store, NewRepository(owner, name, private, files=files, message=message)
        )
    else:
        return False
    finally:
        store.close()


async def create_unless_exists(store: Store, new: NewRepository) -> bool:
    """False if someone else made it in the same moment."""
    try:
        await store.create(new)
    except AlreadyExists:
        return False
    return True
