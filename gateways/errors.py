"""What can go wrong outside: every gateway raises these and nothing else.

* GatewayError          `message` is one sentence a user can act on and holds no secret
  x ProviderLimit       the provider asks us to wait: a wait, not an attempt
  x CredentialMissing   there is no key at all: trying again is useless
  x CredentialRefused   the key or token is wrong, revoked, or lacks a right: trying again is useless
  x UpstreamFailed      a fault on their side or on the way: try again
    x SandboxNotRunning the sandbox is paused or gone: attach to it again, which resumes it or tells
    x SandboxGone       the sandbox no longer exists: go on in another one
  x UpstreamRefused     the request itself is wrong: trying the same again is useless
"""


class GatewayError(Exception):
    """A call to an outside system that did not do what was asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ProviderLimit(GatewayError):
    """A rate or concurrency limit; `retry_after` in seconds, where the provider named a time."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CredentialMissing(GatewayError):
    """Neither the project nor the server has a key for the provider."""

    def __init__(self, key: str, settings: str) -> None:
        """key: whose, as users call it; settings: those that give the server one, in words."""
        super().__init__(
            f"There is no {key} key: set {settings} for the server, or give the project its own with "
            "POST /api/v1/project/provider-keys/set."
        )


class CredentialRefused(GatewayError):
    """The provider did not accept the credential."""


class UpstreamFailed(GatewayError):
    """The provider could not be reached or failed: transient."""


class SandboxNotRunning(UpstreamFailed):
    """The sandbox was paused, killed or lost; transient, as attaching again resumes it or says `SandboxGone`.

    Also a single answer of the control plane that there is no such sandbox, which decides nothing.
    """


class SandboxGone(UpstreamFailed):
    """The control plane, asked twice, has no such sandbox, or it came back without its latest files.

    What was in it cannot be reached any more.
    """


class UpstreamRefused(GatewayError):
    """The provider understood the request and will not do it: permanent."""
