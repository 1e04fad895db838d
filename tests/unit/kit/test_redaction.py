"""Secrets are found in whatever form a program prints them, and looking for them holds nobody up."""

import asyncio
import base64
import json
import string
import threading
import time
from collections.abc import Iterable
from random import Random
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import redaction
from kit.redaction import (
    MAX_SECRET_BYTES,
    MAX_SECRET_LINES,
    Redactor,
    RedactorCache,
    TooManySecrets,
    require_bounded,
)
from kit.secret_forms import MASK, encoded_forms
from kit.storable_text import replace_unstorable

SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60)
AROUND = st.binary(max_size=20)


@given(SECRET, AROUND, AROUND)
def test_base64_of_a_text_that_holds_it_is_masked_at_every_offset(
    secret: str, before: bytes, after: bytes
) -> None:
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    assert MASK in Redactor([secret]).redact_text(encoded)


@given(SECRET)
def test_the_usual_encodings_are_masked(secret: str) -> None:
    redactor = Redactor([secret])
    raw = secret.encode()
    for form in (secret, quote(secret, safe=""), raw.hex(), base64.urlsafe_b64encode(raw).decode()):
        assert redactor.redact_text(f"a {form} b") == f"a {MASK} b"
    assert secret not in redactor.redact_text(json.dumps({"key": secret}))


@pytest.mark.parametrize("secret", ["späte Wörter 🎉", 'with "quotes" \\ and\ttabs', "a\x1b[0m\x7f\u2028b"])
def test_json_of_every_writer_is_masked(secret: str) -> None:
    redactor = Redactor([secret])
    for written in (orjson.dumps(secret).decode(), json.dumps(secret, ensure_ascii=False)):
        assert redactor.redact_text(written) == f'"{MASK}"'


@given(st.text(max_size=200))
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    assert Redactor(["a-secret-that-is-not-there"]).redact_text(text) == text
    assert Redactor([]).redact_text(text) == text


def test_json_is_masked_in_values_and_keys() -> None:
    redactor = Redactor(["hunter2hunter2"])
    assert redactor.redact_json({"hunter2hunter2": ["x hunter2hunter2", 1, None]}) == {
        MASK: [f"x {MASK}", 1, None]
    }


def test_every_line_of_a_secret_of_many_lines_is_masked() -> None:
    key = "-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n-----END KEY-----"
    assert "second-line-of-it" not in Redactor([key]).redact_text("log: second-line-of-it")


def test_short_lines_of_a_secret_of_many_lines_are_no_secrets() -> None:
    redactor = Redactor(["{\n  first-line-of-it\n  EOF-marker\n}"])
    assert redactor.redact_text("EOF-marker }") == "EOF-marker }"
    assert redactor.redact_text("a first-line-of-it b") == f"a {MASK} b"


def test_a_whole_secret_of_short_lines_is_masked() -> None:
    secret = "alpha\nbravo\ncharlie"
    redactor = Redactor([secret])
    assert redactor.redact_text(f"x {secret} y") == f"x {MASK} y"
    assert redactor.redact_text(base64.b64encode(secret.encode()).decode()) == MASK


def test_secrets_of_two_automata_that_overlap_are_masked_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_AUTOMATON_BYTES", 1)
    redactor = Redactor(["first-second", "second-third"])
    assert redactor.redact_text("a first-second-third b second-third") == f"a {MASK} b {MASK}"


@given(st.lists(SECRET, min_size=1, max_size=30), st.data())
def test_no_form_of_many_secrets_is_left(secrets: list[str], data: st.DataObject) -> None:
    redactor = Redactor(secrets)
    shown = data.draw(st.lists(st.sampled_from([form for each in secrets for form in encoded_forms(each)])))
    clean = redactor.redact_text(" \n".join(shown))
    assert clean == " \n".join(MASK for _ in shown)


def test_half_surrogates_stay_as_they_are() -> None:
    assert Redactor(["hunter2hunter2"]).redact_text("\ud800 hunter2hunter2 \udcff") == f"\ud800 {MASK} \udcff"


def test_bytes_that_are_no_text_are_searched() -> None:
    redactor = Redactor(["hunter2hunter2"])
    assert redactor.redact_bytes(b"\xff\0hunter2hunter2\xfe") == b"\xff\0" + MASK.encode() + b"\xfe"
    assert redactor.is_in(b"\xffhunter2hunter2")
    assert not redactor.is_in(b"\xffhunter2hunter")


def test_secrets_beyond_the_bound_are_refused() -> None:
    require_bounded(["x" * MAX_SECRET_BYTES])
    with pytest.raises(TooManySecrets, match="65,538 bytes"):
        require_bounded(["x" * 32_768, "ä" * 16_385])
    require_bounded(["x\n" * MAX_SECRET_LINES])
    with pytest.raises(TooManySecrets, match="1,001 lines"):
        require_bounded(["x\n" * MAX_SECRET_LINES, "y"])


async def test_the_same_values_are_made_once_and_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    class Watched(Redactor):
        def __init__(self, secrets: Iterable[str]) -> None:
            threads.append(threading.current_thread())
            super().__init__(secrets)

    monkeypatch.setattr(redaction, "Redactor", Watched)
    redactors = RedactorCache()
    first, second = await asyncio.gather(
        redactors.get(["a-secret", "other"]), redactors.get(["other", "a-secret"])
    )
    assert first is second is await redactors.get({"other", "a-secret"})
    assert await redactors.get(["a-secret", "changed"]) is not first
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_who_waits_for_a_redactor_may_be_cancelled() -> None:
    redactors = RedactorCache()
    waiting = asyncio.create_task(redactors.get(["a-secret"]))
    await asyncio.sleep(0)
    waiting.cancel()
    assert (await redactors.get(["a-secret"])).redact_text("a-secret") == MASK


async def test_redactors_not_used_for_longest_go_first() -> None:
    redactors = RedactorCache(most_bytes=3 * Redactor(["secret-0"]).total_bytes)
    made = [await redactors.get([f"secret-{number}"]) for number in range(3)]
    assert await redactors.get(["secret-0"]) is made[0]
    await redactors.get(["secret-3"])
    assert await redactors.get(["secret-0"]) is made[0]
    assert await redactors.get(["secret-2"]) is made[2]
    assert await redactors.get(["secret-1"]) is not made[1]


async def test_the_event_loop_goes_on_while_many_long_secrets_are_looked_for() -> None:
    """Ten secrets of 32 KiB, more than may be, once took a minute in which nothing else ran."""
    secrets = [_lines(32_768, seed) for seed in range(10)]
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.001)
            beats += 1

    beating = asyncio.create_task(beat())
    started = time.perf_counter()
    redactor = await RedactorCache().get(secrets)
    made, beats_meanwhile = time.perf_counter() - started, beats
    beating.cancel()
    started = time.perf_counter()
    clean = redactor.redact_text(f"{'no secret here ' * 200}{secrets[7]}")
    searched = time.perf_counter() - started
    print(f"made in {made:.2f} s, {beats_meanwhile} beats meanwhile; searched in {searched:.4f} s")
    assert clean.endswith(f"here {MASK}")
    assert beats_meanwhile >= len(redactor._automata) // 4


def _lines(size: int, seed: int) -> str:
    """Secret text in lines of sixty characters, as keys have."""
    letters = Random(seed).choices(string.ascii_letters + string.digits, k=size)
    return "\n".join("".join(letters[at : at + 60]) for at in range(0, size, 61))[:size]


def test_short_values_do_not_blank_out_ordinary_words() -> None:
    assert Redactor(["yes", "1"]).redact_text("yes, 1 of 1") == "yes, 1 of 1"


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_is_storable_has_neither_nul_nor_half_surrogates(value: object) -> None:
    told = json.dumps(replace_unstorable(value), ensure_ascii=False)
    assert "\0" not in told
    told.encode()  # would raise on half a surrogate


def test_half_surrogates_are_replaced() -> None:
    assert replace_unstorable({"a\0": ["x\ud800y", 1, None]}) == {"a␀": ["x?y", 1, None]}
