"""The secret scan: all that a push would add, searched to its last byte for the project's secrets."""

import asyncio
from contextlib import aclosing

from gateways.errors import UpstreamRefused
from gateways.git.quarantine import Quarantine
from kit.redaction import Redactor


class SecretInChange(UpstreamRefused):
    """The change holds one of the project's secrets."""

    def __init__(self) -> None:
        super().__init__(
            "The change holds one of the project's secrets: it was not pushed. Tell the agent in the prompt "
            "to read it from the environment instead, and start the run again."
        )


async def require_no_secrets(quarantine: Quarantine, redactor: Redactor) -> None:
    """Search every commit, name and content that is new.  Raises `SecretInChange`.

    A whole history counts: what one commit adds and the next removes is pushed all the same.
    """
    kept = b""
    async with aclosing(quarantine.contents()) as pieces:
        async for piece in pieces:
            kept = (kept + piece)[-redactor.longest_bytes - len(piece) :]
            if await asyncio.to_thread(redactor.is_in, kept):
                raise SecretInChange
