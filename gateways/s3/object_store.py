"""Files in an S3-compatible store: clients upload to an address that is signed here, we read and remove."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from obstore import delete_async, get_async, sign_async
from obstore.exceptions import (
    BaseError,
    GenericError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import S3Config

from gateways.errors import CredentialRefused, UpstreamFailed, UpstreamRefused

REQUEST_TIMEOUT: Final = timedelta(seconds=20)


class ObjectStore:
    """One bucket.  Light: it is made without I/O."""

    def __init__(
        self, bucket: str, *, endpoint: str | None, region: str, access_key_id: str, secret_access_key: str
    ) -> None:
        """endpoint: of a store that is not Amazon's own; its buckets are named in the path."""
        config: S3Config = {
            "region": region,
            "access_key_id": access_key_id,
            "secret_access_key": secret_access_key,
            "virtual_hosted_style_request": endpoint is None,
            "disable_bulk_delete": True,  # not every store has it, and we delete one by one
        }
        if endpoint is not None:
            config["endpoint"] = endpoint
        self._store = S3Store(
            bucket,
            config=config,
            client_options={
                "allow_http": True,
                "timeout": REQUEST_TIMEOUT,
                "connect_timeout": timedelta(seconds=5),
            },
            retry_config={"max_retries": 0, "retry_timeout": REQUEST_TIMEOUT},
        )

    async def sign_upload(self, key: str, lifetime: timedelta) -> str:
        """An address to which whoever knows it may PUT the object for so long."""
        with _mapped_errors("Signing an upload"):
            return await sign_async(self._store, "PUT", key, lifetime)

    async def read(self, key: str, limit: int) -> bytes | None:
        """The object; None when there is none.  UpstreamRefused when it is larger than `limit` bytes."""
        with _mapped_errors("Reading a file"):
            try:
                found = await get_async(self._store, key)
            except (FileNotFoundError, NotFoundError):
                return None
            if found.meta["size"] > limit:
                raise UpstreamRefused(f"The stored file is larger than {limit} bytes.")
            return bytes(await found.bytes_async())

    async def delete(self, key: str) -> None:
        """Remove the object; one that is not there is fine."""
        with _mapped_errors("Deleting a file"):
            try:
                await delete_async(self._store, key)
            except (FileNotFoundError, NotFoundError):
                return


@contextmanager
def _mapped_errors(doing: str) -> Iterator[None]:
    """What the library raises, as errors of ours; its own words may name addresses, so they stay inside."""
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise CredentialRefused(f"{doing} failed: the file store refused the key of the server.") from error
    except (GenericError, BaseError, OSError) as error:
        raise UpstreamFailed(f"{doing} failed: the file store did not answer as it should.") from error
