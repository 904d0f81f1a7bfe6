"""What `hpo run` takes beside the study itself, and how long a data set takes that an earlier command has read.

    python -m benchmarks.overhead [--runs 5]

The tables of `benchmarks.reading`, an MLP of 16 units, 4 trials of 4 epochs. Overhead is the wall time of the command,
from its start to its end, without the seconds that it reports for the study: loading libraries, reading the data,
splitting, creating the database, checking the models, the winner's test, the report. "first": in a new home folder;
"second": another study on the same data, which come from the cache. As the machine may be busy, the processor seconds
of the whole command are given, too, and the wall time of `import torch` alone.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import processor, spread
from benchmarks.reading import tables

STUDY = """
[study]
baselines = false
name = "{name}"
[data]
dataset = "{file}"
target = "{target}"
[model]
family = "mlp"
hidden = [16]
[optimizer]
name = "adam"
learning_rate = {{ low = 1e-4, high = 1e-1, log = true }}
[training]
epochs = 4
batch_size = 512
[search]
trials = 4
"""
CACHED = """
import sys, time
from pathlib import Path
from hpo.data.cache.slot import slot_of
from hpo.studyfile.file import read_study_file
study = Path(sys.argv[1])
data = read_study_file(study).data
began = time.perf_counter()
assert slot_of(data, study.parent, Path(sys.argv[2])).load() is not None
print(time.perf_counter() - began)
"""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Python keeps what it compiled, as it does unless told otherwise: compiling anew takes a second."""


class Command(NamedTuple):
    """What a command took, in seconds."""

    wall: float
    processor: float
    said: str


def command(*arguments: str) -> Command:
    """Runs Python with the arguments."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Command(wall, used, done.stdout.decode())


def of_study(said: str) -> float:
    """The seconds that `hpo run` reports for the study."""
    found = re.search(r"trials ended: .*\(([\d.]+) s", said)
    assert found is not None, said
    return float(found[1])


def measured(folder: Path, file: Path, target: str, runs: int) -> Iterator[dict[str, float]]:
    """The figures of each run."""
    for run in range(runs):
        home, figures = folder / f"home{file.stem}{run}", {}
        for number in ("first", "second"):
            study = folder / f"{file.stem}-{number}.toml"
            study.write_text(STUDY.format(name=study.stem, file=file, target=target))
            went = command("-c", "from hpo.cli import main; main()", "run", str(study), "--home", str(home))
            figures |= {number: went.wall - of_study(went.said), f"{number} processor": went.processor}
        figures["cached"] = float(command("-c", CACHED, str(study), str(home)).said)
        figures["torch"] = command("-c", "import torch").wall
        yield figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "optuna", "pandas"))
    print(f"{processor()}, {libraries}, n = {args.runs}, median (range)\n")
    took = "overhead s; processor s"
    print(f"| file | data set from cache s | first: {took} | second: {took} | `import torch` s |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        command("-c", "import hpo.runtime.local_run, hpo.reports.render.build")
        for file, target in tables(Path(folder), []):
            runs = list(measured(Path(folder), file, target, args.runs))
            of = {name: spread([figures[name] for figures in runs]) for name in runs[0]}
            both = [f"{of[number]}; {of[f'{number} processor']}" for number in ("first", "second")]
            print(f"| {file.name} | {of['cached']} | {' | '.join(both)} | {of['torch']} |")


if __name__ == "__main__":
    main()
