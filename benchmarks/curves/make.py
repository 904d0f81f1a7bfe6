"""Makes the tables of learning curves with this program: random configurations, each trained to its end with several
seeds on the same parts.

    python -m benchmarks.curves.make [--configurations 400] [--seeds 3] [--jobs 2] [NAME ...]

A table that is there is left as it is. Twelve tables of 400 configurations take about two hours on two cores.
fashion_mnist needs its Debian package; see `hpo data show fashion_mnist`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tomllib
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.curves import DESIGN, EPOCHS, FIGURES, TABLES, Task

SEARCH = (
    'trials = {trials}\nsampler = "random"\npruner = "none"\nconcurrency = 32\nconfirm = 0.0\ndefault_first = false'
)


def make(task: Task, configurations: int, seeds: int) -> str:
    """Trains and writes the table; what was done, in words."""
    import hpo

    file = TABLES / f"{task.name}.npz"
    if file.exists():
        return f"{task.name}: there"
    began = time.perf_counter()
    text = task.text(SEARCH.format(trials=configurations), name=task.name, seeds=seeds)
    with tempfile.TemporaryDirectory() as home:
        study = hpo.run(tomllib.loads(text), home=home, workers=1)
        trials, epochs = study.trials, study.epochs
    searched = [column for column in trials.columns if "." in column and not column.startswith("value.")]
    rows = trials.set_index("number")[searched]
    values = np.full((configurations, seeds, EPOCHS), np.nan)
    at = epochs["number"].to_numpy(), epochs["replica"].to_numpy(), epochs["epoch"].to_numpy() - 1
    values[at] = epochs["objective"].to_numpy()
    params: list[dict[str, Any]] = [json.loads(row.dropna().to_json()) for _, row in rows.iterrows()]
    TABLES.mkdir(exist_ok=True)
    np.savez_compressed(file, configurations=json.dumps(params), values=values.astype(np.float32))
    return f"{task.name}: {time.perf_counter() - began:.0f} s, {file.stat().st_size / 1e6:.2f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of tables (default: all)")
    args = parser.parse_args()
    tasks = [task for task in (*DESIGN, *FIGURES) if not args.names or task.name in args.names]
    with get_context("spawn").Pool(args.jobs) as pool:
        jobs = [pool.apply_async(make, (task, args.configurations, args.seeds)) for task in tasks]
        for job in jobs:
            print(job.get(), flush=True)


if __name__ == "__main__":
    main()
