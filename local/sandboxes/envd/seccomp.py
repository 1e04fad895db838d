"""The system calls that no command of a sandbox may make: a seccomp filter, in the kernel's classic BPF.

What a compiler, a test suite or a debugger of its own child needs stays allowed; what reaches further into
the kernel, or past the sandbox's own processes, ends with EPERM.

The filter is assembled here, because a list of numbers and a few jumps need no library: libseccomp is a C
library that is not everywhere, and its binding for Python is not maintained.  The tests compare every number
with libseccomp's.

A filter is a list of 8-byte instructions over `struct seccomp_data`: the call's number at offset 0, the
architecture at 4, the arguments, 8 bytes each, from 16 on (see seccomp(2)).
"""

import errno
import platform
import struct
from collections.abc import Iterable, Iterator

X86_64 = 0xC000003E
AARCH64 = 0xC00000B7
ARCHITECTURES = {"x86_64": X86_64, "aarch64": AARCH64}

REFUSED_SYSCALLS = {
    # name: its number on x86_64, on aarch64
    # Keyrings are the user's, not the process's.
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Wide ways into the kernel, which few programs need and none insists on.
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "open_by_handle_at": (304, 265),
    # Other processes' memory and descriptors; envd holds the sandbox's access token.
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    # Namespaces and mounts.
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    # How many processors a sandbox uses is its creator's to say.
    "sched_setaffinity": (203, 122),
    # The machine itself; these need privileges, too, that nobody inside has.
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "syslog": (103, 116),
}
CLONE3 = (435, 435)
"""Its flags are behind a pointer, where no filter can see them.  ENOSYS: the C library then uses clone."""
CLONE = (56, 220)
UNSHARE = (272, 97)
PTRACE = (101, 117)
SOCKET = (41, 198)

NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, …CGROUP, …UTS, …IPC, …USER, …PID and …NET
_PTRACE_OF_OTHERS = (16, 0x4206)  # ATTACH and SEIZE; a child that asks for it may be traced, as by gdb
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: no raw packets, no host's socket

INSTRUCTION_BYTES = 8
_X32 = 0x40000000  # from here on are the numbers of x86_64's second way to call
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_LOAD, _EQUALS, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

Instruction = tuple[int, int, int, int]
"""Its code; how many instructions to skip when it holds, and when it does not; its operand."""


def program(machine: str = platform.machine()) -> bytes:
    """The filter for a machine of this kind.  Raises NotImplementedError for a kind that has none."""
    if machine not in ARCHITECTURES:
        raise NotImplementedError(
            f"there is no seccomp filter for {machine}: {', '.join(ARCHITECTURES)} have one"
        )
    column = list(ARCHITECTURES).index(machine)
    return b"".join(struct.pack("=HBBI", *it) for it in _instructions(ARCHITECTURES[machine], column))


def _instructions(architecture: int, column: int) -> Iterator[Instruction]:
    yield (_LOAD, 0, 0, _ARCHITECTURE)
    yield (_EQUALS, 1, 0, architecture)  # a call by another table, as of 32-bit programs, ends its process
    yield (_RETURN, 0, 0, _KILL)
    yield (_LOAD, 0, 0, _NUMBER)
    yield (_AT_LEAST, 0, 1, _X32)
    yield _error(errno.ENOSYS)
    yield from _if_syscall(CLONE3[column], [_error(errno.ENOSYS)])
    for numbers in REFUSED_SYSCALLS.values():
        yield from _if_syscall(numbers[column], [_error(errno.EPERM)])
    for number in (CLONE[column], UNSHARE[column]):
        yield from _if_syscall(
            number, [*_argument(), (_HAS_BITS, 0, 1, NEW_NAMESPACES), _error(errno.EPERM), _allow()]
        )
    yield from _if_syscall(
        PTRACE[column], [*_argument(), *_match_any(_PTRACE_OF_OTHERS, _error(errno.EPERM)), _allow()]
    )
    yield from _if_syscall(
        SOCKET[column], [*_argument(), *_match_any(_FAMILIES, _allow()), _error(errno.EAFNOSUPPORT)]
    )
    yield _allow()


def _if_syscall(number: int, block: list[Instruction]) -> Iterator[Instruction]:
    """What is done for one system call; each block ends with an answer."""
    yield (_EQUALS, 0, len(block), number)
    yield from block


def _argument() -> Iterator[Instruction]:
    """The low half of the first argument; the kernel looks no further at any of those that are asked for."""
    yield (_LOAD, 0, 0, _FIRST_ARGUMENT)


def _match_any(values: Iterable[int], answer: Instruction) -> Iterator[Instruction]:
    for value in values:
        yield (_EQUALS, 0, 1, value)
        yield answer


def _error(number: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)


def _allow() -> Instruction:
    return (_RETURN, 0, 0, _ALLOW)
