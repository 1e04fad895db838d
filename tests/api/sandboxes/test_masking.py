"""What is read of a sandbox is masked before it is cut, however long a secret is."""

import pytest

from api.sandboxes.masking import masked
from gateways.sandboxes.inspection import MARGIN, MOST_BYTES
from kit.redaction import Redactor

SECRET = "".join(chr(33 + index * 7919 % 90) for index in range(32_768))


@pytest.mark.parametrize("shown", [SECRET, SECRET.encode().hex()])
def test_the_longest_secret_across_the_limit_is_masked(shown: str) -> None:
    file = b"x" * (MOST_BYTES - 1_000) + shown.encode() + b"y" * MOST_BYTES
    found = masked(file[: MOST_BYTES + MARGIN], Redactor([SECRET]), MOST_BYTES, goes_on=True)
    assert found.truncated
    assert shown[:20] not in found.content
    assert len(found.content) > MOST_BYTES // 2
