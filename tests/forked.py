"""The `hpo` command in processes that are forked from one that has loaded its libraries, which takes seconds.

`Forked` has the part of `subprocess.Popen` that tests use. Its process has its own arguments, environment, working
directory and streams; `kill`, signals and exit codes are the real ones. What a command does while its libraries load,
and which of them it loads, is tested with `subprocess`.
"""

from __future__ import annotations

import atexit
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

LIBRARIES = (
    "alembic.command, optuna, optuna_dashboard, pandas, psycopg, rich.console, rich.table, "
    "scipy.stats, sklearn.datasets, sklearn.model_selection, torch, hpo.study, hpo.cli, hpo.execution.child_process, "
    "hpo.export.folder, hpo.reports.render.build, hpo.runtime.local_run, hpo.service.worker"
)
SERVER = f"import sys; import {LIBRARIES}; from tests.forked import serve; serve(int(sys.argv[1]))"
STREAMS = 4
"""Passed with each order: standard input, output and error, and where the exit status goes."""

_server: socket.socket | None = None


class Forked:
    """A running `hpo` command with the given arguments. `communicate` and `wait` raise `subprocess.TimeoutExpired`.

    `log`: where it prints, instead of into `stdout` and `stderr`. `before`: code that it runs first.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: IO[bytes] | None = None,
        before: str = "",
    ) -> None:
        self.args = ("hpo", *arguments)
        self.returncode: int | None = None
        (out, out_end), (err, err_end), (status, status_end) = os.pipe(), os.pipe(), os.pipe()
        with open(os.devnull, "rb") as nothing:
            prints = [out_end, err_end] if log is None else [log.fileno()] * 2
            ends = [nothing.fileno(), *prints, status_end]
            order = pickle.dumps({"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "before": before})
            server = _running_server()
            socket.send_fds(server, [len(order).to_bytes(8, "little")], ends)
            server.sendall(order)
        for end in (out_end, err_end, status_end):
            os.close(end)
        self._status = status
        self.stdout: IO[str] = os.fdopen(out, encoding="utf-8")
        self.stderr: IO[str] = os.fdopen(err, encoding="utf-8")
        self.pid = int.from_bytes(_exactly(server, 8), "little")

    def poll(self) -> int | None:
        """The exit code; negative: the number of the signal that ended it; None while it runs."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it prints until it ends, on its standard output and error."""
        texts: dict[IO[str], bytes] = {self.stdout: b"", self.stderr: b""}
        left, deadline = [self.stdout, self.stderr], None if timeout is None else time.monotonic() + timeout
        while left:
            seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = select.select(left, [], [], seconds)[0]
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            for stream in ready:
                part = os.read(stream.fileno(), 65536)
                texts[stream] += part
                if not part:
                    left.remove(stream)
        self.wait(None if deadline is None else max(1.0, deadline - time.monotonic()))
        out, err = (text.decode().replace("\r\n", "\n") for text in texts.values())
        return out, err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = os.waitstatus_to_exitcode(int.from_bytes(os.read(self._status, 8), "little"))
            os.close(self._status)
        return self.returncode


def _running_server() -> socket.socket:
    """The connection to this process's server, which ends with it."""
    global _server
    if _server is None:
        _server, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-c", SERVER, str(theirs.fileno())]
            subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        atexit.register(_server.close)
    return _server


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError("the process that commands are forked from has ended")
        data += part
    return data


def serve(number: int) -> None:
    """Forks a process for each order, and passes on how each ended; until the tests' process ends."""
    connection = socket.socket(fileno=number)
    waker, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    statuses: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([connection, waker], [], [])
        if waker in ready:
            os.read(waker, 4096)
        while statuses and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            os.write(statuses[pid], status.to_bytes(8, "little"))
            os.close(statuses.pop(pid))
        if connection in ready:
            head, ends, _, _ = socket.recv_fds(connection, 8, STREAMS)
            if not head:
                return
            order = pickle.loads(_exactly(connection, int.from_bytes(head, "little")))
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for unwanted in (number, waker, woken, ends[3], *statuses.values()):
                    os.close(unwanted)
                _become(order, ends[:3])
            statuses[pid] = ends[3]
            for end in ends[:3]:
                os.close(end)
            connection.sendall(pid.to_bytes(8, "little"))


def _become(order: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Runs the command in this process, as if it had been started; never returns."""
    code = 1
    try:
        for target, end in enumerate(streams):
            os.dup2(end, target)
            os.close(end)
        for name in ("SIGCHLD", "SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        sys.argv = ["-c", *order["arguments"]]
        sys.path[0] = ""
        sys.stdin, sys.stdout, sys.stderr = (
            open(0, closefd=False),  # noqa: SIM115 open until the process ends
            open(1, "w", closefd=False),  # noqa: SIM115 open until the process ends
            open(2, "w", 1, closefd=False, errors="backslashreplace"),  # noqa: SIM115 as above
        )
        exec(order["before"], {"__name__": "before"})
        from hpo.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # as at the end of the interpreter
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                code = code or 120
        os._exit(code)
