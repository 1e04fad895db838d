"""Secrets are found in whatever form a program prints them."""

import base64
import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from kit.scrub import MASK, Scrubber, storable

SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60)
AROUND = st.binary(max_size=20)


@given(SECRET, AROUND, AROUND)
def test_base64_of_a_text_that_holds_it_is_masked_at_every_offset(
    secret: str, before: bytes, after: bytes
) -> None:
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    assert MASK in Scrubber([secret]).text(encoded)


@given(SECRET)
def test_the_usual_encodings_are_masked(secret: str) -> None:
    scrubber = Scrubber([secret])
    raw = secret.encode()
    for form in (secret, quote(secret, safe=""), raw.hex(), base64.urlsafe_b64encode(raw).decode()):
        assert scrubber.text(f"a {form} b") == f"a {MASK} b"
    assert secret not in scrubber.text(json.dumps({"key": secret}))


@given(st.text(max_size=200))
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    assert Scrubber(["a-secret-that-is-not-there"]).text(text) == text
    assert Scrubber([]).text(text) == text


def test_json_is_masked_in_values_and_keys() -> None:
    scrubber = Scrubber(["hunter2hunter2"])
    assert scrubber.json({"hunter2hunter2": ["x hunter2hunter2", 1, None]}) == {MASK: [f"x {MASK}", 1, None]}


def test_every_line_of_a_secret_of_many_lines_is_masked() -> None:
    key = "-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n-----END KEY-----"
    assert "second-line-of-it" not in Scrubber([key]).text("log: second-line-of-it")


def test_short_values_do_not_blank_out_ordinary_words() -> None:
    assert Scrubber(["yes", "1"]).text("yes, 1 of 1") == "yes, 1 of 1"


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_is_storable_has_neither_nul_nor_half_surrogates(value: object) -> None:
    told = json.dumps(storable(value), ensure_ascii=False)
    assert "\0" not in told
    told.encode()  # would raise on half a surrogate


def test_half_surrogates_are_replaced() -> None:
    assert storable({"a\0": ["x\ud800y", 1, None]}) == {"a␀": ["x?y", 1, None]}
