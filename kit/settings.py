"""Every setting of the program, read from the environment once, at the edge."""

import re
from base64 import b64decode
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BeforeValidator, Field, PostgresDsn, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kit.crypto import symmetric_keys
from kit.database import driver_url
from kit.token_bucket import UNLIMITED_TEXT, Rate, parse_rate

RateLimit = Annotated[Rate | None, NoDecode, BeforeValidator(parse_rate)]
"""`600/minute` (or `second`, `hour`, `day`), `600` for the same, or `off`, which is None."""


class PayloadSettings(BaseSettings):
    """What every process needs that reads Temporal's payloads."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    temporal_payload_keys: SecretStr | None = None
    """Comma-separated keys, newest first, each 32 bytes in URL-safe base64: the first encrypts what Temporal
    stores, all of them decrypt.  Without it, payloads are stored as they are."""

    @field_validator("temporal_payload_keys")
    @classmethod
    def _require_valid_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            symmetric_keys(keys.get_secret_value())
        return keys


class CodecServerSettings(PayloadSettings):
    """Environment variables of `codecourier codec-server`."""

    temporal_payload_keys: SecretStr
    temporal_codec_token: SecretStr = Field(min_length=20)
    """What whoever asks has to show: as a bearer token, or as the password in a browser."""
    temporal_codec_origins: str
    """Comma-separated origins of Temporal's Web UI, such as `https://temporal.example.com`."""

    @field_validator("temporal_codec_origins")
    @classmethod
    def _require_origins(cls, origins: str) -> str:
        for origin in origins.split(","):
            if not re.fullmatch(r"https?://[^/\s*]+", origin.strip()):
                raise ValueError("must be origins, scheme and host without a path, separated by commas")
        return origins

    @property
    def origins(self) -> list[str]:
        return [origin.strip() for origin in self.temporal_codec_origins.split(",")]


class Settings(PayloadSettings):
    """Environment variables of the API and the worker; `README.md` holds the same list as a table."""

    database_url: PostgresDsn
    database_api_password: SecretStr | None = None
    """What `codecourier migrate` sets for the role `codecourier_api`.  Without it, the password is left
    alone, and the user in the API's `DATABASE_URL` has to be that role or a member of it."""
    database_worker_password: SecretStr | None = None
    """The same of `codecourier_worker`, for workers and for operators' commands."""
    database_pool_size: int = Field(10, ge=1, le=200)
    encryption_keys: SecretStr
    """Comma-separated Fernet keys, newest first: the first encrypts, all of them decrypt."""

    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_api_key: SecretStr | None = None
    temporal_tls: bool | None = None
    """Whether the connection to Temporal is encrypted; without it, it is when there is an API key or one of
    the files below."""
    temporal_tls_ca_file: Path | None = None
    """PEM: who signs the server's certificate; without it, the usual authorities."""
    temporal_tls_cert_file: Path | None = None
    """PEM: the client's certificate, where the server asks for one; with `temporal_tls_key_file`."""
    temporal_tls_key_file: Path | None = None
    temporal_worker_deployment: str | None = Field(None, pattern=r"^[^.]+$")
    """Opts into Temporal's Worker Versioning: the name of the deployment that all workers belong to."""
    codecourier_build: str | None = None
    """The commit that this code was built from; without it, the version and a hash of the source."""
    workflow_patches_until: str | None = Field(None, pattern=r"^\d+(\.\d+)*$")
    """The last version whose changes of workflows are begun with; without it, all are (docs/upgrading.md)."""
    worker_grace_seconds: float = Field(20, ge=0)
    """How long what runs may finish when the worker is told to stop; then it goes on elsewhere."""
    agents_grace_seconds: float = Field(120, ge=0)
    """The same for turns of agents and their tool calls: a turn that is cut is paid for again."""
    worker_metrics_address: str | None = None
    """Where the worker serves Temporal's metrics to Prometheus, e.g. `0.0.0.0:9464`; without it, nowhere."""

    e2b_api_key: SecretStr | None = None
    e2b_api_url: str | None = None
    e2b_sandbox_url: str | None = None

    server_sandboxes_per_project: int | None = Field(None, ge=1)
    """How many jobs of a project may have a sandbox at work with the server's E2B key; None: no limit."""

    anthropic_api_key: SecretStr | None = None
    anthropic_base_url: str | None = None
    default_model: str = "claude-sonnet-5-5"
    server_model_usd_per_project: Decimal | None = Field(None, ge=0, le=1_000_000)
    """What models may cost a project in a month with the server's key, in US dollars; None: no limit."""

    clerk_webhook_secret: SecretStr | None = None
    """What Clerk (Svix) signs its webhooks with, `whsec_…`; without it none are taken."""

    github_token: SecretStr | None = None
    github_app_id: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]+$")
    """A GitHub App, by its id or client id: goes before the token wherever it is installed."""
    github_app_private_key: SecretStr | None = None
    """What the App signs with: PEM, its line ends also as `\\n`, or the path of a file that holds it."""
    github_url: str = "https://github.com"
    github_api_url: str = "https://api.github.com"
    github_write_spacing_seconds: float = Field(1.0, ge=0)
    """GitHub asks for content writes one at a time, a second apart, per token."""
    github_webhook_secret: SecretStr | None = None
    """What GitHub signs the operator's own webhook for all projects with; without it that is not taken.
    Projects have hooks of their own."""

    git_cache_dir: Path | None = None
    """Where workers keep what they fetched of repositories, all of one host together; without it, in a
    directory of their user's own beside the system's temporary files."""
    git_cache_bytes: int = Field(10_000_000_000, ge=1_000_000)
    """What the cache may hold; what was not used for longest goes first."""

    webhook_allow_private: bool = False
    """Outgoing webhooks may also go to http and to private addresses: for local work only."""
    webhook_timeout_seconds: float = Field(20, ge=1, le=30)
    """How long a receiver of webhooks may take for its answer."""
    trash_retention_days: int = Field(30, ge=1, le=3650)
    """How long what was deleted can be restored; then it is deleted for good."""
    event_retention_days: int | None = Field(400, ge=30, le=36_500)
    """Events older than this are deleted, except those of jobs that have not ended; None: never (`off`)."""
    transcript_retention_days: int | None = Field(400, ge=30, le=36_500)
    """The same of agents' messages and of the results of their tool calls."""
    own_sandboxes_per_project: int = Field(10, ge=0, le=1000)
    """How many live sandboxes of its own, created through the API, a project may have."""

    files_s3_bucket: str | None = None
    """Where uploaded files are kept; without it, in the database."""
    files_s3_endpoint: str | None = None
    """Of an S3-compatible store that is not Amazon's own."""
    files_s3_region: str = "us-east-1"
    files_s3_access_key_id: str | None = None
    files_s3_secret_access_key: SecretStr | None = None

    rate_limit_per_key: RateLimit = Rate(6_000, 60)
    """How many requests an API key may make, in all processes together; None: no limit."""
    rate_limit_per_address: RateLimit = Rate(1_200, 60)
    """How many requests without a valid key an address may send to a process; None: no limit."""
    streams_per_project: int | None = Field(100, ge=1)
    """How many event streams a project may have open at a process; None (`off`): no limit."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @field_validator(
        "streams_per_project", "event_retention_days", "transcript_retention_days", mode="before"
    )
    @classmethod
    def _parse_quota(cls, given: object) -> object:
        return None if given == UNLIMITED_TEXT else given

    @field_validator("github_app_private_key")
    @classmethod
    def _require_private_key(cls, given: SecretStr | None) -> SecretStr | None:
        if given is None:
            return None
        pem = given.get_secret_value().replace("\\n", "\n")
        try:
            if not pem.lstrip().startswith("-----BEGIN"):
                pem = Path(pem).read_text()
            load_pem_private_key(pem.encode(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("must be an App's private key (PEM without a password), or its file") from None
        return SecretStr(pem)

    @field_validator("clerk_webhook_secret")
    @classmethod
    def _require_webhook_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            try:
                key = b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
            except ValueError:
                key = b""
            if not key:
                raise ValueError("must be the endpoint's signing secret, whsec_… and base64")
        return secret

    @field_validator(
        "github_url",
        "github_api_url",
        "anthropic_base_url",
        "e2b_api_url",
        "e2b_sandbox_url",
        "files_s3_endpoint",
    )
    @classmethod
    def _no_trailing_slash(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must be an http:// or https:// address")
        return url.rstrip("/") if url else url

    @model_validator(mode="after")
    def _require_bucket_keys(self) -> Self:
        if self.files_s3_bucket and not (self.files_s3_access_key_id and self.files_s3_secret_access_key):
            raise ValueError("FILES_S3_BUCKET needs FILES_S3_ACCESS_KEY_ID and FILES_S3_SECRET_ACCESS_KEY")
        return self

    @model_validator(mode="after")
    def _require_app_key(self) -> Self:
        if (self.github_app_id is None) != (self.github_app_private_key is None):
            raise ValueError("GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY go together")
        return self

    @model_validator(mode="after")
    def _require_tls_pair(self) -> Self:
        if (self.temporal_tls_cert_file is None) != (self.temporal_tls_key_file is None):
            raise ValueError("TEMPORAL_TLS_CERT_FILE and TEMPORAL_TLS_KEY_FILE need each other")
        if self.temporal_tls is False and (self.temporal_tls_ca_file or self.temporal_tls_cert_file):
            raise ValueError("TEMPORAL_TLS is off, so the files that it would use must not be set")
        return self

    @property
    def sqlalchemy_url(self) -> str:
        """The database's address with the driver that we use named in it."""
        return driver_url(str(self.database_url))

    def secret_values(self) -> list[str]:
        """Every secret of the process, for the redactors at its sinks."""
        secrets = [
            self.clerk_webhook_secret,
            self.e2b_api_key,
            self.anthropic_api_key,
            self.github_token,
            self.github_webhook_secret,
            self.temporal_api_key,
            self.files_s3_secret_access_key,
            self.github_app_private_key,
        ]
        values = [secret.get_secret_value() for secret in secrets if secret is not None]
        values += self.encryption_keys.get_secret_value().split(",")
        if self.temporal_payload_keys is not None:
            values += self.temporal_payload_keys.get_secret_value().split(",")
        passwords = [host["password"] for host in self.database_url.hosts()]
        return values + [password for password in passwords if password]


@lru_cache
def settings() -> Settings:
    return Settings()
