"""Rules that find signs of trouble, in probes of a model and in a trial's curves. Each is a function and a line in
`AT_START`, `AT_END` or `OF_CURVES`; limits are at the top of each.

Dimensions: E epochs, L layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from hpo.signs import Code, Sign
from hpo.studyfile.records import BatchNorm, TrialConfig
from hpo.training.diagnosis.probe import Probe
from hpo.training.diagnosis.updates import Updates


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """What is known of a trial's model at its start or at its end."""

    config: TrialConfig
    probe: Probe
    input_spreads: tuple[float, ...] = ()
    """Smallest and largest standard deviation of an input over the examples; constant inputs left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """A trial's curves, means over its folds and repeats, [E] each."""

    train_loss: Sequence[float]
    valid_loss: Sequence[float]
    objective: Sequence[float]
    """Of which more is better."""
    gradient_norm: Sequence[float]
    constant_loss: float
    """Loss of the best constant prediction: the entropy of the classes, or 1 for standardised numbers."""
    complete: bool
    """Whether it trained all of its epochs."""
    updates: Updates | None = None
    """None where nothing is known of them."""


# --- at the start ------------------------------------------------------------------------------------------


def identical_units(model: Model) -> Iterator[Sign]:
    for layer in model.probe.weighted:
        if layer.identical:
            yield Sign(code=Code.IDENTICAL_UNITS, where=layer.name)
            return


def signal(model: Model) -> Iterator[Sign]:
    """The spread of the last layer's output is beyond 1/1,000 or 100 times that of the inputs."""
    layers = model.probe.weighted
    if len(layers) < 2 or not model.probe.input_spread or any(layer.identical for layer in layers):
        return
    for layer in layers:
        ratio = layer.spread / model.probe.input_spread
        if ratio > 100.0 or not math.isfinite(ratio):
            yield Sign(code=Code.SIGNAL_EXPLODES, figure=ratio, where=layer.name)
            return
        if ratio < 1e-3:
            yield Sign(code=Code.SIGNAL_VANISHES, figure=ratio, where=layer.name)
            return


def gradient(model: Model) -> Iterator[Sign]:
    """A layer's gradient is 0, or below 1/10,000 of another's; or weights outside of layers have none."""
    if any(layer.identical for layer in model.probe.weighted):
        return
    layers = [(layer.name, layer.gradient or 0.0) for layer in model.probe.weighted]
    largest = max((size for _, size in layers), default=0.0)
    for name, size in layers:
        if size == 0.0:
            yield Sign(code=Code.NO_GRADIENT, where=name)
            return
        if 0.0 < size < 1e-4 * largest:
            yield Sign(code=Code.GRADIENT_VANISHES, figure=size / largest, where=name)
            return
    for name in model.probe.idle[:1]:
        yield Sign(code=Code.NO_GRADIENT, where=name)


def dead_units(model: Model) -> Iterator[Sign]:
    """Half of a layer's units or more."""
    worst = max(model.probe.layers, key=lambda layer: layer.dead or 0.0, default=None)
    if worst is not None and (worst.dead or 0.0) >= 0.5:
        yield Sign(code=Code.DEAD_UNITS, figure=worst.dead or 0.0, where=worst.name)


def saturated_units(model: Model) -> Iterator[Sign]:
    """Half of a layer's activations or more."""
    worst = max(model.probe.layers, key=lambda layer: layer.saturated or 0.0, default=None)
    if worst is not None and (worst.saturated or 0.0) >= 0.5:
        yield Sign(code=Code.SATURATED_UNITS, figure=worst.saturated or 0.0, where=worst.name)


def inputs_not_scaled(model: Model) -> Iterator[Sign]:
    """Spreads of inputs differ by a factor of 100 or more while one exceeds 10, or all are below 1/100 or one above
    100."""
    if not model.input_spreads:
        return
    low, high = model.input_spreads
    if (high > 10.0 and high / low > 100.0) or high > 100.0 or high < 0.01:
        yield Sign(code=Code.INPUTS_NOT_SCALED, figure=high / low)


def small_normalised_batches(model: Model) -> Iterator[Sign]:
    """Of up to four examples."""
    config = model.config
    if isinstance(config.norm, BatchNorm) and config.training.batch_size <= 4:
        yield Sign(code=Code.SMALL_NORMALISED_BATCHES, figure=config.training.batch_size)


# --- curves ------------------------------------------------------------------------------------------------


def steps_too_small(curves: Curves) -> Iterator[Sign]:
    """The training loss changed by less than half a per cent, though there was a gradient."""
    loss = curves.train_loss
    if not curves.complete or len(loss) < 3:
        return
    change = abs(fmean(loss[-2:]) - fmean(loss[:2])) / max(loss[0], 1e-12)
    if change < 0.005 and min(curves.gradient_norm) > 0.05 and fmean(loss[-2:]) > 0.5 * curves.constant_loss:
        yield Sign(code=Code.STEPS_TOO_SMALL, figure=change)


def steps_too_large(curves: Curves) -> Iterator[Sign]:
    """The training loss ends above one and a half times that of a constant prediction."""
    ratio = fmean(curves.train_loss[-3:]) / curves.constant_loss
    if ratio > 1.5:
        yield Sign(code=Code.STEPS_TOO_LARGE, figure=ratio)


def updates_too_small(curves: Curves) -> Iterator[Sign]:
    """No update changed a layer by more than 1/10,000 of its weights, all of them together could not have changed one
    by a tenth, and the training loss is still above half of a constant prediction's. Not where `steps_too_small` says
    so already."""
    updates = curves.updates
    if updates is None or updates.largest >= 1e-4 or updates.largest * updates.count >= 0.1:
        return
    if fmean(curves.train_loss[-2:]) > 0.5 * curves.constant_loss and not any(steps_too_small(curves)):
        yield Sign(code=Code.UPDATES_TOO_SMALL, figure=updates.largest)


def gradient_grew(curves: Curves) -> Iterator[Sign]:
    """An epoch's mean gradient is beyond 100 times the median, and beyond 10."""
    highest, usual = max(curves.gradient_norm), median(curves.gradient_norm)
    if len(curves.gradient_norm) >= 3 and highest > 10.0 and highest > 100.0 * usual:
        yield Sign(code=Code.GRADIENT_EXPLODES, figure=highest / usual if usual else math.inf)


def overfits(curves: Curves) -> Iterator[Sign]:
    """The validation loss ends 10 % above its lowest and by 2 % of a constant prediction's loss, as near 0 that share
    is little. The lowest lies before the last quarter, and after it the training loss fell by a fifth or more, below
    half of the validation loss. Early: it is lowest in the first fifth of the epochs."""
    valid, train = curves.valid_loss, curves.train_loss
    if len(valid) < 8:
        return
    lowest = min(range(len(valid)), key=lambda epoch: valid[epoch])
    end, fell = fmean(valid[-3:]), fmean(train[-3:])
    if lowest >= 0.75 * len(valid) or end - valid[lowest] < max(0.1 * valid[lowest], 0.02 * curves.constant_loss):
        return
    if fell > 0.8 * train[lowest] or fell > 0.5 * end:
        return
    if lowest + 1 <= max(2, 0.2 * len(valid)):
        yield Sign(code=Code.OVERFITS_EARLY, figure=lowest + 1)
    else:
        yield Sign(code=Code.OVERFITS, figure=end / valid[lowest])


def still_improving(curves: Curves) -> Iterator[Sign]:
    """The last fifth of the epochs lowered the validation loss by 5 % or more of the whole gain."""
    valid = curves.valid_loss
    if not curves.complete or len(valid) < 3:
        return
    tail = max(1, len(valid) // 5)
    before, end = min(valid[:-tail]), min(valid[-tail:])
    gain = max(curves.constant_loss, valid[0]) - end
    if gain > 0.02 * curves.constant_loss and before - end >= 0.05 * gain:
        yield Sign(code=Code.STILL_IMPROVING, figure=(before - end) / gain)


def unstable_end(curves: Curves) -> Iterator[Sign]:
    """In the last quarter, the objective's steps from epoch to epoch are beyond a fifth of its whole range."""
    tail = curves.objective[-max(4, len(curves.objective) // 4) :]
    if len(curves.objective) < 8:
        return
    jump = median(abs(after - before) for before, after in pairwise(tail))
    if jump > 0.2 * (max(curves.objective) - min(curves.objective)) and jump > 0.01:
        yield Sign(code=Code.UNSTABLE_END, figure=jump)


def stopped_improving(curves: Curves) -> Iterator[Sign]:
    """Neither the objective nor the validation loss was best in the second half."""
    epochs = len(curves.objective)
    if epochs < 8:
        return
    best = max(range(epochs), key=lambda epoch: curves.objective[epoch])
    lowest = min(range(epochs), key=lambda epoch: curves.valid_loss[epoch])
    if max(best, lowest) < epochs // 2:
        yield Sign(code=Code.STOPPED_IMPROVING, figure=1.0 - (max(best, lowest) + 1) / epochs)


AT_START: tuple[Callable[[Model], Iterator[Sign]], ...] = (
    identical_units,
    signal,
    gradient,
    dead_units,
    saturated_units,
    inputs_not_scaled,
    small_normalised_batches,
)
AT_END: tuple[Callable[[Model], Iterator[Sign]], ...] = (dead_units, saturated_units)
OF_CURVES: tuple[Callable[[Curves], Iterator[Sign]], ...] = (
    steps_too_small,
    steps_too_large,
    updates_too_small,
    gradient_grew,
    overfits,
    still_improving,
    unstable_end,
    stopped_improving,
)


def at_start(model: Model) -> list[Sign]:
    """Signs before the first step."""
    return [sign for rule in AT_START for sign in rule(model)]


def at_end(model: Model) -> list[Sign]:
    """Signs of the model that was trained."""
    return [sign for rule in AT_END for sign in rule(model)]


def of_curves(curves: Curves) -> list[Sign]:
    """Signs in what was recorded epoch by epoch; none without an epoch."""
    return [sign for rule in OF_CURVES for sign in rule(curves)] if curves.train_loss else []
