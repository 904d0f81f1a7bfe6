"""The process of one trial: it calls the user's function, and tells the executor how that ended. No torch, unless the
user's code loads it.

It is a fork of the server, or, as a program, loads the code itself.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import setproctitle

from hpo import disk, own_code
from hpo.errors import InputError
from hpo.execution.functions.job import FunctionJob
from hpo.execution.functions.messages import Begin, Raised, Returned
from hpo.execution.functions.threads import set_threads
from hpo.execution.functions.trial import Trial, cpu_seconds

OUTPUT = "output.txt"
"""File in a trial's folder with what its process prints."""
END_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux."""


def live(connection: Connection, job: FunctionJob, function: Callable[[Trial], Any]) -> None:
    """Calls the function for the trial that the executor names, and reports how it ended. Does not raise."""
    try:
        begin: Begin = pickle.loads(connection.recv_bytes())
    except (EOFError, OSError):
        return
    setproctitle.setproctitle(f"hpo: trial {begin.number} of {job.study}")
    folder = job.folder_of(begin.number)
    ended: Returned | Raised
    try:
        disk.make_folder(folder)
        _print_to(str(folder / OUTPUT))
        trial = Trial(begin, connection, objectives=job.objectives, data=job.data, folder=folder)
        function(trial)
        ended = Returned(cpu_seconds=cpu_seconds())
    except BaseException as error:  # SystemExit, too
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        trace = "".join(traceback.format_exception(error))
        traceback.print_exception(error)  # into the folder of the trial
        ended = Raised(error=text, traceback=trace, cpu_seconds=cpu_seconds())
    with contextlib.suppress(OSError):
        connection.send_bytes(pickle.dumps(ended, pickle.HIGHEST_PROTOCOL))
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def end_with(parent: int) -> None:
    """Has this process killed when its parent ends, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _print_to(path: str) -> None:
    """Has this process, and those that it starts, append what they print to a file; `OSError` where it is a link, which
    another user of the folder may have put there."""
    sys.stdout.flush()
    sys.stderr.flush()
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o600)
    os.dup2(number, 1)
    os.dup2(number, 2)
    os.close(number)


def main() -> None:
    """The program of a process that is no fork: `PID_OF_THE_SERVER SOCKET`."""
    end_with(int(sys.argv[1]))
    number = int(sys.argv[2])
    os.set_inheritable(number, False)
    connection = Connection(number)
    try:
        job: FunctionJob = pickle.loads(connection.recv_bytes())
    except (EOFError, OSError):
        return
    own_code.pin_all(job.sources)
    try:
        function = own_code.load_callable(job.function)
    except InputError as error:  # it could be loaded before
        ended = Raised(error=str(error), traceback="", cpu_seconds=cpu_seconds())
        connection.send_bytes(pickle.dumps(ended))
        return
    set_threads(job.resources.cpus)
    live(connection, job, function)


if __name__ == "__main__":
    main()
