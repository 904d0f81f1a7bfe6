"""The share of an epoch that augmentation takes, with and without it in one run.

    python -m benchmarks.augmentation [--lanes 32] [--runs 5] [--examples 0] [CASE ...]

All lanes train the same model on one thread, each with strengths of its own; one cohort for each change, beside one
without. In every run each cohort trains an epoch, validation included. Printed: milliseconds of a lane's epoch (median
and range over the runs), and the share of the epoch that the change takes, the median over the runs of
1 - plain / augmented, with its range. `--examples` trains on fewer, where an epoch would last too long.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.machine import processor, spread
from benchmarks.throughput import CASES
from hpo.data.catalogue import load_dataset
from hpo.data.parts.splits import split_data
from hpo.data.prepare import PreparedData, prepare_data
from hpo.studyfile.records import Augmentation, DataTable
from hpo.training.batches import on_device
from hpo.training.lane import Setting
from hpo.training.limits import Limits
from hpo.training.trainer import Trainer

STUDIES = {
    "digits-mlp": ("digits", "mlp-64-64"),
    "digits-cnn": ("digits", "cnn-8-16"),
    "mnist5k-cnn": ("mnist5k", "cnn-8-16"),
}
CHANGES: dict[str, Augmentation] = {
    "none": Augmentation(),
    "shift": Augmentation(shift=2.0),
    "rotate": Augmentation(rotate=15.0),
    "scale": Augmentation(scale=0.2),
    "flip": Augmentation(flip=0.5),
    "noise": Augmentation(noise=0.3),
    "cutout": Augmentation(cutout=4),
    "mixup": Augmentation(mixup=0.4),
    "all": Augmentation(shift=2.0, rotate=15.0, scale=0.2, flip=0.5, noise=0.3, cutout=4, mixup=0.4),
}


def own(change: Augmentation, lane: int, lanes: int) -> Augmentation:
    """The lane's strengths, from a half of the change's to all of it."""
    share = 0.5 + 0.5 * (lane + 1) / lanes
    values = {name: type(value)(value * share) for name, value in change.model_dump().items()}
    return Augmentation(**values)


def trainer(data: PreparedData, case: str, change: Augmentation, lanes: int) -> Trainer:
    setting = Setting(
        examples=on_device(data, device=torch.device("cpu"), dtype=torch.float32),
        seed=0,
        metrics=("loss", "accuracy", "balanced_accuracy", "macro_f1"),
    )
    found = Trainer(setting, lambda config: [config], Limits(lanes))
    plain = CASES[case].config(0)
    found.admit((k, plain.model_copy(update={"augmentation": own(change, k, lanes)})) for k in range(lanes))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"default: all of {', '.join(STUDIES)}")
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--examples", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{processor()}, 1 CPU thread, torch {torch.__version__}, Python {platform.python_version()}")
    print(f"K = {args.lanes}, n = {args.runs}\n")
    print("| case | change | ms/epoch of a lane | share of the epoch, % |")
    print("|---|---|---|---|")
    for name in args.cases or STUDIES:
        dataset, case = STUDIES[name]
        table = DataTable(dataset=dataset)
        read = load_dataset(table, Path())
        data = prepare_data(read, split_data(read, table, 0), table)
        if args.examples:
            (part,) = data.replicas
            x, y, v, w = (
                getattr(part, key)[: args.examples // share]
                for key, share in (("x_train", 1), ("y_train", 1), ("x_valid", 3), ("y_valid", 3))
            )
            data = replace(data, replicas=(replace(part, x_train=x, y_train=y, x_valid=v, y_valid=w),))
        trainers = {change: trainer(data, case, strengths, args.lanes) for change, strengths in CHANGES.items()}
        times: dict[str, list[float]] = {change: [] for change in CHANGES}
        for run in range(args.runs + 1):
            for change, its in trainers.items():
                started = time.process_time()  # what else the machine does does not count
                its.tick()
                if run:
                    times[change].append(1e3 * (time.process_time() - started) / args.lanes)
        for change, found in times.items():
            shares = [100 * (1 - plain / mine) for plain, mine in zip(times["none"], found, strict=True)]
            cell = "" if change == "none" else spread(shares)
            print(f"| {name} | {change} | {spread(found)} | {cell} |", flush=True)


if __name__ == "__main__":
    main()
