"""Ids, sealed secrets, values remembered for a moment, work that a cancel does not cut."""

import asyncio

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from kit.cancellation import run_to_completion
from kit.crypto import Vault, constant_time_equal, last_four
from kit.errors import Internal
from kit.ids import is_id, new_id
from kit.settings import Settings
from kit.ttl_cache import TTLCache


def test_ids_sort_by_creation_and_know_their_kind() -> None:
    ids = [new_id("r") for _ in range(2_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert is_id(ids[0], "r")
    for wrong in ("r_", "r_xyz", ids[0] + "0", ids[0].replace("r_", "wf_"), ids[0].upper(), "r_" + "g" * 32):
        assert not is_id(wrong, "r")


def test_keys_can_be_rotated() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = Vault(old).seal("a secret")
    rotated = Vault(f"{new},{old}")
    assert rotated.open(sealed) == "a secret"
    with pytest.raises(Internal, match="ENCRYPTION_KEYS"):
        Vault(new).open(sealed)
    assert "a secret" not in sealed
    assert Vault(new).open(rotated.seal("another")) == "another"


def test_short_secrets_show_nothing() -> None:
    assert last_four("sk-ant-0123456789") == "6789"
    assert last_four("12345678") == ""
    assert constant_time_equal("a", "a")
    assert not constant_time_equal("a", "ab")


async def test_a_value_is_read_once_while_it_is_recent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("kit.ttl_cache.time.monotonic", lambda: clock[0])
    reads: list[float] = []

    async def read() -> float:
        reads.append(clock[0])
        return clock[0]

    recent: TTLCache[str, float] = TTLCache(seconds=1, most=2)
    assert [await recent.get("a", read), await recent.get("a", read)] == [100.0, 100.0]
    clock[0] = 101.0
    assert await recent.get("a", read) == 101.0
    recent.forget("a")
    await recent.get("a", read)
    await recent.get("b", read)
    await recent.get("c", read)  # pushes out the oldest, a
    await recent.get("a", read)
    assert len(reads) == 6


async def test_what_is_remembered_is_bounded_by_its_size_in_all() -> None:
    reads: list[str] = []
    recent: TTLCache[str, str] = TTLCache(seconds=60, most=10, size=len)

    async def get(value: str) -> None:
        async def read() -> str:
            reads.append(value)
            return value

        await recent.get(value, read)

    for value in ("aaaa", "bbbbbb", "c", "bbbbbb", "aaaa"):  # c pushes out a, which pushes out b
        await get(value)
    assert reads == ["aaaa", "bbbbbb", "c", "aaaa"]
    await get("x" * 11)
    await get("c")
    assert reads[4:] == ["x" * 11, "c"], "one that is too large alone pushes out all, and is not kept"


async def test_an_error_is_not_remembered() -> None:
    recent: TTLCache[str, int] = TTLCache(seconds=60)

    async def fail() -> int:
        raise OSError("away")

    async def succeed() -> int:
        return 7

    with pytest.raises(OSError, match="away"):
        await recent.get("a", fail)
    assert await recent.get("a", succeed) == 7


async def test_work_is_finished_before_a_cancel_is_raised() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append("done")

    task = asyncio.create_task(run_to_completion(work()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["done"]


def test_a_faulty_setting_is_named_and_its_value_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p-secret@h/db")
    monkeypatch.setenv("ENCRYPTION_KEYS", "k")
    monkeypatch.setenv("GITHUB_URL", "ftp://token-secret@github.com")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "github_url" in str(caught.value)
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("GITHUB_URL", "https://github.example/")
    settings = Settings()
    assert settings.github_url == "https://github.example"
    assert settings.sqlalchemy_url == "postgresql+psycopg://u:p-secret@h/db"
    assert "p-secret" in settings.secret_values()
