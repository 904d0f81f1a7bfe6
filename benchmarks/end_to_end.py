"""`hpo run` against a plain Optuna script on the same study: milliseconds of a trial's epoch, everything included.

    python -m benchmarks.end_to_end [--runs 3]

Both sides run on one CPU thread, with TPE, a median pruner and SQLite, each in a fresh process whose start and imports
are not counted. Our side includes reading the data, the database, checkpoints, scoring the winner and the report.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna
import torch

from benchmarks.machine import processor, spread

HERE = Path(__file__).parent

OURS = """
import json, sys, time
from pathlib import Path
from hpo.studyfile.file import read_study_file
from hpo.storage.open import sqlite_url
from hpo.runtime.local_run import run_study
import alembic.command, hpo.reports.render.build, jinja2, optuna.importance, pandas
import sklearn.datasets, sklearn.ensemble, sklearn.model_selection
home = Path(sys.argv[2])
started = time.perf_counter()
spec = read_study_file(Path(sys.argv[1]))
result = run_study(spec, sqlite_url(home), home, lambda progress: None, device="cpu", workers=1)
wall = time.perf_counter() - started
now = result.progress
print(json.dumps({"epochs": now.epochs, "wall_s": wall, "train_s": now.train_seconds,
                  "ms_per_trial_epoch": 1e3 * wall / now.epochs, "pruned": now.pruned, "best": now.best[1]}))
"""


def run(command: list[str]) -> dict[str, float]:
    """The figures that a side prints as its last line."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    plain, ours = [], []
    for _ in range(args.runs):
        with tempfile.TemporaryDirectory() as folder:
            storage = f"sqlite:///{folder}/plain.db"
            plain.append(
                run(
                    [
                        sys.executable,
                        str(HERE / "plain_optuna.py"),
                        "--trials",
                        "60",
                        "--epochs",
                        "15",
                        "--storage",
                        storage,
                    ]
                )
            )
            ours.append(run([sys.executable, "-c", OURS, str(HERE / "plain_optuna.toml"), folder]))
    print(f"{processor()}, 1 CPU thread, torch {torch.__version__}, optuna {optuna.__version__}, ", end="")
    print(f"Python {platform.python_version()}, n = {args.runs}\n")
    print("| side | ms per trial-epoch | wall s | epochs | best validation accuracy |")
    print("|---|---|---|---|---|")
    for name, rows in (("plain Optuna + PyTorch", plain), ("hpo run", ours)):
        columns = [spread([row[key] for row in rows]) for key in ("ms_per_trial_epoch", "wall_s", "epochs", "best")]
        print(f"| {name} | {' | '.join(columns)} |")
    ratios = [a["ms_per_trial_epoch"] / b["ms_per_trial_epoch"] for a, b in zip(plain, ours, strict=True)]
    training = statistics.median(row["train_s"] / row["wall_s"] for row in ours)
    print(f"\nratio {spread(ratios)}; our side trains in {training:.0%} of its time")


if __name__ == "__main__":
    main()
