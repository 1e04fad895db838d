"""What Temporal stores is encrypted with the newest key, and read with all of them."""

import base64
import os

import pytest
from pydantic import PostgresDsn, SecretStr, ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.service import TLSConfig

from kit.payload_encryption import ENCODING, KEY_ID, EncryptingCodec, PayloadUnreadable
from kit.settings import CodecServerSettings, Settings
from kit.temporal import DATA_CONVERTER, _tls, data_converter_for

OLD, NEW = (base64.urlsafe_b64encode(os.urandom(32)).decode() for _ in range(2))
PAYLOAD = Payload(metadata={"encoding": b"json/plain"}, data=b'"the prompt"')


def settings(**fields: object) -> Settings:
    return Settings.model_validate(
        {
            "database_url": PostgresDsn("postgresql://user@127.0.0.1/name"),
            "encryption_keys": SecretStr(OLD),
            **fields,
        }
    )


async def test_a_payload_is_encrypted_anew_each_time_and_names_its_key() -> None:
    codec = EncryptingCodec(OLD)
    [one, two] = await codec.encode([PAYLOAD, PAYLOAD])
    assert one.data != two.data
    assert b"the prompt" not in one.SerializeToString()
    assert one.metadata["encoding"] == ENCODING
    assert await codec.decode([one, two]) == [PAYLOAD, PAYLOAD]


async def test_keys_are_rotated_without_losing_what_is_stored() -> None:
    [before] = await EncryptingCodec(OLD).encode([PAYLOAD])
    both = EncryptingCodec(f"{NEW}, {OLD}")
    [after] = await both.encode([PAYLOAD])
    assert after.metadata[KEY_ID] != before.metadata[KEY_ID]
    assert await both.decode([before, after]) == [PAYLOAD, PAYLOAD]
    with pytest.raises(PayloadUnreadable, match="add it at the end of the list"):
        await EncryptingCodec(NEW).decode([before])


async def test_what_was_stored_in_clear_is_read_as_it_is() -> None:
    assert await EncryptingCodec(OLD).decode([PAYLOAD, Payload()]) == [PAYLOAD, Payload()]


@pytest.mark.parametrize("damage", [b"", b"x", b"x" * 40])
async def test_a_damaged_payload_is_refused(damage: bytes) -> None:
    codec = EncryptingCodec(OLD)
    [sealed] = await codec.encode([PAYLOAD])
    sealed.data = damage
    with pytest.raises(PayloadUnreadable, match="damaged"):
        await codec.decode([sealed])


NO_KEYS = {
    "none": "",
    "short": "short",
    "not-ascii": "ä",
    "empty-second": f"{OLD},",
    "a-byte-less": base64.b64encode(b"x" * 31).decode(),
}


@pytest.mark.parametrize("keys", NO_KEYS.values(), ids=NO_KEYS)
def test_a_key_that_is_none_is_refused(keys: str) -> None:
    with pytest.raises(ValidationError, match="32 bytes in URL-safe base64") as refused:
        CodecServerSettings(
            temporal_payload_keys=SecretStr(keys),
            temporal_codec_token=SecretStr("t" * 20),
            temporal_codec_origins="https://ui.example",
        )
    assert not keys or keys not in str(refused.value)


def test_one_setting_turns_encryption_on_and_its_keys_are_secrets() -> None:
    assert data_converter_for(settings()) is DATA_CONVERTER
    configured = settings(temporal_payload_keys=f"{NEW},{OLD}")
    assert isinstance(data_converter_for(configured).payload_codec, EncryptingCodec)
    assert {NEW, OLD} <= set(configured.secret_values())


def test_tls_needs_no_api_key(tmp_path: os.PathLike[str]) -> None:
    assert _tls(settings()) is False
    assert _tls(settings(temporal_api_key="key")) is True
    assert _tls(settings(temporal_tls=True)) is True
    assert _tls(settings(temporal_tls=False, temporal_api_key="key")) is False
    file = os.path.join(tmp_path, "x.pem")
    with open(file, "w") as opened:
        opened.write("PEM")
    assert _tls(settings(temporal_tls_ca_file=file)) == TLSConfig(server_root_ca_cert=b"PEM")
    both = settings(temporal_tls_cert_file=file, temporal_tls_key_file=file)
    assert _tls(both) == TLSConfig(client_cert=b"PEM", client_private_key=b"PEM")
    with pytest.raises(ValidationError, match="need each other"):
        settings(temporal_tls_cert_file=file)
    with pytest.raises(ValidationError, match="TEMPORAL_TLS is off"):
        settings(temporal_tls=False, temporal_tls_ca_file=file)
