"""Imports without the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused_imports() -> Iterator[None]:
    """Import inside of this what lives as long as the process.

    Imports make a million objects and no garbage: looking through them over and over takes a fifth of a
    start.  What exists at the end is never looked at again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
