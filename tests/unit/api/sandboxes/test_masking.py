"""What is read of a sandbox is masked before it is cut, however long a secret is."""

import pytest

from api.sandboxes.masking import redact_content
from gateways.sandboxes.inspection import MAX_FILE_BYTES, SECRET_MARGIN_BYTES
from kit.redaction import Redactor

SECRET = "".join(chr(33 + index * 7919 % 90) for index in range(32_768))


@pytest.mark.parametrize("shown", [SECRET, SECRET.encode().hex()])
def test_the_longest_secret_across_the_limit_is_masked(shown: str) -> None:
    file = b"x" * (MAX_FILE_BYTES - 1_000) + shown.encode() + b"y" * MAX_FILE_BYTES
    found = redact_content(
        file[: MAX_FILE_BYTES + SECRET_MARGIN_BYTES], Redactor([SECRET]), MAX_FILE_BYTES, goes_on=True
    )
    assert found.truncated
    assert shown[:20] not in found.content
    assert len(found.content) > MAX_FILE_BYTES // 2
