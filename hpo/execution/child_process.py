"""A shard in a child process of the coordinator: the channel to it, through a socket, and the program of the child.

The child ends at once when its parent has ended, even if the parent was killed. Nothing is lost: its state is on disk,
or is trained again.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import setproctitle
import torch

from hpo.execution.job import TrainingJob
from hpo.execution.messages import Order, Reply
from hpo.execution.prestart import PrestartedProcess
from hpo.execution.shard import Shard, timed_reply
from hpo.execution.supervised import Died


class ChildProcess:
    """A channel to a child process that holds one shard."""

    def __init__(self, process: PrestartedProcess, job: TrainingJob, *, threads: int, title: str) -> None:
        self._process = process
        self._first: Any = (job, threads, title)

    def send(self, order: Order) -> None:
        try:
            if self._first is not None:
                # Not in __init__: so children that are started together load their libraries at the same time.
                _send(self._process.pipe, self._first)
                self._first = None
            _send(self._process.pipe, order)
        except OSError:
            raise self._died() from None

    def receive(self) -> Reply:
        try:
            received = pickle.loads(self._process.pipe.recv_bytes())
        except (EOFError, OSError):
            raise self._died() from None
        if isinstance(received, BaseException):
            raise received
        reply: Reply = received
        return reply

    def close(self) -> None:
        self._process.end()

    def _died(self) -> Died:
        code = self._process.end()  # it may have closed the socket without ending
        return Died(f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"exit code {code}")


def _send(pipe: Connection, content: Any) -> None:
    pipe.send_bytes(pickle.dumps(content, pickle.HIGHEST_PROTOCOL))


def main() -> None:
    """The child's program: executes the parent's orders until the parent ends."""
    number = int(sys.argv[1])
    os.set_inheritable(number, False)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe = Connection(number)
    with suppress(EOFError, OSError):  # the parent has ended
        job, threads, title = pickle.loads(pipe.recv_bytes())
        setproctitle.setproctitle(title)
        torch.set_num_threads(threads)
        shard = Shard(job)
        while True:
            order = pickle.loads(pipe.recv_bytes())
            try:
                reply: Any = timed_reply(shard, order)
            except Exception as error:
                error.add_note("in a worker process:\n" + "".join(traceback.format_tb(error.__traceback__)))
                reply = error
            _send(pipe, reply)


def _end_with_parent() -> None:
    """Ends this process when its standard input is closed, which happens when the parent ends."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
