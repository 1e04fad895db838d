"""Refusals of a sandbox's egress: by host how often, told to whoever asks about the sandbox.

E2B's protocol has no field for them: they stand in the metadata that a look-up answers with, as JSON under
`egressRefused`.  A restart of the server forgets them.
"""

import json

MAX_HOSTS = 20
"""Those that are told; what else is refused counts as `OTHER_HOSTS`."""
OTHER_HOSTS = "*"
MAX_HOST_CHARS = 253


class RefusalCounter:
    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, host: str) -> None:
        """Once more; a name that code inside made up is cut."""
        name = host[:MAX_HOST_CHARS].lower()
        if name not in self._counts and len(self._counts) >= MAX_HOSTS:
            name = OTHER_HOSTS
        self._counts[name] = self._counts.get(name, 0) + 1

    @property
    def metadata(self) -> dict[str, str]:
        return {"egressRefused": json.dumps(self._counts)} if self._counts else {}
