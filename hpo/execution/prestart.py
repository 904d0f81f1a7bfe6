"""Child processes that are started before their training job is known, because their libraries take long to load.

This module imports none of these libraries, so that a command can start its workers first and load its own libraries at
the same time.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

from hpo.environment import keep_compiled, without_secrets
from hpo.studyfile.study import StudySpec


def useful_workers(workers: int, spec: StudySpec) -> int:
    """The number of workers, but no more than the trials that the study has in flight."""
    return min(workers, spec.concurrency)


class PrestartedProcess:
    """A child process that loads its libraries and waits for its training job."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # A process group of its own: Ctrl-C on the terminal must reach the coordinator only.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "hpo.execution.child_process", str(theirs.fileno())],
                stdin=subprocess.PIPE,  # nothing is written to it: it is closed when this process ends
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
                env=without_secrets(),
            )
        self.pipe = Connection(ours.detach())

    def end(self) -> int:
        """Kills the process if it has not ended; its return code."""
        self.process.kill()
        code = self.process.wait()
        self.pipe.close()
        assert self.process.stdin is not None
        self.process.stdin.close()
        return code


class ProcessPool:
    """Prestarted processes: `ready` of them at first, and a new one for each `take` after they are used up. Those that
    nobody took are ended when the pool is closed."""

    def __init__(self, ready: int = 0) -> None:
        self._ready: list[PrestartedProcess] = []
        try:
            for _ in range(ready):
                self._ready.append(PrestartedProcess())
        except BaseException:
            self._end()
            raise

    def take(self) -> PrestartedProcess:
        """A process; the caller must end it."""
        return self._ready.pop() if self._ready else PrestartedProcess()

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for process in self._ready:
            process.end()
        self._ready.clear()


def prestarted(home: Path, workers: int | None, spec: StudySpec) -> ProcessPool:
    """The processes of a run with so many workers, if several: begun before all that takes long to load, since they
    load it, too. They inherit where compiled steps are kept. None are for a training function of the user's own."""
    keep_compiled(home)
    return ProcessPool(workers if workers and workers > 1 and spec.function is None else 0)
