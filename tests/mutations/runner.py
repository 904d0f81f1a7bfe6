"""Tries inputs in child processes that may take neither much memory nor long, and sums up how they were answered.

The limits are there to find endless loops and sizes that an input makes up, so they are far from what any input needs:
seconds of processor time, which other programs on the machine do not add to, and memory beside what the parent had.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from tests.mutations.kinds import Kind

SECONDS = 5.0
"""Processor time of one input."""
STUCK_SECONDS = 120.0
"""Time after which an input that takes no processor time counts as stuck."""
BYTES = 1 << 30
"""Memory beside what there was before."""
CHILD = 100
"""Inputs that one child tries: what one leaves behind may show in a later one."""


class Hang(BaseException):
    """The processor time of one input is spent."""


@dataclass(kw_only=True, slots=True)
class Figures:
    """How the inputs of one kind were answered."""

    inputs: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    """Seconds of processor time."""
    most_bytes: int = 0
    """Memory that an input took beside what its process had before."""
    faults: list[str] = field(default_factory=list)
    """Seed and traceback of each input that was not answered."""

    def __str__(self) -> str:
        codes = ", ".join(f"{count} x {code}" for code, count in sorted(self.codes.items()))
        used = f"slowest {self.slowest:.2f} s, most memory {self.most_bytes / 2**20:.0f} MiB"
        return f"{self.inputs} inputs; answers {codes}; {used}; {len(self.faults)} faults"


def run(
    kind: Kind, count: int, first: int = 0, told: Callable[[Kind, Figures], None] = lambda kind, figures: None
) -> Figures:
    """Try `count` inputs; the seed of each is its number, counted from `first`. `told` is told after each child."""
    figures = Figures()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        inputs = kind.prepare(Path(folder), stack)
        following, end = first, first + count
        while following < end:
            following = _child(kind, inputs, Path(folder), following, min(end, following + CHILD), figures)
            told(kind, figures)
    return figures


def _child(kind: Kind, inputs: Any, folder: Path, first: int, end: int, figures: Figures) -> int:
    """Have one child try inputs; the first that it has not tried."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_try_all, args=(kind, inputs, folder, range(first, end), theirs))
    child.start()
    theirs.close()
    for seed in range(first, end):
        if not ours.poll(STUCK_SECONDS):
            found = {"fault": f"stuck for {STUCK_SECONDS:.0f} s"}
            child.kill()
        else:
            try:
                found = json.loads(ours.recv())
            except EOFError:
                child.join()
                found = {"fault": f"the process ended with {child.exitcode}"}
        figures.inputs += 1
        figures.codes.update(found.get("codes", ()))
        figures.slowest = max(figures.slowest, found.get("seconds", 0.0))
        figures.most_bytes = max(figures.most_bytes, found.get("bytes", 0))
        if fault := found.get("fault"):
            figures.faults.append(f"{kind.name} {seed}: {fault}")
            if "seconds" not in found:
                child.join()
                return seed + 1
    child.join()
    return end


def _try_all(kind: Kind, inputs: Any, folder: Path, seeds: range, answers: Connection) -> None:
    with open(os.devnull, "w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
    signal.signal(signal.SIGPROF, _hang)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + 2 * BYTES,) * 2)
    for seed in seeds:
        answers.send(json.dumps(dict(_tried(kind, inputs, folder, seed))))


def _tried(kind: Kind, inputs: Any, folder: Path, seed: int) -> Iterator[tuple[str, Any]]:
    before, began = _memory(), time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with TemporaryDirectory(dir=folder) as place:
            answers = kind.attempt(inputs, Random(f"{kind.name} {seed}"), Path(place))
        yield "codes", [answer.code for answer in answers]
        for answer in answers:
            assert "Traceback (most recent call last)" not in answer.text, answer.text
            assert "allocate" not in answer.text, f"memory was asked for without end: {answer.text}"
        assert _status("VmHWM") - before < BYTES, "it took too much memory"
    except BaseException as error:
        lines = traceback.format_exception(error)
        yield "fault", "".join([*lines[-8:]])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
    yield "bytes", max(0, _status("VmHWM") - before)
    yield "seconds", time.process_time() - began


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang(f"more than {SECONDS} s of processor time")


def _memory() -> int:
    """Memory in use now; its highest value is counted from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))
