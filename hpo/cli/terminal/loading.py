"""Loading large libraries in less time. They make hundreds of thousands of objects that stay until the process ends,
and Python's collector of cycles would look through all of them many times, and once more at the end."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """For a block of imports: the collector pauses in it, and afterwards passes over what is there."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.unregister(gc.freeze)
        atexit.register(gc.freeze)
