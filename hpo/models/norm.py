"""The normalisation layers of models and their placement. The slots that hold them are in `hpo.models.slots`."""

from collections.abc import Callable
from typing import Any

from torch import nn

from hpo.errors import InputError
from hpo.models.layers.step_norms import StepBatchNorm, StepGroupNorm
from hpo.studyfile.records import BatchNorm, GroupNorm, LayerNorm, NoNorm, Norm, Placement, RmsNorm

EPS = 1e-5
"""Added to the mean square in RMS normalisation, as PyTorch adds it to the variance in the others."""


def _batch(norm: BatchNorm, shape: tuple[int, ...], place: str) -> nn.Module:
    kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
    return kind(shape[0], affine=norm.affine, momentum=norm.momentum)


def _layer(norm: LayerNorm, shape: tuple[int, ...], place: str) -> nn.Module:
    return nn.LayerNorm(list(shape), elementwise_affine=norm.affine)


def _check_groups(norm: GroupNorm, width: int, place: str) -> None:
    if width % norm.groups:
        raise InputError(
            f"norm.groups = {norm.groups} does not divide the {width} channels of {place}: "
            "every width that is normalised must be a multiple of norm.groups. "
            'Change norm.groups or that width, or take norm.kind = "layer".'
        )


def _group(norm: GroupNorm, shape: tuple[int, ...], place: str) -> nn.Module:
    _check_groups(norm, shape[0], place)
    return nn.GroupNorm(norm.groups, shape[0], affine=norm.affine)


KINDS: dict[str, Callable[[Any, tuple[int, ...], str], nn.Module]] = {
    "none": lambda norm, shape, place: nn.Identity(),
    "batch": _batch,
    "layer": _layer,
    "rms": lambda norm, shape, place: nn.RMSNorm(list(shape), eps=EPS, elementwise_affine=norm.affine),
    "group": _group,
}
"""Name in a study file -> function of the record, the shape of one sample there, and its name for messages."""


def norm_at(norm: Norm, placement: Placement, layer: int, shape: tuple[int, ...], place: str) -> nn.Module:
    """The module for one slot: the normalisation if it belongs there, else `nn.Identity`.

    `layer` counts hidden layers from 0 (it is 0 at the input); `shape` is that of one sample, (features,) or
    (channels, height, width). Layer norm in a convolution spans all three. Raises InputError if the channels
    cannot be grouped as asked.
    """
    if isinstance(norm, NoNorm) or norm.placement != placement:
        return nn.Identity()
    if placement != "input" and layer % norm.every:
        return nn.Identity()
    return KINDS[norm.kind](norm, shape, place)


def step_norm(norm: Norm, features: int, place: str) -> nn.Module:
    """The module for one slot whose input are the steps of sequences, [B, T, features], whatever its placement: each
    step's features are normalised, by batch norm over the real steps of the batch. A single feature is left as it is by
    norms over the features of a step, which would make it 0. Raises InputError as `norm_at`."""
    match norm:
        case LayerNorm() | RmsNorm() | GroupNorm() if features == 1:
            return nn.Identity()
        case BatchNorm():
            return StepBatchNorm(features, affine=norm.affine, momentum=norm.momentum)
        case GroupNorm():
            _check_groups(norm, features, place)
            if norm.groups == features:
                raise InputError(
                    f"norm.groups = {norm.groups} makes each of the {features} numbers of a step at {place} a group of "
                    'its own, and norm makes such a number 0. Take fewer groups, or norm.kind = "layer".'
                )
            return StepGroupNorm(norm.groups, features, affine=norm.affine)
        case LayerNorm() | RmsNorm():
            return KINDS[norm.kind](norm, (features,), place)
        case _:
            return nn.Identity()
