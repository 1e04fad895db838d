"""API keys and provider keys on the wire: of a secret only its beginning or end is shown, except once."""

from typing import Annotated

from pydantic import AfterValidator, AliasChoices, AwareDatetime, Field
from pydantic.config import JsonDict

from kit.schemas import Body, Read, Secret, Title, UtcTimestamp, Wire
from models.json_view import JsonView, example
from models.projects.api_key import SCOPES, ApiKey
from models.projects.provider_key import Provider, ProviderKey

KEY = "kak_0198f2c3b1c27d3e8f4a5b6c7d8e9f0a"
MEMBER = "user_0198f2c3a2b37c4d8e5f6a7b8c9d0e1f"


def _require_known_scope(scope: str) -> str:
    if scope not in SCOPES:
        raise ValueError(f"'{scope[:40]}' is not a scope")
    return scope


Scope = Annotated[str, AfterValidator(_require_known_scope), Field(json_schema_extra={"enum": [*SCOPES]})]
_KEY: JsonDict = {
    "id": KEY,
    "_id": KEY,
    "name": "quickstart",
    "keyPrefix": "cc_live_k3Jx9aQ2",
    "memberId": MEMBER,
    "scopes": ["projects:read", "workflows:read", "runs:read"],
    "createdAt": "2026-01-15T10:04:00.000Z",
    "lastUsedAt": None,
    "expiresAt": None,
    "revokedAt": None,
    "createdByKeyId": None,
}


class WhoAmI(Wire):
    """The key of this request."""

    model_config = example(
        id=KEY,
        _id=KEY,
        keyId=KEY,
        projectId="prj_0198f2c3a1b27c3d8e4f5a6b7c8d9e0f",
        memberId=MEMBER,
        name="quickstart",
        scopes=["projects:read", "workflows:read", "runs:read"],
        createdAt="2026-01-15T10:04:00.000Z",
        lastUsedAt="2026-01-15T10:05:12.000Z",
        expiresAt=None,
    )
    id: str
    """The key's id."""
    convex_id: Annotated[str, Field(alias="_id")]
    """The same as `id`."""
    key_id: str
    """The same as `id`."""
    project_id: str
    """The project that the key opens."""
    member_id: str
    """The member whose key it is."""
    name: str
    """What the key is for, in the words of whoever made it."""
    scopes: list[str]
    """What the key may do; its member's role may limit it further."""
    created_at: UtcTimestamp
    """When it was made."""
    last_used_at: UtcTimestamp | None
    """When it was used last, to about 30 seconds; null if it never was."""
    expires_at: UtcTimestamp | None
    """When it is refused from; null if it does not expire."""


class ApiKeyRead(Read):
    """A key of the project, without its secret."""

    model_config = example(**_KEY)
    name: str
    """What the key is for, in the words of whoever made it."""
    key_prefix: str
    """The beginning of the secret (`cc_live_` and eight more characters), by which people recognise it."""
    member_id: str
    """The member whose key it is."""
    scopes: list[str]
    """What the key may do; its member's role may limit it further."""
    created_at: UtcTimestamp
    """When it was made."""
    last_used_at: UtcTimestamp | None
    """When it was used last, to about 30 seconds; null if it never was."""
    expires_at: UtcTimestamp | None
    """When it is refused from; null if it does not expire."""
    revoked_at: UtcTimestamp | None
    """When it was revoked; null unless it was."""
    created_by_key_id: str | None
    """The key that made it, and with which it is revoked; null for one that an operator made."""


class NewApiKey(ApiKeyRead):
    """A key just made; `key` is its secret and is never shown again."""

    model_config = example(**_KEY, key="cc_live_k3Jx9aQ2…")
    key: Secret
    """The whole secret, for the header `Authorization: Bearer …`; it is in no other answer."""


class ApiKeyGenerate(Body):
    """What the new key may do, and until when."""

    model_config = example(name="quickstart", scopes=["projects:read", "workflows:read", "runs:read"])
    name: Title
    """What the key is for."""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))]
    """What it may do; only scopes that the calling key has."""
    expires_at: AwareDatetime | None = None
    """When it is refused from, not later than the calling key; unless given, it ends with that key."""
    member_id: str | None = None
    """Whose key it is; the calling key's member unless given.  For somebody else this needs an admin."""


class ApiKeyRevoke(Body):
    """Names an API key."""

    model_config = example(keyId=KEY)
    key_id: Annotated[str, Field(validation_alias=AliasChoices("keyId", "id"))]
    """The key's id; `id` is understood, too."""
    keep_made: bool = False
    """Revoke this key alone and keep the keys that it made: to replace it by one of them."""


class ProviderKeyRead(Read):
    """A key of an outside system: only its last four characters are ever shown."""

    model_config = example(
        id="pvk_0198f2c3b1c27d3e8f4a5b6c7d8e9f0b",
        _id="pvk_0198f2c3b1c27d3e8f4a5b6c7d8e9f0b",
        provider="github",
        lastFour="x9Qz",
        createdAt="2026-01-15T10:00:00.000Z",
        updatedAt="2026-01-15T10:00:00.000Z",
    )
    provider: Provider
    """The outside system that the key is for; a project has one key for each."""
    last_four: str
    """The last four characters of the key."""
    created_at: UtcTimestamp
    """When a key for this system was first stored."""
    updated_at: UtcTimestamp
    """When the key was stored or replaced last."""


class ProviderKeySet(Body):
    """A key of an outside system; it replaces the one that the project has for that system."""

    model_config = example(provider="github", key="ghp_example_of_a_token")
    provider: Provider
    """The outside system that the key is for."""
    key: Annotated[
        str,
        Field(
            min_length=8,
            max_length=4096,
            pattern=r"^[\x21-\x7e]+$",
            validation_alias=AliasChoices("key", "apiKey"),
        ),
    ]
    """The key itself: 8 to 4,096 printable ASCII characters without spaces; `apiKey` is understood, too. It
    is stored encrypted and never shown again."""


class ProviderKeyDelete(Body):
    """Names the outside system whose key is to be deleted."""

    model_config = example(provider="github")
    provider: Provider
    """The outside system."""


API_KEYS = JsonView(ApiKeyRead, ApiKey, "API key")
PROVIDER_KEYS = JsonView(ProviderKeyRead, ProviderKey, "Provider key")
