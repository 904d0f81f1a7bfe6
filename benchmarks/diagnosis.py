"""Whether faults put into trainings are named, and sound trainings are not accused.

    python -m benchmarks.diagnosis [--seeds 20] [CASE ...]
    python -m benchmarks.diagnosis --cost [--runs 5]

Each case trains a small model with so many seeds. Printed: the share of the seeds in which one of the expected signs
was found, and every other sign with its share. Sound cases expect none; those that only say that epochs could be saved
do not count. `--cost`: the share of the processor time of a training of 15 epochs, 8 lanes, that the diagnosis takes:
measuring updates, and looking at each model when its training ends; median and range over runs, each beside a training
without.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from benchmarks import augmentation
from benchmarks.machine import spread
from hpo.data.catalogue import load_dataset
from hpo.data.dataset import Dataset
from hpo.data.parts.splits import split_data
from hpo.data.prepare import prepare_data
from hpo.signs import HARMLESS, Code, Sign
from hpo.studyfile.records import Augmentation, DataTable, TrialConfig
from hpo.training import packing
from hpo.training.batches import on_device
from hpo.training.diagnosis import rules, updates
from hpo.training.diagnosis.measure import Diagnosis, constant_loss
from hpo.training.diagnosis.updates import Updates, updates_of
from hpo.training.lane import Setting
from hpo.training.limits import Limits
from hpo.training.trainer import Trainer

ADAM = {"name": "adam", "learning_rate": 1e-3}
MLP = {"family": "mlp", "hidden": [64, 64]}
DEEP = {"family": "mlp", "hidden": [64] * 8}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training and what is wrong with it."""

    config: dict[str, Any]
    expected: tuple[Code | str, ...] = ()
    """Any of these names it; `diverged` is an ending."""
    data: DataTable = field(default_factory=lambda: DataTable(dataset="digits"))
    change: Callable[[Dataset], Dataset] = lambda dataset: dataset
    until: int | None = None
    """Epoch at which it is pruned."""


def few(count: int) -> Callable[[Dataset], Dataset]:
    return lambda dataset: dataset.rows(np.random.default_rng(0).permutation(dataset.size)[:count])


def noisy(dataset: Dataset) -> Dataset:
    """Half of the labels are drawn anew."""
    from dataclasses import replace

    draw = np.random.default_rng(0)
    target = dataset.target_N.copy()
    wrong = draw.random(len(target)) < 0.5
    target[wrong] = draw.integers(0, len(dataset.class_names), wrong.sum())
    return replace(dataset, target_N=target)


def config(**tables: Any) -> dict[str, Any]:
    return {"model": MLP, "optimizer": ADAM, "training": {"epochs": 30, "batch_size": 32}, **tables}


class FrozenOutput(nn.Module):
    """Its output layer never moves."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(math.prod(input_shape), 64)
        self.out = nn.Linear(64, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.hidden(x.flatten(1)).relu()
        return nn.functional.linear(hidden, self.out.weight.detach(), self.out.bias.detach())


CASES: dict[str, Case] = {
    "zeros": Case(config=config(init={"scheme": "zeros"}), expected=(Code.IDENTICAL_UNITS,)),
    "std 1, depth 8": Case(
        config=config(model=DEEP, init={"scheme": "small_normal", "std": 1.0}), expected=(Code.SIGNAL_EXPLODES,)
    ),
    "std 0.01, depth 8": Case(
        config=config(model=DEEP, init={"scheme": "small_normal", "std": 0.01}), expected=(Code.SIGNAL_VANISHES,)
    ),
    "learning rate 100": Case(
        config=config(optimizer={"name": "adam", "learning_rate": 100.0}), expected=("diverged", Code.STEPS_TOO_LARGE)
    ),
    "sgd, learning rate 100": Case(
        config=config(optimizer={"name": "sgd", "learning_rate": 100.0}), expected=("diverged", Code.STEPS_TOO_LARGE)
    ),
    "learning rate 1e-8": Case(
        config=config(optimizer={"name": "adam", "learning_rate": 1e-8}), expected=(Code.STEPS_TOO_SMALL,)
    ),
    "sgd, learning rate 1e-5": Case(
        config=config(optimizer={"name": "sgd", "learning_rate": 1e-5}),
        expected=(Code.UPDATES_TOO_SMALL, Code.STEPS_TOO_SMALL),
    ),
    "learning rate 1e-6, pruned": Case(
        config=config(optimizer={"name": "adam", "learning_rate": 1e-6}), expected=(Code.UPDATES_TOO_SMALL,), until=2
    ),
    "dead units": Case(
        config=config(optimizer={"name": "sgd", "learning_rate": 3.0}, model={"family": "mlp", "hidden": [256, 256]}),
        expected=(Code.DEAD_UNITS, "diverged"),
    ),
    "overfit on 50 rows": Case(
        config=config(model={"family": "mlp", "hidden": [256, 256]}, training={"epochs": 100, "batch_size": 16}),
        expected=(Code.OVERFITS, Code.OVERFITS_EARLY),
        data=DataTable(dataset="breast_cancer", test=0.0, validation=0.5),
        change=few(100),
    ),
    "not scaled": Case(
        config=config(), expected=(Code.INPUTS_NOT_SCALED,), data=DataTable(dataset="breast_cancer", scaling="none")
    ),
    "saturated sigmoid": Case(
        config=config(
            model={"family": "mlp", "hidden": [64, 64], "activation": "sigmoid"},
            init={"scheme": "small_normal", "std": 3.0},
        ),
        expected=(Code.SATURATED_UNITS,),
    ),
    "too few epochs": Case(
        config=config(training={"epochs": 5, "batch_size": 32}, optimizer={"name": "adam", "learning_rate": 1e-4}),
        expected=(Code.STILL_IMPROVING,),
    ),
    "label noise": Case(
        config=config(training={"epochs": 60, "batch_size": 32}),
        expected=(Code.OVERFITS, Code.OVERFITS_EARLY),
        change=noisy,
    ),
    "batch of 2": Case(
        config=config(norm={"kind": "batch"}, training={"epochs": 10, "batch_size": 2}),
        expected=(Code.SMALL_NORMALISED_BATCHES,),
        change=few(400),
    ),
    "exploding recurrent": Case(
        config=config(
            model={"family": "recurrent", "cell": "rnn", "width": 64},
            init={"scheme": "small_normal", "std": 1.0},
            optimizer={"name": "sgd", "learning_rate": 0.1},
        ),
        expected=(Code.GRADIENT_EXPLODES, Code.SIGNAL_EXPLODES, Code.SATURATED_UNITS, "diverged"),
        data=DataTable(dataset="japanese_vowels"),
    ),
    "frozen output": Case(
        config=config(model={"family": "custom", "module": "benchmarks.diagnosis:FrozenOutput"}),
        expected=(Code.NO_GRADIENT,),
    ),
    "sound: adam": Case(config=config()),
    "sound: sgd, cosine": Case(
        config=config(optimizer={"name": "sgd", "learning_rate": 0.05, "momentum": 0.9}, schedule={"name": "cosine"})
    ),
    "sound: batch norm, dropout": Case(config=config(norm={"kind": "batch"}, dropout={"p": 0.2})),
    "sound: wine": Case(config=config(training={"epochs": 60, "batch_size": 16}), data=DataTable(dataset="wine")),
    "sound: breast_cancer": Case(config=config(dropout={"p": 0.3}), data=DataTable(dataset="breast_cancer")),
    "sound: diabetes": Case(
        config=config(model={"family": "mlp", "hidden": [16]}, training={"epochs": 60, "batch_size": 32}),
        data=DataTable(dataset="diabetes"),
    ),
    "sound: tanh": Case(config=config(model={"family": "mlp", "hidden": [64, 64], "activation": "tanh"})),
    "sound: cnn": Case(config=config(model={"family": "cnn", "channels": [8, 16]}, training={"epochs": 15})),
    "sound: adam, pruned": Case(config=config(), until=1),
    "sound: sgd, warm-up, pruned": Case(
        config=config(
            optimizer={"name": "sgd", "learning_rate": 0.05, "momentum": 0.9},
            schedule={"name": "warmup_cosine", "warmup": 0.5},
            training={"epochs": 200, "batch_size": 32},
        ),
        until=1,
    ),
}


def signs_of(case: Case, seeds: int) -> list[set[str]]:
    """The codes found with each seed."""
    dataset = case.change(load_dataset(case.data, Path()))
    prepared = prepare_data(dataset, split_data(dataset, case.data, 0), case.data)
    examples = on_device(prepared, device=torch.device("cpu"), dtype=torch.float32)
    its = TrialConfig.model_validate(case.config)
    objective = "accuracy" if dataset.class_names else "r2"
    setting = Setting(examples=examples, seed=0, metrics=("loss", objective))
    trainer = Trainer(setting, lambda c: [c], Limits(None))
    found: list[list[Sign]] = [[] for _ in range(seeds)]
    ends: list[set[str]] = [set() for _ in range(seeds)]
    diagnosis = Diagnosis(examples)
    measured: list[Updates | None] = [None] * seeds
    for signs in found:
        signs += diagnosis.at_start(its)
    assert not trainer.admit((seed, its) for seed in range(seeds))
    rows: list[list[Any]] = [[] for _ in range(seeds)]
    finished = case.until is None
    for _ in range(case.until or its.training.epochs):
        lanes = trainer.tick().epochs
        for lane_epoch in lanes:
            if lane_epoch.diverged:
                ends[lane_epoch.trial].add("diverged")
            else:
                rows[lane_epoch.trial].append(lane_epoch)
        trainer.release({lane_epoch.trial for lane_epoch in lanes if lane_epoch.diverged})
    for cohort in trainer.all_cohorts():
        for index, lane in enumerate(cohort.lanes):
            cohort.layout.load(lane.module, cohort.state["theta"][index], cohort.state["stats"][index])
            found[lane.trial] += diagnosis.at_end(its, lane.module) if finished else ()
            measured[lane.trial] = updates_of(lane, finished=finished)
    for seed, trained in enumerate(rows):
        if trained:
            curves = rules.Curves(
                train_loss=[e.train_loss for e in trained],
                valid_loss=[e.metrics["loss"] for e in trained],
                objective=[e.metrics[objective] for e in trained],
                gradient_norm=[e.gradient_norm for e in trained],
                constant_loss=constant_loss(examples),
                complete=len(trained) == its.training.epochs,
                updates=measured[seed],
            )
            found[seed] += rules.of_curves(curves)
    return [{str(sign.code) for sign in signs} | end for signs, end in zip(found, ends, strict=True)]


def cost(case: str, dataset: str, runs: int, *, lanes: int = 8, epochs: int = 15) -> list[float]:
    """Shares of the time that the diagnosis takes, in per cent, one for each run."""
    table = DataTable(dataset=dataset)
    read = load_dataset(table, Path())
    data = prepare_data(read, split_data(read, table, 0), table)

    def seconds(*, looked_at: bool) -> float:
        trainer = augmentation.trainer(data, case, Augmentation(), lanes)
        trainer.tick()  # what is prepared once
        with nullcontext() if looked_at else patch.object(updates, "is_due", lambda epoch: False):
            started = time.process_time()
            for _ in range(epochs):
                trainer.tick()
            if looked_at:
                diagnosis = Diagnosis(trainer.setting.examples)
                for number in range(lanes):
                    lane, module = packing.trained(trainer, number)
                    diagnosis.when_ended(lane, module, finished=True)
            return time.process_time() - started

    pairs = [(seconds(looked_at=True), seconds(looked_at=False)) for _ in range(runs)]
    return [100 * (1 - plain / whole) for whole, plain in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"default: all of {', '.join(CASES)}")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.cost:
        print("| case | share of the diagnosis, % |\n|---|---|")
        for case, (dataset, network) in augmentation.STUDIES.items():
            print(f"| {case} | {spread(cost(network, dataset, args.runs))} |", flush=True)
        return
    print("| case | named | other signs |")
    print("|---|---|---|")
    for name in args.cases or CASES:
        case = CASES[name]
        seeds = signs_of(case, args.seeds)
        named = fmean(bool(codes & set(map(str, case.expected))) for codes in seeds)
        others = Counter(code for codes in seeds for code in codes - set(map(str, case.expected)))
        told = ", ".join(f"{code} {count / len(seeds):.0%}" for code, count in others.most_common())
        accused = fmean(bool(codes - set(map(str, HARMLESS))) for codes in seeds)
        print(f"| {name} | {f'{named:.0%}' if case.expected else f'accused {accused:.0%}'} | {told} |", flush=True)


if __name__ == "__main__":
    main()
