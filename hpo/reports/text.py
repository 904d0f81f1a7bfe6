"""Numbers, durations, shares and names as they are written for people, on the terminal and in reports. CSV files do not
use these functions."""

from __future__ import annotations

import math
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
    "min_recall": "lowest recall of a class",
    "f1": "F1",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "ece": "calibration error (ECE)",
    "rmse": "RMSE",
    "mae": "MAE",
    "median_absolute_error": "median absolute error",
    "quantile_loss": "quantile loss",
    "r2": "R²",
    "flops": "FLOPs of an example",
}
"""Names of metrics and curves in headings and on axes."""

UNITS: dict[str, str] = {
    "classification": "Losses are cross entropies in nats.",
    "regression": "Losses are mean squared errors of the standardised target: their unit is the target's variance in "
    "the training part. RMSE, MAE, median absolute error and quantile loss are in the target's own unit.",
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
    """A metric's name for people; for an unknown metric, its own name without underscores."""
    return LABELS.get(name, name.replace("_", " "))


def units(task: str | None) -> str:
    """The units of a task's metrics in words; empty if the task is not recorded."""
    return UNITS.get(task or "", "")


def format_number(value: Any, digits: int = 4) -> str:
    """A parameter or a measurement as a person would write it, with `digits` significant digits: `0.9889`, `53212`,
    `3.6e-13`. All digits in front of the point are kept; a missing value is a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -5 < power < 7:
        return _trimmed(f"{value:.{max(0, digits - 1 - power)}f}")
    return f"{_trimmed(mantissa)}e{power}" if value else "0"


def scores_on_test(
    metric: str,
    test: Mapping[str, Any],
    ensemble: Mapping[str, Any] | None,
    models: int,
    *,
    name: str,
    written: Callable[[float], str] = format_number,
) -> list[tuple[str, str]]:
    """(name, value) pairs of a metric on the test part. The winner of a study with folds or repeats is several models,
    which have two scores: the mean over the models, and the score of their ensemble. `name`: the metric's name for
    people; `written`: formats a value."""
    if metric not in test:
        return []
    mean = f", mean of {models} models" if models > 1 else ""
    found = [(f"test {name}{mean}", test[metric])]
    if ensemble:
        found.append((f"test {name}, ensemble of {models} models", ensemble.get(metric)))
    return [(title, "undefined" if value is None else written(value)) for title, value in found]


def format_share(value: float | None, digits: int = 1) -> str:
    """A share of 1 in per cent. A share near 0 or 1 is never rounded to 0 % or 100 %: it becomes `< 0.1 %`, `> 99.9
    %`."""
    if value is None:
        return "–"
    percent, least = 100 * value, 10.0**-digits
    if 0 < percent < least / 2:
        return f"< {least:.{digits}f} %"
    if 100 - least / 2 < percent < 100:
        return f"> {100 - least:.{digits}f} %"
    return f"{percent:.{digits}f} %"


def format_duration(seconds: float | None) -> str:
    """A time span in the one or two units that matter: `0.04 s`, `8.1 s`, `42 s`, `3 min 20 s`, `3 d 4 h`."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{format_number(seconds, 2)} s"
    whole, minutes, hours = (round(seconds / unit) for unit in (1, 60, 3600))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole, 60, "min", "s")
    return _two_units(minutes, 60, "h", "min") if minutes < 24 * 60 else _two_units(hours, 24, "d", "h")


def _two_units(count: int, ratio: int, large: str, small: str) -> str:
    return f"{count // ratio} {large}" + (f" {count % ratio} {small}" if count % ratio else "")


def describe_training(train: float | None, wall: float | None, *, shared: bool = False) -> str:
    """How much of the wall time was training, in words. With `shared`, workers trained at the same time, and their
    training time is a sum over workers."""
    if train is None or not wall:
        return "– of it training"
    if shared or train > wall:
        return f"{format_duration(train)} of training, over all workers"
    return f"{format_share(train / wall, 0)} of it training"


def _trimmed(digits: str) -> str:
    """The digits without trailing zeros of the fraction, and without the sign of a zero."""
    text = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if text in ("-0", "") else text


def plural(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_bytes(count: float | None) -> str:
    """A number of bytes with a suitable unit, e.g. `1.5 MiB`."""
    if count is None:
        return "–"
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{format_number(float(count))} {unit}"
        count /= 1024
    return f"{format_number(float(count))} GiB"
