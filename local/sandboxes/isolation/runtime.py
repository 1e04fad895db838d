"""What sandboxes may read besides the host's /usr: a copy of envd with the libraries it needs, and a small
/etc.

It is a copy, so that neither the modes of the checkout nor those of the directories above it matter to the
unprivileged user inside, and so that the client in the `e2b` package (0.3 s to import) stays out: only the
stubs of its protocol come along.
"""

import compileall
import importlib.util
import os
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

USER = "user"
UID = 1000
HOME = Path("/home/user")

RUNTIME = Path("runtime")
SITE = RUNTIME / "site"
ETC = RUNTIME / "etc"

_DISTRIBUTIONS = (
    "connectrpc",
    "protobuf-py",
    "protobuf-py-ext",
    "pyqwest",
    "typing-extensions",
    "uvicorn",
    "httptools",
    "click",
    "h11",
    "starlette",
    "anyio",
    "idna",
    "python-multipart",
)

_ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\n"
    f"{USER}:x:{UID}:{UID}::{HOME}:/bin/bash\n"
    "nobody:x:65534:65534::/:/bin/false\n",
    "group": f"root:x:0:\n{USER}:x:{UID}:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n",
    "hostname": "sandbox\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "resolv.conf": "",  # no resolver: names are resolved by the egress proxy
    "profile": "umask 022\n",  # the distribution's own would set PATH anew for every `bash -l`
}


def interpreter() -> Path:
    """The Python that runs this server, links resolved: envd runs on the same one."""
    return Path(sys.executable).resolve()


def prepare() -> None:
    """Build the runtime afresh below the current directory. Takes about 0.2 s."""
    shutil.rmtree(RUNTIME, ignore_errors=True)
    for name in _DISTRIBUTIONS:
        _copy_distribution(name)
    stubs = importlib.util.find_spec("e2b")
    if stubs is None or stubs.origin is None:
        raise ModuleNotFoundError("the package e2b is not installed: envd needs its protocol stubs")
    for service in ("process", "filesystem"):
        shutil.copytree(Path(stubs.origin).parent / "envd" / service, SITE / "e2b" / "envd" / service)
    shutil.copytree(Path(__file__).parents[1] / "envd", SITE / "local" / "sandboxes" / "envd")
    compileall.compile_dir(SITE, quiet=2)
    ETC.mkdir(parents=True)
    for name, text in _ETC.items():
        (ETC / name).write_text(text)
    _open_to_all(RUNTIME)


def _copy_distribution(name: str) -> None:
    installed = distribution(name)
    for file in installed.files or ():
        if ".." in file.parts:  # its scripts
            continue
        target = SITE / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path(str(installed.locate_file(file))), target)


def _open_to_all(top: Path) -> None:
    """Everything readable, nothing writable by others: what `umask 077` made would lock the sandbox out."""
    for directory, _, names in os.walk(top):
        os.chmod(directory, 0o755)  # noqa: S103 - that is what it is for
        for name in names:
            os.chmod(os.path.join(directory, name), 0o644)
