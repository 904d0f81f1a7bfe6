"""`hpo run` against a plain Optuna script on the same study: milliseconds of a trial's epoch, everything included, and
the time to the script's result.

    python -m benchmarks.end_to_end [--runs 3]

All sides run on one CPU thread with SQLite, each in a fresh process whose start and imports are not counted. Ours
include reading the data, the database, checkpoints, scoring the winner and the report. "The same" has the script's
sampler and pruner, TPE and median; "defaults" the same study with those of this program. Run n has seed n on all sides.
Time to the script's result: until a finished trial of ours is as good as the script's best one when the script ends.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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
goal, reached = float(sys.argv[3]), []
def watch(now):
    if not reached and now.best and now.best[1] >= goal:
        reached.append(time.perf_counter() - started)
result = run_study(spec, sqlite_url(home), home, watch, device="cpu", workers=1)
wall = time.perf_counter() - started
now = result.progress
print(json.dumps({"epochs": now.epochs, "wall_s": wall, "train_s": now.train_seconds,
                  "ms_per_trial_epoch": 1e3 * wall / now.epochs, "pruned": now.pruned, "best": now.best[1],
                  "reached_s": reached[0] if reached else None}))
"""


def run(command: list[str]) -> dict[str, Any]:
    """The figures that a side prints as its last line."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    study = (HERE / "plain_optuna.toml").read_text()
    files = {"hpo run, the same": study, "hpo run, defaults": re.sub("^(sampler|pruner) = .*$", "", study, flags=re.M)}
    plain: list[dict[str, Any]] = []
    ours: dict[str, list[dict[str, Any]]] = {name: [] for name in files}
    for seed in range(args.runs):
        with tempfile.TemporaryDirectory() as folder:
            script = [sys.executable, str(HERE / "plain_optuna.py"), "--trials", "60", "--epochs", "15"]
            plain.append(run([*script, "--seed", str(seed), "--storage", f"sqlite:///{folder}/plain.db"]))
            for place, (name, text) in enumerate(files.items()):
                home = Path(folder) / str(place)
                home.mkdir()
                (home / "study.toml").write_text(text.replace("seed = 0", f"seed = {seed}"))
                goal = str(plain[-1]["best"])
                ours[name].append(run([sys.executable, "-c", OURS, str(home / "study.toml"), str(home), goal]))
    print(f"{processor()}, 1 CPU thread, torch {torch.__version__}, optuna {optuna.__version__}, ", end="")
    print(f"Python {platform.python_version()}, n = {args.runs}\n")
    print("| side | ms per trial-epoch | wall s | epochs | best validation accuracy |")
    print("|---|---|---|---|---|")
    for name, rows in {"plain Optuna + PyTorch": plain, **ours}.items():
        columns = [spread([row[key] for row in rows]) for key in ("ms_per_trial_epoch", "wall_s", "epochs", "best")]
        print(f"| {name} | {' | '.join(columns)} |")
    print("\n| ours | times as fast an epoch | times as fast to the script's result | reached it | trains |")
    print("|---|---|---|---|---|")
    for name, rows in ours.items():
        ratios = [a["ms_per_trial_epoch"] / b["ms_per_trial_epoch"] for a, b in zip(plain, rows, strict=True)]
        to_result = [a["wall_s"] / (b["reached_s"] or math.inf) for a, b in zip(plain, rows, strict=True)]
        reached = sum(row["reached_s"] is not None for row in rows)
        training = statistics.median(row["train_s"] / row["wall_s"] for row in rows)
        columns = [spread(ratios), spread(to_result), f"{reached} of {len(rows)}", f"{training:.0%} of the time"]
        print(f"| {name} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main()
