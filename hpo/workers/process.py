"""A shard in a child process of the coordinator, reached through a socket; and the program that the child runs.

The child notices when its parent is gone, however that ended, and ends at once: what it holds is on disk, or will be
trained again.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import setproctitle
import torch

from hpo.workers.member import Died
from hpo.workers.orders import Order, Reply
from hpo.workers.outfit import Outfit
from hpo.workers.shard import Shard

SECRET = "HPO_STORAGE"
"""The environment variable that may hold a password; a child needs no database."""


class Child:
    """A process of its own that holds one shard."""

    def __init__(self, outfit: Outfit, *, threads: int, title: str) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if name != SECRET}
        with theirs:
            # A group of its own: Ctrl-C on the terminal is the coordinator's business alone.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), str(threads), title],
                stdin=subprocess.PIPE,  # nothing is written to it: it ends when this process does
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
                env=environment,
            )
        self._pipe = Connection(ours.detach())
        self._outfit: Outfit | None = outfit

    def send(self, order: Order) -> None:
        try:
            if self._outfit is not None:
                # Only now: children that begin together load their libraries together.
                _send(self._pipe, self._outfit)
                self._outfit = None
            _send(self._pipe, order)
        except OSError:
            raise self._died() from None

    def receive(self) -> Reply:
        try:
            answer = pickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise self._died() from None
        if isinstance(answer, BaseException):
            raise answer
        reply: Reply = answer
        return reply

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe.close()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _died(self) -> Died:
        self._process.kill()  # it may have closed the socket and live on
        code = self._process.wait()
        return Died(f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"exit code {code}")


def _send(pipe: Connection, content: Any) -> None:
    pipe.send_bytes(pickle.dumps(content, pickle.HIGHEST_PROTOCOL))


def main() -> None:
    """Obeys the parent for as long as it is there."""
    number, threads, title = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.set_inheritable(number, False)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    setproctitle.setproctitle(title)
    torch.set_num_threads(threads)
    pipe = Connection(number)
    with suppress(EOFError, OSError):  # the parent is gone
        shard = Shard(pickle.loads(pipe.recv_bytes()))
        while True:
            order = pickle.loads(pipe.recv_bytes())
            try:
                answer: Any = shard.do(order)
            except Exception as error:
                error.add_note("in a worker process:\n" + "".join(traceback.format_tb(error.__traceback__)))
                answer = error
            _send(pipe, answer)


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
