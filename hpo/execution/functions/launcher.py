"""The executor's end of the server: starts it, and has it start and kill the processes of trials."""

from __future__ import annotations

import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle

from hpo.environment import without_secrets
from hpo.errors import MachineError, StudyFileError
from hpo.execution.functions.job import FunctionJob
from hpo.execution.functions.messages import Exited, Kill, Launch, Launched, Ready, Refused
from hpo.execution.functions.threads import thread_limits
from hpo.execution.supervised import Died


class Launcher:
    """The connection to a server, which is started when it is needed, and again when it has died."""

    def __init__(self, job: FunctionJob) -> None:
        self.job = job
        self._process: subprocess.Popen[bytes] | None = None
        self._control: Connection | None = None
        self._forks = True
        self._keys = count(1)

    @property
    def control(self) -> Connection | None:
        """Where the server's messages come from; None where it does not run."""
        return self._control

    @property
    def server(self) -> int | None:
        """Process id of the server; None where it does not run."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Starts the server, unless it runs. Raises `StudyFileError` where the user's code cannot be loaded."""
        if self._control is not None:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            # A process group of its own: Ctrl-C on the terminal must reach the coordinator only.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "hpo.execution.functions.server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
                env=without_secrets() | thread_limits(1),  # with more than one thread it could not be forked
            )
        self._control = Connection(ours.detach())
        try:
            self._control.send_bytes(pickle.dumps(self.job, pickle.HIGHEST_PROTOCOL))
            first = pickle.loads(self._control.recv_bytes())
        except (EOFError, OSError):
            raise MachineError(
                f"{self.job.function.key} {self.job.function}: the process that loads it died "
                f"({self._ending()}). Run the same command again; if it dies again, look at what the module does when "
                "it is imported."
            ) from None
        if isinstance(first, Refused):
            self.close()
            raise StudyFileError(first.error)
        assert isinstance(first, Ready)
        self._forks = first.forks

    def launch(self, visible_gpus: str) -> tuple[int, Connection]:
        """Starts a process for a trial; its number, and the connection to it. Raises `Died` where the server has
        died."""
        self.start()
        assert self._control is not None
        key = next(self._keys)
        ours, theirs = socket.socketpair()
        connection = Connection(ours.detach())
        with theirs:
            try:
                self._send(Launch(key=key, visible_gpus=visible_gpus))
                send_handle(self._control, theirs.fileno(), None)
            except OSError:
                connection.close()
                raise Died(self._ending()) from None
        if not self._forks:
            with suppress(OSError):
                connection.send_bytes(pickle.dumps(self.job, pickle.HIGHEST_PROTOCOL))
        return key, connection

    def kill(self, key: int) -> None:
        """Kills a process and all that it has started."""
        if self._control is not None:  # else it has ended with the server
            with suppress(OSError):
                self._send(Kill(key=key))

    def messages(self) -> Iterator[Launched | Exited]:
        """What the server has said. Raises `Died` where it has died."""
        while self._control is not None:
            try:
                if not self._control.poll(0):
                    return
                yield pickle.loads(self._control.recv_bytes())
            except (EOFError, OSError):
                raise Died(self._ending()) from None

    def close(self) -> None:
        """Ends the server and all processes."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(timeout=5)  # it kills the processes first
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _send(self, order: Launch | Kill) -> None:
        assert self._control is not None
        self._control.send_bytes(pickle.dumps(order, pickle.HIGHEST_PROTOCOL))

    def _ending(self) -> str:
        """Closes what is left of a server that has died; how it died."""
        process = self._process
        self.close()
        assert process is not None
        return how_died(process.returncode)


def how_died(code: int) -> str:
    """An exit code in words: `signal 9, Killed` or `exit code 3`."""
    return f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"exit code {code}"
