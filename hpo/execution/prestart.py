"""Processes that are begun before it is known what they will train, because their libraries take long to load.

This module loads none of them itself, so that a command can begin its workers first and load its own meanwhile.
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
    """Of so many workers, those that can have a trial: a study never has more of them in flight."""
    return min(workers, spec.search.concurrency)


class PrestartedProcess:
    """A child process that waits to be told what to train."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # A group of its own: Ctrl-C on the terminal is the coordinator's business alone.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "hpo.execution.child_process", str(theirs.fileno())],
                stdin=subprocess.PIPE,  # nothing is written to it: it ends when this process does
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
                env=without_secrets(),
            )
        self.pipe = Connection(ours.detach())

    def end(self) -> int:
        """Ends the process at once, if it has not ended; how it did, as a return code."""
        self.process.kill()
        code = self.process.wait()
        self.pipe.close()
        assert self.process.stdin is not None
        self.process.stdin.close()
        return code


class ProcessPool:
    """ProcessPool at hand, as many as asked for, and more when they are used up."""

    def __init__(self, ready: int = 0) -> None:
        self._ready: list[PrestartedProcess] = []
        try:
            for _ in range(ready):
                self._ready.append(PrestartedProcess())
        except BaseException:
            self._end()
            raise

    def take(self) -> PrestartedProcess:
        """A process, which is the caller's to end."""
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


def prestarted(home: Path, workers: int | None) -> ProcessPool:
    """The processes of a run with so many workers, if several: begun before all that takes long to load, since they
    load it, too. They inherit where compiled steps are kept."""
    keep_compiled(home)
    return ProcessPool(workers if workers and workers > 1 else 0)
