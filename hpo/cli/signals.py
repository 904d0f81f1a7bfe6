"""What Ctrl-C and SIGTERM do to a command: `KeyboardInterrupt`, but never while a module is half loaded.

An interrupted import leaves modules half made, and libraries swallow the interrupt or fail at each other in strange
ways. So it is raised when the import is over. Asked twice meanwhile, the process ends at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REMIND_SECONDS = 0.005
"""Between two looks whether the import is over."""
EXIT_CODE = 130


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, SIGINT and SIGTERM interrupt it; after it they end the process, which has nothing left to do
    but to shut down."""
    handler = _Handler()
    heard = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in a script that put us in the background
        heard.append(signal.SIGINT)
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


class _Handler:
    def __init__(self) -> None:
        self._waiting = False
        self._reminded = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        reminded, self._reminded = self._reminded, False
        if reminded and not self._waiting:  # it was raised meanwhile
            return
        if not _loads(frame):
            self._waiting = False
            raise KeyboardInterrupt
        if self._waiting and not reminded:
            os.write(2, b"hpo: interrupted\n")
            os._exit(EXIT_CODE)
        self._waiting = True
        threading.Thread(target=self._remind, args=(number,), daemon=True).start()

    def _remind(self, number: int) -> None:
        time.sleep(REMIND_SECONDS)
        self._reminded = True
        signal.pthread_kill(threading.main_thread().ident or 0, number)


def _loads(frame: FrameType | None) -> bool:
    """Whether the code that the signal met is part of an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib."):
            return True
        frame = frame.f_back
    return False
