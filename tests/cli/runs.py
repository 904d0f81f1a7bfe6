"""The real `hpo` command in processes of its own, in a folder of its own."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forked import Forked
from tests.runtime.small import small_text

LIMIT = 600
"""Seconds after which a command counts as stuck."""

COMMAND = (sys.executable, "-c", "from hpo.cli import main; main()")
SETTINGS = {"HPO_HOME", "HPO_STORAGE"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A working directory with study files."""

    folder: Path

    def write(self, **tables: str) -> None:
        """Puts the small study, longer and with whole tables replaced, into `small.toml`."""
        text = small_text(**({"training": "epochs = 12"} | tables))
        (self.folder / "small.toml").write_text(text, encoding="utf-8")

    def start(
        self,
        *arguments: object,
        command: Sequence[str] = COMMAND,
        fresh: bool = False,
        before: str = "",
        **options: Any,
    ) -> Forked | subprocess.Popen[str]:
        """A command that runs. `fresh`: it loads its libraries itself, as another command does, and one with options of
        `Popen`; otherwise it may run the code `before` first."""
        environment = {key: value for key, value in os.environ.items() if key not in SETTINGS}
        if command == COMMAND and not options and not fresh:
            return Forked(list(map(str, arguments)), cwd=self.folder, env=environment, before=before)
        return subprocess.Popen(
            [*command, *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **({"preexec_fn": _listen} | options),
        )

    def hpo(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=LIMIT)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def run(self, *arguments: object) -> str:
        """`hpo run small.toml`, which must succeed; what it printed."""
        done = self.hpo("run", "small.toml", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop_at(self, moment: Callable[[], bool], number: signal.Signals, *arguments: object) -> tuple[int, str]:
        """Runs the study, sends the signal as soon as the moment has come; the exit code and the standard error."""
        process = self.start("run", "small.toml", *arguments)
        deadline = time.monotonic() + LIMIT
        while not moment():
            assert process.poll() is None, f"the study ended before the moment came: {process.communicate()}"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(number)
        _, err = process.communicate(timeout=LIMIT)
        return process.returncode, err

    def ticks(self, home: str = "runs") -> int:
        """Epochs of the trials in flight that have been saved, as the newest file of running trials counts them."""
        files = (self.folder / home / "checkpoints" / "small").glob("running-*.pt")
        return max((int(file.stem.rpartition("-")[2]) for file in files), default=0)

    def table(self, home: str = "runs") -> bytes:
        return (self.folder / home / "reports" / "small" / "trials.csv").read_bytes()

    def epochs(self, home: str = "runs") -> list[list[str]]:
        """epochs.csv but for its last column, the seconds."""
        with (self.folder / home / "reports" / "small" / "epochs.csv").open(newline="") as file:
            return [row[:-1] for row in csv.reader(file)]

    def trials(self, home: str = "runs") -> list[dict[str, str]]:
        return list(csv.DictReader(self.table(home).decode().splitlines()))


def _listen() -> None:
    """A test run in the background, or under `nohup`, has signals switched off, and hands that on to its children."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
