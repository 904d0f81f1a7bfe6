"""How a report writes numbers for people: digits, durations, shares, labels. CSV files do not pass through here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

LABELS: dict[str, str] = {
    "objective": "objective",
    "train_loss": "training loss",
    "valid_loss": "validation loss",
    "learning_rate": "learning rate",
    "gradient_norm": "gradient norm",
    "loss": "loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}
"""Names of metrics and curves as read in headings and on axes."""

UNITS: dict[str, str] = {
    "classification": "Losses are cross entropies in nats.",
    "regression": "Losses are mean squared errors of the standardised target: their unit is the target's variance in "
    "the training part. RMSE and MAE are in the target's own unit.",
}
"""Task -> the units of its metrics, in words."""

STATES: dict[str, str] = {
    "COMPLETE": "finished",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
}
"""Optuna's trial states in the words of this package."""


def label(name: str) -> str:
    """Reader's name of a metric; a user's own metric keeps its name."""
    return LABELS.get(name, name.replace("_", " "))


def units(task: str | None) -> str:
    """The units of a task's metrics; nothing where a study did not note its task."""
    return UNITS.get(task or "", "")


def number(value: Any, digits: int = 4) -> str:
    """A parameter or a measurement with `digits` significant digits; a missing one is a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return str(value)


def scores_on_test(
    metric: str,
    test: Mapping[str, Any],
    ensemble: Mapping[str, Any] | None,
    models: int,
    *,
    name: str,
    written: Callable[[float], str] = number,
) -> list[tuple[str, str]]:
    """Names and values of a metric on the test part, which is called `name`. The winner of a study with folds or
    repeats is several models: it has the mean over them, and the score of what they answer together."""
    if metric not in test:
        return []
    mean = f", mean of {models} models" if models > 1 else ""
    found = [(f"test {name}{mean}", test[metric])]
    if ensemble:
        found.append((f"test {name}, ensemble of {models} models", ensemble.get(metric)))
    return [(title, "undefined" if value is None else written(value)) for title, value in found]


def share(value: float | None, digits: int = 1) -> str:
    """A share of one in per cent."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """A time span in the two units that matter."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def training(train: float | None, wall: float | None, *, shared: bool = False) -> str:
    """How much of the wall time was training; of workers that `shared` it, each trained in the same seconds."""
    if train is None or not wall:
        return "– of it training"
    if shared or train > wall:
        return f"{duration(train)} of training, over all workers"
    return f"{share(train / wall, 0)} of it training"


def plural(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size(count: float | None) -> str:
    """Bytes in the unit that leaves the fewest digits."""
    if count is None:
        return "–"
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} GiB"
