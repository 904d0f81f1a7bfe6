"""Makes studies for the report tests without training anything: trials, epochs and the study's own row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.endings import Ended, Ending, Spent
from hpo.registry.facts import StudyFacts
from hpo.registry.read import Epochs
from hpo.registry.studies import StudyRow
from hpo.reports.facts import StudyReport, report_of
from hpo.studyfile.records import MINIMIZED

START = datetime(2026, 1, 2, 3, 4, 5)
RATE = FloatDistribution(1e-4, 1.0, log=True)
DROPOUT = FloatDistribution(0.0, 0.6)
OPTIMIZER = CategoricalDistribution(("sgd", "adam", "adamw"))
SCHEME = CategoricalDistribution(("small_normal", "lecun_normal", "kaiming_normal", "orthogonal"))
MOMENTUM = FloatDistribution(0.0, 0.99)
NESTEROV = CategoricalDistribution((False, True))
DECAY = FloatDistribution(1e-6, 1e-1, log=True)
EVERY = IntDistribution(1, 4)
FINISHED = Ended(why=Ending.FINISHED)
DIVERGED = Ended(why=Ending.DIVERGED, epoch=3)


def failed(error: str) -> Ended:
    """The ending of a trial that this error ended."""
    return Ended(why=Ending.FAILED, detail=error)


def cut(epochs: int, epoch: int) -> Ended:
    """The ending of a trial at this epoch, when a budget of so many epochs was spent."""
    return Ended(why=Ending.BUDGET, detail=Spent(setting="epochs", limit=epochs), epoch=epoch)


def facts(**changes: Any) -> StudyRow:
    """The study's own row."""
    values: dict[str, Any] = {
        "study_id": 1,
        "name": "digits",
        "fingerprint": "f" * 64,
        "dataset_fingerprint": "d" * 64,
        "created_at": START,
        "finished_at": None,
        "objectives": ("accuracy",),
        "directions": ("maximize",),
        "seed": 0,
        "hpo_version": "0.1.0",
        "spec_text": '[study]\nname = "digits"\nseed = 0\n\n[data]\ndataset = "digits"\n',
        "spec_source": "studies/digits.toml",
        "balance": [
            {
                "part": part,
                "group": str(group),
                "count": count + group % 2,
                "share": (count + group % 2) / (10 * count + 5),
            }
            for part, count in (("train", 107), ("validation", 35), ("test", 35))
            for group in range(10)
        ],
        "facts": {"device": "cpu", "torch": "2.13.0", "threads": 2},
        "wall_seconds": 81.4,
        "train_seconds": 70.2,
        "winner_number": None,
        "test": None,
        "submitted_at": None,
        "stopped_at": None,
        "priority": 0,
        "generation": 0,
        "max_trials": None,
        "max_epochs": None,
        "max_wall_seconds": None,
        "max_cpu_seconds": None,
        "trial_epochs": None,
        "epochs_spent": 0,
        "cpu_seconds": 0.0,
        "noted": None,
        "concluder": None,
    }
    if "objective" in changes:
        name = changes.pop("objective")
        values |= {"objectives": (name,), "directions": ("minimize" if name in MINIMIZED else "maximize",)}
    row = {**values, **changes}
    return StudyRow(**{**row, "facts": StudyFacts.of(row["facts"])})


def trial(
    number: int,
    value: float | None,
    params: dict[str, Any] | None = None,
    distributions: dict[str, BaseDistribution] | None = None,
    *,
    state: TrialState = TrialState.COMPLETE,
    epochs: int = 10,
    best_epoch: int | None = 7,
    ended: Ended | str = FINISHED,
    seconds: float = 1.5,
    spread: float | None = None,
) -> FrozenTrial:
    """One trial; three trials start every two seconds. `ended`: a text is one that another program wrote."""
    frozen = create_trial(
        state=state,
        value=value if state == TrialState.COMPLETE else None,
        params=params or {},
        distributions=distributions or {},
        intermediate_values={} if value is None else {epochs: value},
        user_attrs={
            **({"ended": ended} if isinstance(ended, str) else ended.attributes()),
            "epochs": epochs,
            "best_epoch": best_epoch,
            "seconds": seconds,
            "parameters": 9_610,
            "optimizer_state_bytes": 76_880,
            **({} if spread is None else {"spread": spread}),
        },
    )
    frozen.number = number
    frozen.datetime_start = START + timedelta(seconds=2 * (number // 3))
    frozen.datetime_complete = (
        None if state == TrialState.RUNNING else frozen.datetime_start + timedelta(seconds=seconds)
    )
    return frozen


def epoch_rows(
    number: int, epochs: int, final: float, *, replicas: int = 1, rate: float = 0.01
) -> list[dict[str, Any]]:
    """A curve that rises to `final`, with noise of its own."""
    rng = np.random.default_rng(number)
    rows = []
    for replica in range(replicas):
        for epoch in range(1, epochs + 1):
            objective = final * (1 - math.exp(-epoch / 3)) + 0.02 * rng.standard_normal()
            rows.append(
                {
                    "number": number,
                    "replica": replica,
                    "epoch": epoch,
                    "objective": objective,
                    "train_loss": 2.3 * math.exp(-epoch / 4) + 0.01,
                    "valid_loss": 2.3 * math.exp(-epoch / 5) + 0.05 * rng.random(),
                    "learning_rate": rate,
                    "gradient_norm": 1.0 + rng.random(),
                    "seconds": 0.1 + 0.01 * rng.random(),
                    "accuracy": objective,
                    "macro_f1": objective - 0.01,
                }
            )
    return rows


def random_trial(number: int, rng: np.random.Generator) -> tuple[FrozenTrial, list[dict[str, Any]]]:
    """A plausible trial of a conditional space, with its epochs."""
    rate = float(10 ** rng.uniform(-4, 0))
    name = str(rng.choice(OPTIMIZER.choices))
    best_rate = 0.1 if name == "sgd" else 0.003
    params: dict[str, Any] = {
        "optimizer.name": name,
        "optimizer.learning_rate": rate,
        "init.scheme": str(rng.choice(SCHEME.choices)),
        "dropout.p": float(rng.uniform(0.0, 0.6)),
        "norm.every": int(rng.integers(1, 5)),
    }
    distributions: dict[str, BaseDistribution] = {
        "optimizer.name": OPTIMIZER,
        "optimizer.learning_rate": RATE,
        "init.scheme": SCHEME,
        "dropout.p": DROPOUT,
        "norm.every": EVERY,
    }
    if name == "sgd":
        params |= {"optimizer.momentum": float(rng.uniform(0, 0.99)), "optimizer.nesterov": bool(rng.integers(2))}
        distributions |= {"optimizer.momentum": MOMENTUM, "optimizer.nesterov": NESTEROV}
    if name == "adamw":
        params["optimizer.weight_decay"] = float(10 ** rng.uniform(-6, -1))
        distributions["optimizer.weight_decay"] = DECAY
    distance = abs(math.log10(rate / best_rate))
    final = float(f"{0.98 - 0.09 * distance**2 - 0.1 * params['dropout.p'] ** 2 - 0.01 * rng.random():.6g}")
    if number % 17 == 11:
        broken = trial(
            number, None, params, distributions, state=TrialState.FAIL, epochs=0, best_epoch=None, ended=failed("<b>&")
        )
        return broken, []
    if number > 5 and (final < 0.9 or number % 3 == 0):
        epochs = (1, 3, 10)[number % 3]
        ended = Ended(why=Ending.PRUNED, detail="hyperband", epoch=epochs) if final > 0.5 else DIVERGED
        pruned = trial(
            number,
            final - 0.2,
            params,
            distributions,
            state=TrialState.PRUNED,
            epochs=epochs,
            best_epoch=1,
            ended=ended,
        )
        return pruned, epoch_rows(number, epochs, final, rate=rate)
    best_epoch = int(rng.integers(18, 31))
    finished = trial(number, final, params, distributions, epochs=30, best_epoch=best_epoch, seconds=3.0)
    return finished, epoch_rows(number, 30, final, rate=rate)


def frozen_study(count: int = 100, seed: int = 0) -> tuple[list[FrozenTrial], pd.DataFrame]:
    """Trials and epochs of a study over a conditional space."""
    rng = np.random.default_rng(seed)
    trials, rows = [], []
    for number in range(count):
        made, epochs = random_trial(number, rng)
        trials.append(made)
        rows.extend(epochs)
    return trials, pd.DataFrame(rows)


def study(count: int = 100, seed: int = 0, **changes: Any) -> StudyReport:
    """The report of such a study, its winner scored on the test part."""
    trials, epochs = frozen_study(count, seed)
    finished = [t for t in trials if t.state == TrialState.COMPLETE]
    winner = max(finished, key=lambda t: (t.value or 0.0, -t.number))
    row = facts(**{"winner_number": winner.number, "test": {"accuracy": 0.9722, "loss": 0.1131}, **changes})
    return report_of(row, trials, Epochs.of(epochs))


def small(
    trials: list[FrozenTrial],
    *,
    curve: Sequence[float] | None = None,
    replicas: int = 1,
    **changes: Any,
) -> StudyReport:
    """A report of the given trials, with three epochs for each that has any, or with `curve` as its objective."""
    rows = [
        row
        for t in trials
        for row in epoch_rows(
            t.number, min(3, t.user_attrs["epochs"]) if curve is None else len(curve), 0.9, replicas=replicas
        )
    ]
    if curve is not None:
        rows = [{**row, "objective": curve[row["epoch"] - 1]} for row in rows]
    columns = list(epoch_rows(0, 1, 0.9)[0])
    return report_of(facts(**changes), trials, Epochs.of(pd.DataFrame(rows, columns=columns)))


def balance(
    classes: Sequence[int], *, test: Sequence[int] | None = None, folds: int = 1, typed: bool = True
) -> list[dict[str, Any]]:
    """The split balance of a study with so many examples of each class in every validation part, and in the test
    part. Not `typed`: as earlier versions wrote it."""
    parts: list[tuple[str, str, int | None, Sequence[int]]] = []
    if test is not None:
        parts.append(("test", "test", None, test))
    for fold in range(folds):
        several = folds > 1
        name = f"fold {fold + 1} validation" if several else "validation"
        parts.append((name, "validation", fold if several else None, classes))
    return [
        {
            "part": part,
            **({"role": role, "fold": fold} if typed else {}),
            "group": f"class {group}",
            "count": count,
            "share": count / sum(counts),
        }
        for part, role, fold, counts in parts
        for group, count in enumerate(counts)
    ]
