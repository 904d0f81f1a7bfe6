"""Signs of trouble in a training: a code with its figure, which a trial's row stores, and the words that are made from
it. Code asks for the code; words are for people.

The rules that find signs are in `hpo.training.diagnosis`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SIGNS = "signs"
"""User attribute of a trial with its signs."""


class Code(StrEnum):
    """Codes of signs. The database stores them: none is ever renamed."""

    IDENTICAL_UNITS = "identical_units"
    SIGNAL_VANISHES = "signal_vanishes"
    SIGNAL_EXPLODES = "signal_explodes"
    GRADIENT_VANISHES = "gradient_vanishes"
    GRADIENT_EXPLODES = "gradient_explodes"
    NO_GRADIENT = "no_gradient"
    DEAD_UNITS = "dead_units"
    SATURATED_UNITS = "saturated_units"
    INPUTS_NOT_SCALED = "inputs_not_scaled"
    SMALL_NORMALISED_BATCHES = "small_normalised_batches"
    STEPS_TOO_SMALL = "steps_too_small"
    STEPS_TOO_LARGE = "steps_too_large"
    UPDATES_TOO_SMALL = "updates_too_small"
    OVERFITS = "overfits"
    OVERFITS_EARLY = "overfits_early"
    STILL_IMPROVING = "still_improving"
    UNSTABLE_END = "unstable_end"
    STOPPED_IMPROVING = "stopped_improving"


WORDS: dict[Code, tuple[str, str]] = {
    Code.IDENTICAL_UNITS: (
        "units of {where} are identical at the start, and stay so",
        "take an init.scheme that draws weights at random",
    ),
    Code.SIGNAL_VANISHES: (
        "activations of {where} vary {number} times as much as the inputs at the start",
        "take a larger init.std, kaiming or orthogonal weights, or a norm",
    ),
    Code.SIGNAL_EXPLODES: (
        "activations of {where} vary {number} times as much as the inputs at the start",
        "take a smaller init.std, kaiming or orthogonal weights, or a norm",
    ),
    Code.GRADIENT_VANISHES: (
        "the gradient of {where} is {number} of the largest of a layer at the start",
        "take fewer layers, another activation or init.scheme, a norm, or residual blocks",
    ),
    Code.GRADIENT_EXPLODES: (
        "the gradient grew to {number} times its median",
        "set regularization.gradient_clip, or lower the learning rate",
    ),
    Code.NO_GRADIENT: (
        "{where} gets no gradient, so it does not learn",
        "look for detach(), no_grad, or an activation that is 0 for every example",
    ),
    Code.DEAD_UNITS: (
        "{share} of the units of {where} are 0 for every example",
        "lower the learning rate, or take leaky_relu, gelu or a norm",
    ),
    Code.SATURATED_UNITS: (
        "{share} of the activations of {where} lie at their bounds, where they hardly learn",
        "take smaller initial weights, scaled inputs, a norm, or relu",
    ),
    Code.INPUTS_NOT_SCALED: (
        "the inputs' spreads differ by a factor of {number}, or are far from 1",
        'take data.scaling = "standard"',
    ),
    Code.SMALL_NORMALISED_BATCHES: (
        "batch normalisation takes its statistics from batches of {number}",
        'raise training.batch_size, or take norm.kind = "layer" or "group"',
    ),
    Code.STEPS_TOO_SMALL: (
        "the training loss changed by {share} in the whole training",
        "raise the learning rate",
    ),
    Code.UPDATES_TOO_SMALL: (
        "no update that was measured changed a layer by more than {number} of its weights, where 0.001 is usual",
        "raise the learning rate",
    ),
    Code.STEPS_TOO_LARGE: (
        "the training loss ended at {number} times that of a constant prediction",
        "lower the learning rate, or set regularization.gradient_clip",
    ),
    Code.OVERFITS: (
        "the validation loss rose to {number} times its lowest while the training loss fell",
        "take dropout, penalties, augmentation, a smaller model, or early stopping",
    ),
    Code.OVERFITS_EARLY: (
        "the validation loss was lowest at epoch {number}, near the start, and rose while the training loss fell",
        "take a smaller model, more data, augmentation, or strong dropout and penalties",
    ),
    Code.STILL_IMPROVING: (
        "it still improved at its end: the last fifth of the epochs brought {share} of the gain",
        "give it more training.epochs, or a higher learning rate",
    ),
    Code.UNSTABLE_END: (
        "its objective jumped by {number} from epoch to epoch at its end",
        'lower the learning rate at the end, e.g. by schedule.name = "cosine"',
    ),
    Code.STOPPED_IMPROVING: (
        "it did not improve in the last {share} of its epochs",
        "take fewer training.epochs, or training.early_stopping",
    ),
}
"""Code -> what is the case, and the way out."""

HARMLESS = frozenset({Code.STOPPED_IMPROVING})
"""Signs of epochs that could be saved, not of a training gone wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """One sign of one trial."""

    code: Code
    figure: float = 0.0
    """What the rule measured; its meaning is in the words."""
    where: str = ""
    """The layer, by its name in the model; empty for the whole."""

    def __str__(self) -> str:
        number = f"{float(f'{self.figure:.2g}'):.10g}"
        share = f"{float(f'{100 * self.figure:.2g}'):.10g} %"
        return WORDS[self.code][0].format(number=number, share=share, where=self.where or "the model")

    @property
    def way_out(self) -> str:
        """What may help."""
        return WORDS[self.code][1]


LARGEST = 10**15
"""Whole numbers from which on a stored figure is none of this program's."""


def stored(signs: Iterable[Sign]) -> list[list[Any]]:
    """The signs as a trial's row stores them: code, figure with four digits, place."""
    return [[str(sign.code), float(f"{sign.figure:.4g}"), sign.where] for sign in signs]


def of(attributes: Mapping[str, Any]) -> tuple[Sign, ...]:
    """The signs in a trial's user attributes."""
    found = attributes.get(SIGNS)
    return tuple(map(_sign, filter(_is_stored, found))) if isinstance(found, list) else ()


def _is_stored(item: Any) -> bool:
    """Whether it is a sign of a code that this version knows: other programs may use an attribute of this name."""
    if not isinstance(item, list) or len(item) != 3:
        return False
    code, figure, where = item
    known = isinstance(code, str) and code in set(Code) and isinstance(where, str)
    return known and (type(figure) is float or (type(figure) is int and abs(figure) < LARGEST))


def _sign(item: list[Any]) -> Sign:
    return Sign(code=Code(item[0]), figure=float(item[1]), where=item[2])
