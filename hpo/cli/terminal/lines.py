"""Parts of a study as lines of text: its Pareto front, signs of trouble, weights of a trial, trials in training and
workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpo.attributes.weights import LayerWeights
    from hpo.cli.terminal.records import BestTrial, SignOfTrouble, TrialInTraining, WorkerStatus

MOST = 12
"""Trials of the front that are listed."""


def front_lines(front: Sequence[BestTrial]) -> list[str]:
    """A line for each trial of the Pareto front, the best in the first objective first."""
    from hpo.reports.text import format_number

    lines = [
        f"trial {trial.number}: {', '.join(f'{name} {format_number(value)}' for name, value in trial.values.items())}"
        for trial in front[:MOST]
    ]
    return [*lines, f"and {len(front) - MOST} more; see the report"] if len(front) > MOST else lines


def sign_line(sign: SignOfTrouble) -> str:
    """A kind of sign of trouble: in how many trials it is, an example and the way out."""
    from hpo.reports.text import plural

    named = plural(len(sign.trials), "trial")
    return f"{sign.code.replace('_', ' ')} in {named}, e.g. {sign.trials[0]}: {sign.example}; {sign.way_out}"


def weights_line(layer: LayerWeights) -> str:
    """The weights of a layer: how large updates were beside them, how many are near zero, how much their sizes vary."""
    from hpo.reports.text import format_number, format_share, plural

    parts = [plural(layer.count, "weight")]
    if layer.update_ratio is not None:
        parts.append(f"updates {format_number(layer.update_ratio, 2)} of their size")
    if layer.near_zero is not None:
        parts.append(f"{format_share(layer.near_zero)} near zero")
    if layer.variation is not None:
        parts.append(f"sizes vary by {format_number(layer.variation, 2)} of their mean")
    return f"{layer.name}: {', '.join(parts)}"


def training_line(trial: TrialInTraining) -> str:
    """How far a trial in training is."""
    from hpo.reports.text import format_number

    value = "" if trial.value is None else f", {format_number(trial.value)}"
    worker = "" if trial.worker is None else f", {trial.worker}"
    return f"trial {trial.number}: epoch {trial.epoch}{value}{worker}"


def worker_line(worker: WorkerStatus) -> str:
    """What a worker does."""
    if worker.complaint:
        return f"{worker.name}: cannot work on it: {worker.complaint}"
    return f"{worker.name}: {worker.trials} trials" if worker.alive else f"{worker.name}: silent"
