"""Runs inside a sandbox: tries one system call after the other and prints what the kernel said to each."""

import ctypes
import errno
import json
import os
import platform
import socket
import sys
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
column = ["x86_64", "aarch64"].index(platform.machine())

CLONE_NEWUSER = 0x10000000
SIGCHLD = 17


def tried(*arguments: int) -> str:
    """The name of the error, or "allowed"; a call that made a child ends the child."""
    ctypes.set_errno(0)
    result = libc.syscall(*arguments)
    if result == 0 and arguments[0] in (56, 220):
        os._exit(0)
    if result >= 0:
        return "allowed"
    return errno.errorcode[ctypes.get_errno()]


def opened(family: int, kind: int, protocol: int = 0) -> str:
    try:
        socket.socket(family, kind, protocol).close()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "allowed"


numbers = json.loads(Path(sys.argv[1]).read_text())
answers = {name: tried(number[column], 0, 0, 0, 0, 0, 0) for name, number in numbers.items()}
answers["clone with a user namespace"] = tried([56, 220][column], CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)
answers["clone3"] = tried(435, 0, 0)
answers["unshare of the user namespace"] = tried([272, 97][column], CLONE_NEWUSER)
answers["unshare of the mounts"] = tried([272, 97][column], 0x20000)
answers["attach to envd"] = tried([101, 117][column], 16, 2, 0, 0)
answers["seize envd"] = tried([101, 117][column], 0x4206, 2, 0, 0)
answers["raw socket"] = opened(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
answers["packet socket"] = opened(17, socket.SOCK_RAW)
answers["socket to the host"] = opened(40, socket.SOCK_STREAM)
answers["socket to the kernel's ciphers"] = opened(38, 5)
print(json.dumps(answers))
