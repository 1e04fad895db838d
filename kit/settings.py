"""Every setting of the program, read from the environment once, at the edge."""

from functools import lru_cache
from typing import Literal

from pydantic import Field, PostgresDsn, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kit.database import driver_url


class Settings(BaseSettings):
    """Environment variables of the API and the worker; `README.md` holds the same list as a table."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    database_url: PostgresDsn
    database_pool_size: int = Field(10, ge=1, le=200)
    encryption_keys: SecretStr
    """Comma-separated Fernet keys, newest first: the first encrypts, all of them decrypt."""

    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_api_key: SecretStr | None = None

    e2b_api_key: SecretStr | None = None
    e2b_api_url: str | None = None
    e2b_sandbox_url: str | None = None
    sandbox_owner: str = "codecourier"
    """Written into every sandbox's metadata: only sandboxes of this owner are ever listed or killed."""

    anthropic_api_key: SecretStr | None = None
    anthropic_base_url: str | None = None
    default_model: str = "claude-sonnet-5-5"

    github_token: SecretStr | None = None
    github_url: str = "https://github.com"
    github_api_url: str = "https://api.github.com"
    github_write_spacing_seconds: float = Field(1.0, ge=0)
    """GitHub asks for content writes one at a time, a second apart, per token."""
    github_webhook_secret: SecretStr | None = None
    """What GitHub signs its webhooks with; without it none are taken."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @field_validator("github_url", "github_api_url", "anthropic_base_url", "e2b_api_url", "e2b_sandbox_url")
    @classmethod
    def _no_trailing_slash(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must be an http:// or https:// address")
        return url.rstrip("/") if url else url

    @property
    def sqlalchemy_url(self) -> str:
        """The database's address with the driver that we use named in it."""
        return driver_url(str(self.database_url))

    def secret_values(self) -> list[str]:
        """Every secret of the process, for the scrubbers at its sinks."""
        secrets = [
            self.e2b_api_key, self.anthropic_api_key, self.github_token, self.github_webhook_secret,
            self.temporal_api_key,
        ]  # fmt: skip
        values = [secret.get_secret_value() for secret in secrets if secret is not None]
        values += self.encryption_keys.get_secret_value().split(",")
        passwords = [host["password"] for host in self.database_url.hosts()]
        return values + [password for password in passwords if password]


@lru_cache
def settings() -> Settings:
    return Settings()
