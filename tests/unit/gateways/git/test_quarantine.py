"""What a sandbox may send: nothing hostile, nothing half, nothing that it did not make itself."""

import os
import subprocess
from pathlib import Path

import pytest

from gateways.git import quarantine as quarantines
from gateways.git.mirror import Mirror
from gateways.git.protected_paths import ProtectedPath, require_untouched
from gateways.git.quarantine import ChangeMalformed, ChangeTooLarge, Quarantine
from gateways.git.secret_scan import SecretInChange, require_no_secrets
from kit.redaction import Redactor
from tests.support.git_objects import ObjectWriter

FILE, DIRECTORY, LINK, MODULE = "100644", "40000", "120000", "160000"
SECRET = "s3cr3t-of-the-project-4711"
PROTECTED = (".github/workflows/**", "CODEOWNERS", "docs/*.md")


async def test_a_sound_change_is_taken(taken: Quarantine, workshop: ObjectWriter, base: str) -> None:
    blob = workshop.blob(b"new\n")
    tree = workshop.tree({"a.txt": (FILE, blob)})
    sha = workshop.commit(tree, base)
    await taken.unpack(workshop.pack([sha, tree, blob]))
    await taken.verify(sha, [base])
    assert taken.new_objects.read_text().split() == [sha, tree, blob]
    assert list(await taken.changed_entries(base, sha)) == [
        ".github/workflows/ci.yml",
        "README.md",
        "a.txt",
        "src/app.py",
    ]


@pytest.mark.parametrize("name", [".git", ".GIT", ".git ", "..", ".", "a/b", "git~1", ".g\u200cit", ""])
async def test_paths_that_lead_elsewhere_are_refused(
    taken: Quarantine, workshop: ObjectWriter, base: str, name: str
) -> None:
    tree = workshop.tree({name: (FILE, workshop.blob(b"x"))})
    sha = workshop.commit(tree, base)
    with pytest.raises(ChangeMalformed, match="not sound git data"):
        await taken.unpack(workshop.pack([sha, tree, workshop.blob(b"x")]))


async def test_tricks_with_modules_are_refused(taken: Quarantine, workshop: ObjectWriter, base: str) -> None:
    evil = b'[submodule "x"]\n\tpath = x\n\turl = -u./payload\n'
    outside = b'[submodule "../../hooks"]\n\tpath = y\n\turl = https://example.com/y\n'
    for entries in (
        {".gitmodules": (LINK, workshop.blob(b"/etc/passwd"))},
        {".gitmodules": (FILE, workshop.blob(evil))},
        {".gitmodules": (FILE, workshop.blob(outside))},
        {".GITMODULES": (LINK, workshop.blob(b"/etc/passwd"))},
    ):
        tree = workshop.tree(entries)
        sha = workshop.commit(tree, base)
        [(_, blob)] = entries.values()
        with pytest.raises(ChangeMalformed):
            await taken.unpack(workshop.pack([sha, tree, blob]))


async def test_symbolic_links_are_content_and_nothing_else(
    taken: Quarantine, workshop: ObjectWriter, base: str
) -> None:
    blob = workshop.blob(b"/etc/passwd")
    tree = workshop.tree({"link": (LINK, blob)})
    sha = workshop.commit(tree, base)
    await taken.unpack(workshop.pack([sha, tree, blob]))
    await taken.verify(sha, [base])
    pieces = b"".join([piece async for piece in taken.contents()])
    assert b"/etc/passwd" in pieces
    assert b"root:" not in pieces


async def test_malformed_objects_are_refused(taken: Quarantine, workshop: ObjectWriter, base: str) -> None:
    tree = workshop.tree({"a": (FILE, workshop.blob(b"x"))})
    for content in (b"tree " + tree.encode() + b"\n\nno author\n", b"\0\0\0"):
        broken = workshop.git("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=content)
        with pytest.raises(ChangeMalformed):
            await taken.unpack(workshop.pack([broken, tree, workshop.blob(b"x")]))
    unsorted = workshop.tree({"b": (FILE, workshop.blob(b"x")), "a": (FILE, workshop.blob(b"x"))})
    with pytest.raises(ChangeMalformed):
        await taken.unpack(workshop.pack([workshop.commit(unsorted, base), unsorted, workshop.blob(b"x")]))


async def test_packs_that_are_none_are_refused(taken: Quarantine, workshop: ObjectWriter, base: str) -> None:
    tree = workshop.tree({"a": (FILE, workshop.blob(b"x"))})
    whole = workshop.pack([workshop.commit(tree, base), tree, workshop.blob(b"x")]).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    file = workshop.directory / "hostile"
    for content in (b"", b"PACK", os.urandom(4_096), whole[:-5], bytes(flipped), whole + b"more"):
        file.write_bytes(content)
        with pytest.raises(ChangeMalformed):
            await taken.unpack(file)


async def test_a_commit_that_is_not_there_is_refused(
    taken: Quarantine, workshop: ObjectWriter, base: str
) -> None:
    blob = workshop.blob(b"x")
    tree = workshop.tree({"a": (FILE, blob)})
    claimed, sent = workshop.commit(tree, base, message="Good"), workshop.commit(tree, base, message="Evil")
    await taken.unpack(workshop.pack([sent, tree, blob]))
    for name in (claimed, tree, blob):
        with pytest.raises(ChangeMalformed, match="does not hold the commit"):
            await taken.verify(name, [base])


async def test_a_change_that_is_not_whole_is_refused(
    taken: Quarantine, workshop: ObjectWriter, base: str
) -> None:
    lonely = workshop.tree({"a": (FILE, workshop.blob(b"kept back"))})
    sha = workshop.commit(lonely, base)
    with pytest.raises(ChangeMalformed):
        await _take_and_verify(taken, workshop.pack([sha, lonely]), sha, base)


async def _take_and_verify(taken: Quarantine, pack: Path, sha: str, base: str) -> None:
    await taken.unpack(pack)
    await taken.verify(sha, [base])


async def test_what_only_the_mirror_holds_cannot_be_referred_to(
    taken: Quarantine, workshop: ObjectWriter, base: str, mirror: Mirror
) -> None:
    """Its name is known to the sandbox, its content is not: pushed, it would be there to read."""
    hidden = b"of somebody else's branch\n"
    done = await mirror.git.run(
        "hash-object", "-w", "--stdin", directory=mirror.repository, seconds=30, stdin=hidden
    )
    tree = workshop.tree({"a": (FILE, done.text.strip())})
    sha = workshop.commit(tree, base)
    await taken.unpack(workshop.pack([sha, tree]))
    with pytest.raises(ChangeMalformed, match="which it does not hold"):
        await taken.verify(sha, [base])


async def test_what_the_base_had_once_may_come_back(
    taken: Quarantine, workshop: ObjectWriter, base: str
) -> None:
    readme = workshop.git("rev-parse", f"{base}:README.md")
    tree = workshop.tree({"README.md": (FILE, readme)})
    sha = workshop.commit(tree, base)
    await taken.unpack(workshop.pack([sha, tree]))
    await taken.verify(sha, [base])


async def test_a_bomb_is_refused(
    taken: Quarantine, workshop: ObjectWriter, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small as it is sent, it is too much once unpacked; nothing of it is kept in memory."""
    monkeypatch.setattr(quarantines, "MAX_CHANGE_BYTES", 50_000_000)
    blob = workshop.blob(bytes(200_000_000))
    tree = workshop.tree({"zeros": (FILE, blob)})
    sha = workshop.commit(tree, base)
    pack = workshop.pack([sha, tree, blob])
    assert pack.stat().st_size < 1_000_000
    await taken.unpack(pack)
    with pytest.raises(ChangeTooLarge):
        await taken.verify(sha, [base])


async def test_too_many_objects_are_refused(
    taken: Quarantine, workshop: ObjectWriter, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantines, "MAX_OBJECTS", 100)
    blobs = [workshop.blob(str(number).encode()) for number in range(101)]
    tree = workshop.tree({f"{number:04}": (FILE, blob) for number, blob in enumerate(blobs)})
    sha = workshop.commit(tree, base)
    await taken.unpack(workshop.pack([sha, tree, *blobs]))
    with pytest.raises(ChangeTooLarge):
        await taken.verify(sha, [base])


async def _holds_secret(taken: Quarantine, sha: str, base: str) -> bool:
    await taken.verify(sha, [base])
    try:
        await require_no_secrets(taken, Redactor([SECRET]))
    except SecretInChange:
        return True
    return False


async def test_secrets_are_found_wherever_they_are(
    taken: Quarantine, workshop: ObjectWriter, base: str
) -> None:
    clean, dirty = workshop.blob(b"nothing\n"), workshop.blob(f"a {SECRET} b".encode())
    plain = workshop.tree({"a": (FILE, clean)})
    named = workshop.tree({SECRET: (FILE, clean)})
    held = workshop.tree({"a": (FILE, dirty)})
    for is_found, objects in [
        (True, [workshop.commit(plain, base, message=f"The key is {SECRET}"), plain, clean]),
        (True, [workshop.commit(named, base), named, clean]),
        (True, [workshop.commit(held, base), held, dirty]),
        (False, [workshop.commit(plain, base), plain, clean]),
    ]:
        await taken.unpack(workshop.pack(objects))
        assert await _holds_secret(taken, objects[0], base) is is_found


async def test_a_secret_that_a_later_commit_removes_is_found(
    taken: Quarantine, workshop: ObjectWriter, base: str
) -> None:
    dirty, clean = workshop.blob(SECRET.encode()), workshop.blob(b"nothing")
    first, last = workshop.tree({"a": (FILE, dirty)}), workshop.tree({"a": (FILE, clean)})
    middle = workshop.commit(first, base)
    sha = workshop.commit(last, middle)
    await taken.unpack(workshop.pack([sha, middle, first, last, dirty, clean]))
    assert await _holds_secret(taken, sha, base)


async def test_a_secret_behind_noise_and_across_pieces_is_found(
    taken: Quarantine, workshop: ObjectWriter, base: str
) -> None:
    noise = os.urandom(52_000_000)
    blob = workshop.blob(noise + SECRET.encode())
    tree = workshop.tree({"a": (FILE, blob)})
    sha = workshop.commit(tree, base)
    await taken.unpack(workshop.pack([sha, tree, blob]))
    assert await _holds_secret(taken, sha, base)
    for offset in range((1 << 18) - 400, 1 << 18, 20):
        blob = workshop.blob(b"x" * offset + SECRET.encode() + b"x" * 1_000)
        tree = workshop.tree({"a": (FILE, blob)})
        sha = workshop.commit(tree, base)
        await taken.unpack(workshop.pack([sha, tree, blob]))
        assert await _holds_secret(taken, sha, base)


async def _protected(taken: Quarantine, sha: str, *allowed: str) -> list[str]:
    try:
        await require_untouched(taken, PROTECTED, sha, allowed)
    except ProtectedPath as refusal:
        return refusal.paths
    return []


async def test_protected_paths_are_as_the_base_has_them(
    taken: Quarantine, workshop: ObjectWriter, base: str
) -> None:
    blob, evil = workshop.blob(b"free\n"), workshop.blob(b"on: push\nrun: evil\n")
    root = {
        line.split("\t")[1]: (line.split()[0].lstrip("0"), line.split()[2])
        for line in workshop.git("ls-tree", base).splitlines()
    }
    free = workshop.tree(dict(sorted({**root, "zz.txt": (FILE, blob)}.items())))
    flows = workshop.tree({"evil.yml": (FILE, evil)})
    github = workshop.tree({"workflows": (DIRECTORY, flows)})
    guide = workshop.tree({"guide.md": (FILE, blob)})
    changed = workshop.tree(
        {".github": (DIRECTORY, github), "codeowners": (FILE, blob), "docs": (DIRECTORY, guide)}
    )
    harmless, harmful = workshop.commit(free, base), workshop.commit(changed, base)
    await taken.unpack(workshop.pack([harmless, harmful, free, changed, github, flows, guide, blob, evil]))
    assert await _protected(taken, harmless, base) == []
    assert await _protected(taken, harmful, base) == [
        ".github/workflows/ci.yml",
        ".github/workflows/evil.yml",
        "codeowners",
        "docs/guide.md",
    ]
    assert await _protected(taken, harmful, base, harmful) == []
    assert await _protected(taken, harmful, base, harmless) == await _protected(taken, harmful, base)


async def test_nothing_is_left_of_a_quarantine(mirror: Mirror) -> None:
    async with quarantines.quarantine(mirror) as opened:
        assert opened.directory.is_dir()
    assert not Path(opened.directory).exists()
    assert subprocess.run(["ls", mirror.directory], capture_output=True, check=True).stdout
