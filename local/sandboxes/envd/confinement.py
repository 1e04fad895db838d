"""The walls around everything in a sandbox that bubblewrap does not build: the last thing before envd.

    python -m local.sandboxes.envd.confinement UID [--processors N] [--lenient] [--trial]

bwrap has made the mounts and every namespace but the user's.  Here the process enters a user namespace of
its own, in which the sandbox's user is 1000 and nobody else exists; outside it is UID.  The kernel counts
processes, inotify instances and keys by user and namespace, so those of one sandbox are no other's.  Then it
gives up all privileges for good, forbids further namespaces, and loads the filter of system calls.

A wall that cannot be built ends the process with the reason; with `--lenient` it is told and left out.  With
`--trial` nothing more is done; otherwise the process becomes envd.
"""

import argparse
import ctypes
import os
import runpy
import sys
from collections.abc import Callable
from functools import partial

from local.sandboxes.envd import seccomp

_SANDBOX_UID = 1000
_OOM_SCORE = "500"  # when the host's memory runs out, a sandbox goes before the services of the stack
_NAMESPACE_LIMITS = {"max_user_namespaces": 0, "max_inotify_instances": 32, "max_inotify_watches": 65_536}

_CLONE_NEWUSER = 0x10000000
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 4, 22, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _Filter(ctypes.Structure):
    """`struct sock_fprog`: how many instructions, and where they are."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def confine(outside: int, *, lenient: bool) -> None:
    """Build every wall.  `outside` is the user's id in the namespace that is left."""
    _write("/proc/self/oom_score_adj", _OOM_SCORE)
    if os.getuid() == 0:
        os.setgroups([])
    walls: list[tuple[str, Callable[[], None]]] = [
        ("a user namespace", partial(_enter_user_namespace, outside)),
        ("limits of its own", _limit_namespace),
        ("no privileges", _drop_privileges),
        ("a filter of system calls", _filter_system_calls),
    ]
    for name, build in walls:
        try:
            build()
        except (OSError, NotImplementedError) as error:
            sys.stderr.write(f"this kernel does not give a sandbox {name}: {error}\n")
            if not lenient:
                sys.exit(1)
        if os.getuid() == 0:  # no namespace in which to be another user than root
            _set_user(outside)


def _enter_user_namespace(outside: int) -> None:
    """A child, which stays behind, writes who is who in it: that takes the privileges of the one outside."""
    entered, tell = os.pipe()
    own = f"/proc/{os.getpid()}"
    child = os.fork()
    if child == 0:
        try:
            os.close(tell)
            if os.read(entered, 1):
                _write(f"{own}/setgroups", "deny")
                _write(f"{own}/gid_map", f"{_SANDBOX_UID} {outside} 1")
                _write(f"{own}/uid_map", f"{_SANDBOX_UID} {outside} 1")
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 1)
    try:
        _call(_libc.unshare, _CLONE_NEWUSER)
        os.write(tell, b"!")
    finally:
        os.close(tell)
        os.close(entered)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise OSError(status, f"the ids of its user cannot be mapped: {os.strerror(status)}")
    _set_user(_SANDBOX_UID)


def _set_user(user: int) -> None:
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _limit_namespace() -> None:
    for name, value in _NAMESPACE_LIMITS.items():
        _write(f"/proc/sys/user/{name}", str(value))


def _drop_privileges() -> None:
    _call(_libc.prctl, _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call(_libc.prctl, _PR_SET_DUMPABLE, 0, 0, 0, 0)  # no command may look into envd, which holds its token
    _call(_libc.prctl, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    with open("/proc/sys/kernel/cap_last_cap") as file:
        last = int(file.read())
    for capability in range(last + 1):
        _call(_libc.prctl, _PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _call(_libc.capset, header, (ctypes.c_uint32 * 6)())


def _filter_system_calls() -> None:
    instructions = seccomp.program()
    wanted = _Filter(len(instructions) // seccomp.INSTRUCTION_BYTES, instructions)
    _call(_libc.prctl, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(wanted), 0, 0)


def _call(function: Callable[..., int], *arguments: object) -> None:
    """Raises OSError with the kernel's reason."""
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.sandboxes.envd.confinement")
    parser.add_argument("uid", type=int)
    parser.add_argument("--processors", type=int)
    parser.add_argument("--lenient", action="store_true")
    parser.add_argument("--trial", action="store_true")
    options = parser.parse_args()
    if options.processors is not None:
        there = sorted(os.sched_getaffinity(0))
        first = os.urandom(1)[0] % len(there)  # not all on the same ones
        os.sched_setaffinity(0, [*there, *there][first : first + min(options.processors, len(there))])
    confine(options.uid, lenient=options.lenient)
    if not options.trial:
        runpy.run_module("local.sandboxes.envd", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
