"""`python -m local.forge --host 127.0.0.1 --port P --data DIR`, with the token in FORGE_TOKEN.

A second user can be given a token in FORGE_REVIEWER_TOKEN: nobody approves his own pull request.  A GitHub
App is known by its id and the public half of its key, in FORGE_APP_PUBLIC_KEY.
"""

import argparse
import fcntl
import hashlib
import os
import sys
from pathlib import Path

import uvicorn

from local.forge.app import Forge, create_app
from local.forge.github_app import App
from local.forge.store.repositories import OWNER

MIN_TOKEN_CHARS = 16
INSTALLED_PERMISSIONS = {
    "actions": "write",
    "checks": "write",
    "contents": "write",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "read",
}
"""What an App's installations have granted: what our documentation says to ask for."""


def main() -> None:
    """Serves until it is told to stop; ready when `GET /health` answers 204."""
    parser = argparse.ArgumentParser(prog="python -m local.forge", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="directory of all its state")
    parser.add_argument("--login", default="codecourier", help="name of the user the token belongs to")
    parser.add_argument("--reviewer", default="reviewer", help="name of the user of FORGE_REVIEWER_TOKEN")
    parser.add_argument("--webhook-url", help="where to tell everything; FORGE_WEBHOOK_SECRET signs it")
    parser.add_argument("--app", help="id of the GitHub App of FORGE_APP_PUBLIC_KEY")
    parser.add_argument("--installed", action="append", default=[], help="an owner who has that App")
    flags = parser.parse_args()
    tokens = {flags.login: take_token("FORGE_TOKEN")}
    if os.environ.get("FORGE_REVIEWER_TOKEN"):
        tokens[flags.reviewer] = take_token("FORGE_REVIEWER_TOKEN")
    for login in tokens:
        if not OWNER.fullmatch(login):
            sys.exit(f"{login!r} is not a user name: use letters, digits and single dashes.")
    secret = os.environ.pop("FORGE_WEBHOOK_SECRET", "") or None
    if flags.webhook_url and not flags.webhook_url.startswith(("http://", "https://")):
        sys.exit(
            f"--webhook-url {flags.webhook_url!r} is not an address: it starts with http:// or https://."
        )
    flags.data.mkdir(parents=True, exist_ok=True)
    with (flags.data / "forge.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"Another forge already serves {flags.data}: stop it, or give another --data.")
        root = f"http://{flags.host}:{flags.port}"
        github_app = None
        if flags.app:
            key, owners = os.environ.pop("FORGE_APP_PUBLIC_KEY", ""), flags.installed
            signing = hashlib.sha256(f"app {tokens[flags.login]}".encode()).hexdigest()
            installed = frozenset(owner.lower() for owner in owners)
            github_app = App(flags.app, key, installed, INSTALLED_PERMISSIONS, signing)
        app = create_app(Forge(flags.data, root, flags.login, tokens, flags.webhook_url, secret, github_app))
        uvicorn.run(
            app,
            host=flags.host,
            port=flags.port,
            loop="asyncio",  # uvloop raises when a git that needs no input ends before it was written
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=120,  # longer than clients pause: none meets a connection just closed
            timeout_graceful_shutdown=5,
        )


def take_token(variable: str) -> str:
    """What the environment gives, and takes no further: git and its hooks inherit nothing of it."""
    value = os.environ.pop(variable, "")
    if len(value) < MIN_TOKEN_CHARS:
        sys.exit(f"{variable} must be set to at least {MIN_TOKEN_CHARS} characters: it is what callers send.")
    return value


if __name__ == "__main__":
    main()
