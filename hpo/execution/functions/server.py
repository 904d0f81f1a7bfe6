"""The server of a study's training function: a process that loads the user's code once and starts the processes of the
trials, as forks where that is safe. It ends, and kills them, when the executor ends. No torch, unless the user's code
loads it."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import recv_handle
from typing import Any, NoReturn

import setproctitle

from hpo import own_code
from hpo.errors import InputError
from hpo.execution.functions.descendants import having, kill_all, with_descendants
from hpo.execution.functions.job import FunctionJob
from hpo.execution.functions.messages import Exited, FromServer, Kill, Launch, Launched, Ready, Refused
from hpo.execution.functions.process import end_with, live
from hpo.execution.functions.threads import set_threads, thread_limits, threads_of

MARK = "HPO_FUNCTION_PROCESS"
"""Environment variable of a process and of those that it starts, by which they are found when they are to be killed."""
ADOPT_ORPHANS = 36
"""PR_SET_CHILD_SUBREAPER of Linux."""


class Server:
    """Starts, kills and awaits the processes of the trials."""

    def __init__(self, control: Connection, job: FunctionJob, function: Callable[..., Any], *, forks: bool) -> None:
        self.control = control
        self.job = job
        self.function = function
        self.forks = forks
        self.keys: dict[int, int] = {}
        """Number of each running process by its process id."""

    def serve(self) -> None:
        """Does what the executor says, until it ends."""
        woken, wakes = socket.socketpair()
        for end in (woken, wakes):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        if sys.platform == "linux":  # what a process leaves behind when it dies is found among this one's descendants
            ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1)
        try:
            while True:
                ready = wait([self.control, woken])
                if woken in ready:
                    with suppress(BlockingIOError):
                        woken.recv(4096)
                    self._reap()
                if self.control in ready:
                    self._do(pickle.loads(self.control.recv_bytes()))
        except (EOFError, OSError):
            for pid, key in self.keys.items():
                self._kill(pid, key)

    def _do(self, order: Launch | Kill) -> None:
        if isinstance(order, Launch):
            handle = recv_handle(self.control)
            pid = self._fork(order, handle) if self.forks else self._start(order, handle)
            os.close(handle)
            self.keys[pid] = order.key
            self._tell(Launched(key=order.key, pid=pid))
        else:
            for pid in [pid for pid, key in self.keys.items() if key == order.key]:
                self._kill(pid, order.key)

    def _fork(self, order: Launch, handle: int) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(order, handle, parent)
        return pid

    def _become(self, order: Launch, handle: int, parent: int) -> NoReturn:
        """In the fork: trains the trial, and ends."""
        code = 1
        try:
            os.setsid()
            end_with(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.control.close()
            os.environ.update(_environment(order, parent))
            set_threads(self.job.resources.cpus)
            live(Connection(handle), self.job, self.function)
            code = 0
        finally:
            os._exit(code)

    def _start(self, order: Launch, handle: int) -> int:
        os.set_inheritable(handle, True)
        threads = thread_limits(threads_of(self.job.resources.cpus))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hpo.execution.functions.process", str(os.getpid()), str(handle)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[handle],
            start_new_session=True,
            env={**os.environ, **threads, **_environment(order, os.getpid())},
        )
        process.returncode = 0  # `_reap` awaits it
        return process.pid

    def _reap(self) -> None:
        """Tells of the processes that have ended, and kills what they have left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if (key := self.keys.pop(pid, None)) is not None:
                self._kill(pid, key)
                self._tell(Exited(key=key, code=os.waitstatus_to_exitcode(status)))

    def _kill(self, pid: int, key: int) -> None:
        """Kills a process and all that it has started: those of its session, and those that have one of their own, as
        the processes of `torchrun` have."""
        own = os.getpid()
        others = having(with_descendants(own), f"{MARK}={_mark(own, key)}")
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        kill_all(others)

    def _tell(self, message: FromServer) -> None:
        tell(self.control, message)


def tell(control: Connection, message: FromServer) -> None:
    """Sends the executor a message."""
    control.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def _environment(order: Launch, server: int) -> dict[str, str]:
    """What the environment of a process, and of those that it starts, says of it."""
    return {"CUDA_VISIBLE_DEVICES": order.visible_gpus, MARK: _mark(server, order.key)}


def _mark(server: int, key: int) -> str:
    return f"{server}-{key}"


def forks_safely() -> bool:
    """Whether this process may be forked: it has no other threads, and has not begun to use a GPU."""
    torch = sys.modules.get("torch")
    alone = sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1
    return alone and not (torch is not None and torch.cuda.is_initialized())


def main() -> None:
    """The server's program: loads the code of the job, and serves."""
    number = int(sys.argv[1])
    os.set_inheritable(number, False)
    control = Connection(number)
    with suppress(EOFError, OSError):
        job: FunctionJob = pickle.loads(control.recv_bytes())
        setproctitle.setproctitle(f"hpo: server of {job.study}")
        own_code.pin_all(job.sources)
        try:
            function = own_code.load_callable(job.function)
        except InputError as error:
            tell(control, Refused(error=str(error)))
            return
        forks = forks_safely()
        tell(control, Ready(forks=forks))
        Server(control, job, function, forks=forks).serve()


if __name__ == "__main__":
    main()
