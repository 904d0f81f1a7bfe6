"""Studies for the tests of comparisons: random searches of a simulated space, without any training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hpo.registry.read import Epochs
from hpo.reports.comparison.entries import Entry, entry_of
from hpo.reports.facts import report_of
from tests.reports.factory import DROPOUT, balance, epoch_rows, facts, trial
from tests.runtime.small import small_text


def searched(
    name: str,
    *,
    mean: float = 0.9,
    seed: int = 0,
    folds: int = 1,
    repeats: int = 1,
    trials: int = 12,
    data: str = "",
    search: str = "trials = 12",
    new_seeds: Sequence[float] = (),
    **changes: Any,
) -> Entry:
    """A random search by accuracy whose configurations are up to 0.05 worse than `mean`. The split follows the seed.
    Macro F1 is 0.01 lower than the accuracy. `changes`: of the study's row."""
    random = np.random.default_rng([seed, len(name), *name.encode()])
    of_fold = 0.01 * np.random.default_rng(seed).standard_normal(folds)
    made, rows = [], []
    for number in range(trials):
        quality = mean - 0.05 * random.random()
        values = quality + np.tile(of_fold, repeats) + 0.005 * random.standard_normal(folds * repeats)
        params, spaces = {"dropout.p": float(random.uniform(0, 0.6))}, {"dropout.p": DROPOUT}
        made.append(trial(number, round(float(values.mean()), 6), params, spaces, epochs=3, best_epoch=2))
        for row in epoch_rows(number, 3, 0.9, replicas=folds * repeats):
            value = float(values[row["replica"]]) - 0.1 * (row["epoch"] != 2)
            rows.append({**row, "objective": value, "accuracy": value, "macro_f1": value - 0.01})
    winner = max(made, key=lambda one: (one.value, -one.number))
    text = small_text(
        study=f'name = "{name}"\nseed = {seed}',
        data='dataset = "wine"\n' + (f"folds = {folds}\n" if folds > 1 else "") + data,
        search=search,
    )
    row = facts(
        **{
            "name": name,
            "seed": seed,
            "spec_text": text,
            "winner_number": winner.number,
            "test": {"accuracy": winner.value - 0.02},
            "balance": balance([30, 30], folds=folds),
            "facts": {"split": f"split of seed {seed}", "replicas": folds * repeats},
            **changes,
        }
    )
    return entry_of(report_of(row, made, Epochs.of(pd.DataFrame(rows))), new_seeds)
