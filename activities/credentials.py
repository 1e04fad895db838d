"""A project's keys and the environment of its sandboxes' commands, as activities hold them."""

from dataclasses import dataclass, field

from temporalio.exceptions import ApplicationError

from kit.scrub import Scrubber
from models.provider_key import Provider


@dataclass(frozen=True)
class Credentials:
    """A project's keys, and the environment of its sandboxes' commands, in clear: never stored or logged."""

    keys: dict[Provider, str] = field(repr=False)
    environment: dict[str, str] = field(repr=False)
    secret_names: tuple[str, ...]
    scrubber: Scrubber = field(repr=False)

    def key(self, provider: Provider, setting: str) -> str:
        if (key := self.keys.get(provider)) is None:
            raise ApplicationError(
                f"There is no {provider} key: set {setting} for the worker, or give the project its own with "
                "POST /api/v1/project/provider-keys/set.",
                type="CREDENTIAL_MISSING",
                non_retryable=True,
            )
        return key

    @property
    def command_environment(self) -> dict[str, str]:
        """What a tool's command sees; the toolbox keeps the values of the named secrets out of its files."""
        return {**self.environment, "CODECOURIER_SECRETS": ",".join(self.secret_names)}
