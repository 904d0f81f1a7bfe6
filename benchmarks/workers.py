"""One study by 1, 2 and 4 local workers: trials per second against one worker, and whether the tables are equal.

    python -m benchmarks.workers [--runs 3] [--study benchmarks/workers.toml] [--workers 1 2 4]

Counted are the database, checkpoints, scoring the winner and the report, and what is left of the start of processes.
Loading libraries is not counted, neither here nor in the workers, which are begun before it as by `hpo run`; the last
column is the time of the whole process. More workers than cores cannot be faster than as many as there are cores; they
are here for the table.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.end_to_end import run
from benchmarks.machine import processor, spread
from hpo.execution.sizing import usable_cores

HERE = Path(__file__).parent

SCRIPT = """
import json, sys, time
from pathlib import Path
from hpo.execution.prestart import ProcessPool
workers = int(sys.argv[3])
pool = ProcessPool(workers if workers > 1 else 0)
from hpo.studyfile.file import read_study_file
from hpo.storage.open import sqlite_url
from hpo.runtime.local_run import run_study
import alembic.command, hpo.reports.render.build, sklearn.datasets, sklearn.model_selection
home = Path(sys.argv[2])
started = time.perf_counter()
spec = read_study_file(Path(sys.argv[1]))
url = sqlite_url(home)
result = run_study(spec, url, home, lambda progress: None, device="cpu", workers=workers, pool=pool)
wall = time.perf_counter() - started
now = result.progress
print(json.dumps({"wall_s": wall, "trials_per_s": now.ended / wall, "epochs": now.epochs,
                  "training": now.train_seconds / wall}))
"""


def measured(study: Path, workers: int) -> tuple[dict[str, float], str]:
    """Figures of one run in a fresh process, and a fingerprint of its table of trials."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        figures = run([sys.executable, "-c", SCRIPT, str(study), folder, str(workers)])
        figures["process_s"] = time.perf_counter() - started
        (table,) = Path(folder).glob("reports/*/trials.csv")
        return figures, hashlib.sha256(table.read_bytes()).hexdigest()[:12]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--study", type=Path, default=HERE / "workers.toml")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    args = parser.parse_args()
    rows: dict[int, list[dict[str, float]]] = {workers: [] for workers in args.workers}
    tables = set()
    for _ in range(args.runs):  # in turn, so that what else the machine does is shared by all
        for workers, its in rows.items():
            figures, table = measured(args.study, workers)
            its.append(figures)
            tables.add(table)
    print(f"{processor()}, {usable_cores()} usable cores of {os.cpu_count()}, torch {torch.__version__}, ", end="")
    print(f"Python {platform.python_version()}, study {args.study.stem}, n = {args.runs}\n")
    print("| workers | trials per second | ratio to the first | wall s | share in training | process s |")
    print("|---|---|---|---|---|---|")
    first = rows[args.workers[0]]
    for workers, its in rows.items():
        ratios = [row["trials_per_s"] / base["trials_per_s"] for row, base in zip(its, first, strict=True)]
        rate, *others = ([row[key] for row in its] for key in ("trials_per_s", "wall_s", "training", "process_s"))
        cells = [spread(column) for column in (rate, ratios, *others)]
        print(f"| {workers} | {' | '.join(cells)} |")
    print(f"\ntables of trials: {'all equal' if len(tables) == 1 else f'{len(tables)} DIFFERENT ONES'}")


if __name__ == "__main__":
    main()
