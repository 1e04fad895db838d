"""The trial of the walls: whether this kernel lets a sandbox be built, asked once when the server starts."""

import logging
import os
import shutil
import subprocess
from pathlib import Path

from local.sandboxes.isolation import bwrap, users
from local.sandboxes.limits.size import DISK_MB, size_of

log = logging.getLogger(__name__)

_DIRECTORY = Path("trial")
_TIMEOUT_SECONDS = 60
_ADVICE = """sandboxes cannot be walled in on this host:
{reason}
Run the server where user namespaces and seccomp filters are allowed: as root or, as another user, with
kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), kernel.unprivileged_userns_clone=1 (Debian) and
user.max_user_namespaces above 0; in a container with CAP_SYS_ADMIN and without a seccomp profile that forbids
them. CODECOURIER_UNSAFE_SANDBOX=1 starts without the walls that fail: for code that you trust only."""


class IsolationUnavailable(Exception):
    """A sandbox cannot be built here; the message says why, and what to do."""


def run() -> None:
    """Build a sandbox's walls around nothing.  Raises IsolationUnavailable.

    Where the operator does without those that fail, they are logged as a warning; what bubblewrap itself
    cannot do is always an error, as nothing would be left of the sandbox.
    """
    shutil.rmtree(_DIRECTORY, ignore_errors=True)
    try:
        uid = users.free_id(())
        for name in ("home", "tmp"):
            (_DIRECTORY / name).mkdir(parents=True)
            os.chown(_DIRECTORY / name, uid, -1)
        ended = subprocess.run(
            bwrap.command(_DIRECTORY, uid, size_of({}, DISK_MB), trial=True),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={},
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (users.NoFreeUser, OSError, subprocess.TimeoutExpired) as error:
        raise IsolationUnavailable(_ADVICE.format(reason=error)) from error
    finally:
        shutil.rmtree(_DIRECTORY, ignore_errors=True)
    if ended.returncode != 0:
        raise IsolationUnavailable(_ADVICE.format(reason=ended.stderr.strip()))
    if ended.stderr:
        log.warning("UNSAFE SANDBOXES, as CODECOURIER_UNSAFE_SANDBOX=1 wants: %s", ended.stderr.strip())
