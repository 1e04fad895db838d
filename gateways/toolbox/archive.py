"""The toolbox as two files that Python runs: itself, and its client.

The same sources are the same bytes, and have the same names.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import lru_cache
from pathlib import Path

START = "from toolbox.resident import main\n\nmain()\n"
_TOOLBOX = Path(__file__).parent
_SHARED = ("kit/__init__.py", "kit/secret_forms.py")
"""Modules from outside this package that it needs."""


@lru_cache(maxsize=1)
def archive() -> bytes:
    """A zip archive with a `__main__.py`, deterministic."""
    files = {f"toolbox/{path.name}": path for path in sorted(_TOOLBOX.glob("*.py"))}
    files |= {name: _TOOLBOX.parents[1] / name for name in _SHARED}
    sources = {name: path.read_text("utf-8") for name, path in files.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in {"__main__.py": START, **sources}.items():
            packed.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


def client() -> bytes:
    """The program that is started for each call; it finds the archive beside it, by its own name."""
    return (_TOOLBOX / "client.py").read_bytes()


@lru_cache(maxsize=1)
def name() -> str:
    """What both files are called, before `.pyz` and `.py`; it changes with the content of either.

    What is there under it need not be compared.
    """
    return f"toolbox-{hashlib.sha256(archive()).hexdigest()[:16]}"
