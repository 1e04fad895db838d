"""What the server tells envd: one JSON document on stdin, so that no secret stands on a command line."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EnvdConfig:
    """`listener` is the descriptor of an inherited listening socket, `relays` the loopback ports to open
    inside.

    Commands start with `base_envs`, then the proxy's variables, then the sandbox's `envs`.
    """

    listener: int
    access_token: str
    base_envs: dict[str, str]
    envs: dict[str, str]
    egress_socket: str
    relays: list[int]
    memory_bytes: int
    """Of each process."""
    file_bytes: int
    """Of each file."""
