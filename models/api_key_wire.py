"""API keys and provider keys on the wire: of a secret only its beginning or end is shown, except once."""

from typing import Annotated

from pydantic import AfterValidator, AliasChoices, AwareDatetime, Field
from pydantic.config import JsonDict

from kit.wire import Body, Moment, Read, Wire
from models.api_key import SCOPES, ApiKey
from models.provider_key import Provider, ProviderKey
from models.view import View, example

KEY = "kak_0198f2c3b1c27d3e8f4a5b6c7d8e9f0a"
MEMBER = "user_0198f2c3a2b37c4d8e5f6a7b8c9d0e1f"


def _known(scope: str) -> str:
    if scope not in SCOPES:
        raise ValueError(f"'{scope[:40]}' is not a scope")
    return scope


Scope = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": [*SCOPES]})]
_KEY: JsonDict = {
    "id": KEY, "_id": KEY, "name": "quickstart", "keyPrefix": "cc_live_k3Jx9aQ2", "memberId": MEMBER,
    "scopes": ["projects:read", "workflows:read", "runs:read"], "createdAt": "2026-01-15T10:04:00.000Z",
    "lastUsedAt": None, "expiresAt": None, "revokedAt": None,
}  # fmt: skip


class WhoAmI(Wire):
    """The key of this request."""

    model_config = example(
        id=KEY, _id=KEY, keyId=KEY, projectId="prj_0198f2c3a1b27c3d8e4f5a6b7c8d9e0f", memberId=MEMBER,
        name="quickstart",
        scopes=["projects:read", "workflows:read", "runs:read"], createdAt="2026-01-15T10:04:00.000Z",
        lastUsedAt="2026-01-15T10:05:12.000Z", expiresAt=None,
    )  # fmt: skip
    id: str
    convex_id: Annotated[str, Field(alias="_id")]
    key_id: str
    project_id: str
    member_id: str
    name: str
    scopes: list[str]
    created_at: Moment
    last_used_at: Moment | None
    expires_at: Moment | None


class ApiKeyRead(Read):
    """A key of the project, without its secret."""

    model_config = example(**_KEY)
    name: str
    key_prefix: str
    member_id: str
    scopes: list[str]
    created_at: Moment
    last_used_at: Moment | None
    expires_at: Moment | None
    revoked_at: Moment | None


class NewApiKey(ApiKeyRead):
    """A key just made; `key` is its secret and is never shown again."""

    model_config = example(**_KEY, key="cc_live_k3Jx9aQ2…")
    key: str


class ApiKeyGenerate(Body):
    model_config = example(name="quickstart", scopes=["projects:read", "workflows:read", "runs:read"])
    name: Annotated[str, Field(min_length=1, max_length=200)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))]
    expires_at: AwareDatetime | None = None


class ApiKeyRevoke(Body):
    model_config = example(keyId=KEY)
    key_id: Annotated[str, Field(validation_alias=AliasChoices("keyId", "id"))]


class ProviderKeyRead(Read):
    """A key of an outside system: only its last four characters are ever shown."""

    model_config = example(
        id="pvk_0198f2c3b1c27d3e8f4a5b6c7d8e9f0b", _id="pvk_0198f2c3b1c27d3e8f4a5b6c7d8e9f0b",
        provider="github",
        lastFour="x9Qz", createdAt="2026-01-15T10:00:00.000Z", updatedAt="2026-01-15T10:00:00.000Z",
    )  # fmt: skip
    provider: Provider
    last_four: str
    created_at: Moment
    updated_at: Moment


class ProviderKeySet(Body):
    model_config = example(provider="github", key="ghp_example_of_a_token")
    provider: Provider
    key: Annotated[
        str,
        Field(
            min_length=8,
            max_length=4096,
            pattern=r"^[\x21-\x7e]+$",
            validation_alias=AliasChoices("key", "apiKey"),
        ),
    ]


class ProviderKeyDelete(Body):
    model_config = example(provider="github")
    provider: Provider


API_KEYS = View(ApiKeyRead, ApiKey, "API key")
PROVIDER_KEYS = View(ProviderKeyRead, ProviderKey, "Provider key")
