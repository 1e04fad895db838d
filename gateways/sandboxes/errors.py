"""What the E2B SDK raises, as errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from connectrpc.errors import ConnectError
from e2b.exceptions import (
    AuthenticationException,
    InvalidArgumentException,
    NotEnoughSpaceException,
    RateLimitException,
    SandboxException,
    SandboxNotFoundException,
    SandboxNotRunningException,
    ServiceBusyException,
    TemplateException,
    TimeoutException,
)

from gateways import errors


@contextmanager
def mapped_errors(doing: str) -> Iterator[None]:
    """Turn what the SDK raises into `gateways.errors`; `doing` begins the sentence.

    Nothing that the SDK raises says by itself that a sandbox is gone: one that is paused looks like one that
    was killed, and a 404 may be a mistake of the moment.  `Sandboxes.attach` decides it.
    """
    try:
        yield
    except errors.GatewayError:
        raise
    except AuthenticationException as error:
        raise errors.CredentialRefused(f"{doing} failed: E2B refused the API key; check it.") from error
    except RateLimitException as error:
        raise errors.ProviderLimit(f"{doing} was put off: {_error_message(error)}") from error
    except (SandboxNotRunningException, SandboxNotFoundException) as error:
        raise errors.SandboxNotRunning(f"{doing} failed: the sandbox does not run.") from error
    except (InvalidArgumentException, TemplateException, NotEnoughSpaceException) as error:
        raise errors.UpstreamRefused(f"{doing} was refused: {_error_message(error)}") from error
    except (TimeoutException, ServiceBusyException, ConnectError, httpx.HTTPError, OSError) as error:
        raise errors.UpstreamFailed(f"{doing} failed: {_error_message(error)}") from error
    except SandboxException as error:
        if error.status_code == 403:
            raise errors.CredentialRefused(f"{doing} was not allowed: {_error_message(error)}") from error
        if error.status_code is not None and 400 <= error.status_code < 500:
            raise errors.UpstreamRefused(f"{doing} was refused: {_error_message(error)}") from error
        raise errors.UpstreamFailed(f"{doing} failed: {_error_message(error)}") from error
    except Exception as error:  # the SDK raises bare ones, e.g. for a stream that ends without an end event
        raise errors.UpstreamFailed(f"{doing} failed: {_error_message(error)}") from error


def _error_message(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:300]
