"""What can go wrong outside: every gateway raises these and nothing else.

* GatewayError          `message` is one sentence a user can act on and holds no secret
  x ProviderLimit       the provider asks us to wait: a wait, not an attempt
  x CredentialRefused   the key or token is wrong, revoked, or lacks a right: trying again is useless
  x UpstreamFailed      a fault on their side or on the way: try again
    x SandboxGone       the sandbox no longer exists: build it anew, then try again
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


class CredentialRefused(GatewayError):
    """The provider did not accept the credential."""


class UpstreamFailed(GatewayError):
    """The provider could not be reached or failed: transient."""


class SandboxGone(UpstreamFailed):
    """The sandbox was killed, timed out or lost; nothing in it can be reached any more."""


class UpstreamRefused(GatewayError):
    """The provider understood the request and will not do it: permanent."""
