"""Signals: Ctrl-C, SIGTERM and a closed terminal raise `KeyboardInterrupt` in a command, but never during an import or
while pydantic builds its validators.

An interrupted import leaves modules half initialised, and some libraries swallow the interrupt or fail with unrelated
errors, as pydantic does. So the interrupt is raised when they have ended. A second signal in the meantime ends the
process at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

REMIND_SECONDS = 0.005
"""Time between two checks whether the import has ended."""
TOLD = 100
"""Checks after which a message says that the command waits for the import."""
REMINDER = signal.SIGURG
"""The signal of a reminder. It is another one than those of the user, so that no reminder can be taken for a second
signal, and does nothing where nobody listens."""
EXIT_CODE = 130
PYDANTIC = f"{os.sep}pydantic{os.sep}"


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, SIGINT, SIGTERM and SIGHUP raise `KeyboardInterrupt`. After it they end the process, which is
    only shutting down then."""
    handler = _Handler()
    heard = listened(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    signal.signal(REMINDER, handler.remind)
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in (*heard, REMINDER):
            signal.signal(number, signal.SIG_DFL)


def listened(*numbers: signal.Signals) -> list[signal.Signals]:
    """Those of the signals that are not ignored. `nohup`, and shells for commands in the background, ignore some."""
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


class _Handler:
    def __init__(self) -> None:
        self._waiting = False
        self._reminders = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not _loads(frame):
            self._interrupt()
        if self._waiting:
            os.write(2, b"hpo: interrupted\n")
            os._exit(EXIT_CODE)
        self._waiting = True
        threading.Thread(target=self._send_reminders, daemon=True).start()

    def remind(self, number: int, frame: FrameType | None) -> None:
        if not self._waiting:  # the interrupt was raised meanwhile
            return
        if not _loads(frame):
            self._interrupt()
        self._reminders += 1
        if self._reminders == TOLD:
            os.write(2, b"hpo: interrupting as soon as libraries are loaded; press Ctrl-C again to end at once\n")

    def _interrupt(self) -> NoReturn:
        self._waiting = False
        raise KeyboardInterrupt

    def _send_reminders(self) -> None:
        """Sends reminders until one was answered: one that arrives right before a call that blocks is not seen until
        the call returns."""
        while True:
            time.sleep(REMIND_SECONDS)
            if not self._waiting:
                return
            signal.pthread_kill(threading.main_thread().ident or 0, REMINDER)


def _loads(frame: FrameType | None) -> bool:
    """Whether the interrupted code is part of an import, or of pydantic."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib.") or PYDANTIC in file:
            return True
        frame = frame.f_back
    return False
