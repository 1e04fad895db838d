"""The toolbox as one file that Python runs: the same bytes, and so the same name, for the same sources."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import lru_cache
from pathlib import Path

START = "from toolbox.journal import main\n\nmain()\n"


@lru_cache(maxsize=1)
def archive() -> bytes:
    """A zip archive with a `__main__.py`, deterministic."""
    sources = {
        f"toolbox/{path.name}": path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in {"__main__.py": START, **sources}.items():
            packed.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


@lru_cache(maxsize=1)
def name() -> str:
    """A file name that changes with the content: what is there under it need not be compared."""
    return f"toolbox-{hashlib.sha256(archive()).hexdigest()[:16]}.pyz"
