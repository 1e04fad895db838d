"""Files of a sandbox through the real SDK."""

import asyncio
import io

import pytest
from e2b import AsyncSandbox, FileNotFoundException, FileType, InvalidArgumentException
from e2b.exceptions import SandboxException


async def test_write_read_list_rename_and_remove(sandbox: AsyncSandbox) -> None:
    info = await sandbox.files.write("notes/a.txt", "ünï")
    assert info.path == "/home/user/notes/a.txt"
    assert await sandbox.files.read("/home/user/notes/a.txt") == "ünï"
    assert await sandbox.files.make_dir("notes/deep/er")
    assert not await sandbox.files.make_dir("notes/deep")
    names = [(entry.name, entry.type) for entry in await sandbox.files.list("notes")]
    assert names == [("a.txt", FileType.FILE), ("deep", FileType.DIR)]
    assert [entry.name for entry in await sandbox.files.list("notes", depth=2)] == ["a.txt", "deep", "er"]
    moved = await sandbox.files.rename("notes/a.txt", "b/c.txt")
    assert (moved.path, moved.size, moved.owner) == ("/home/user/b/c.txt", 5, "user")
    assert not await sandbox.files.exists("notes/a.txt")
    await sandbox.files.remove("notes")
    assert not await sandbox.files.exists("notes")
    assert await sandbox.files.exists("~/b/c.txt")


async def test_large_and_binary_files_in_every_way_of_upload(sandbox: AsyncSandbox) -> None:
    content = bytes(range(256)) * 40_000
    await sandbox.files.write("form", content)
    await sandbox.files.write("stream", io.BytesIO(content))
    await sandbox.files.write("gzip", content, gzip=True)
    for name in ("form", "stream", "gzip"):
        assert bytes(await sandbox.files.read(name, format="bytes")) == content
    parts = [chunk async for chunk in await sandbox.files.read("form", format="stream")]
    assert b"".join(parts) == content
    await sandbox.files.write_files([{"path": "x/1", "data": "one"}, {"path": "x/2", "data": b"two"}])
    assert [await sandbox.files.read(f"x/{n}") for n in (1, 2)] == ["one", "two"]


async def test_links_and_modes_are_told(sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run("echo hi > real; chmod 640 real; ln -s real link; ln -s nowhere broken")
    link = await sandbox.files.get_info("link")
    assert (link.type, link.symlink_target, link.size) == (FileType.SYMLINK, "/home/user/real", 3)
    real = await sandbox.files.get_info("real")
    assert (real.permissions, real.mode, real.symlink_target) == ("-rw-r-----", 0o640, None)
    assert [entry.name for entry in await sandbox.files.list(".")] == ["broken", "link", "real"]


async def test_what_cannot_be_done_is_refused_by_name(sandbox: AsyncSandbox) -> None:
    with pytest.raises(FileNotFoundException):
        await sandbox.files.read("nothing")
    with pytest.raises(FileNotFoundException):
        await sandbox.files.get_info("nothing")
    with pytest.raises(InvalidArgumentException, match="not a regular file"):
        await sandbox.files.read("/tmp")
    with pytest.raises(InvalidArgumentException, match="is a directory"):
        await sandbox.files.write("/tmp", "x")
    with pytest.raises(SandboxException):
        await sandbox.files.write("/usr/bin/evil", "x")
    with pytest.raises(SandboxException):
        await sandbox.files.write("/etc/passwd", "x")


async def test_many_transfers_at_once(sandbox: AsyncSandbox) -> None:
    await asyncio.gather(*(sandbox.files.write(f"many/{n}", str(n)) for n in range(40)))
    read = await asyncio.gather(*(sandbox.files.read(f"many/{n}") for n in range(40)))
    assert read == [str(n) for n in range(40)]
