"""The changes to the training batches of lanes, in their fixed order, and mixup, which also changes the targets.

Dimensions: S steps, K lanes, B examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.seeds import lane_seed
from hpo.studyfile.records import Augmentation
from hpo.training import randomness
from hpo.training.augment import images, words
from hpo.training.augment.portion import Portion
from hpo.training.augment.values import amplify, feature_dropout, noise, time_mask
from hpo.training.batches import Examples
from hpo.training.layers.loss import Mixed

Change = Callable[[Portion], Tensor]

IMAGE: dict[Change, tuple[str, ...]] = {
    images.move: ("shift", "rotate", "scale"),
    images.flip: ("flip",),
    noise: ("noise",),
    images.cutout: ("cutout",),
}
SEQUENCE: dict[Change, tuple[str, ...]] = {
    amplify: ("scale",),
    noise: ("noise",),
    time_mask: ("time_mask",),
}
TABLE: dict[Change, tuple[str, ...]] = {
    noise: ("noise",),
    feature_dropout: ("feature_dropout",),
    words.word_dropout: ("word_dropout",),
}
CHANGES = {3: IMAGE, 2: SEQUENCE, 1: TABLE}
"""By the dimensions of the main input: the changes in their order, with the keys of a study file that set their
strengths. A change is made to lanes where one of them is not 0."""

NUMBERS = 2**18
"""Numbers of a batch that are changed at once: as many as stay in the cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneChanges:
    """The changes to one lane's batches of an epoch."""

    strengths: Augmentation
    darkest_F: Tensor
    """Lowest value of each channel of the lane's training images; one 0 for other data."""
    key: int
    """Random key of the epoch."""
    share_S: NDArray[np.float64]
    """Share of the first example of a mixed pair in each step; 1 without mixup."""

    @classmethod
    def of(
        cls, strengths: Augmentation, darkest_F: Tensor, numbers: tuple[int, int, int, int], steps: int
    ) -> LaneChanges:
        """`numbers`: study seed, trial, replica and epoch."""
        share_S = np.ones(steps)
        if strengths.mixup:
            generator = np.random.Generator(np.random.PCG64(lane_seed("mixup", *numbers)))
            share_S = generator.beta(strengths.mixup, strengths.mixup, steps)
        return cls(strengths=strengths, darkest_F=darkest_F, key=lane_seed("augmentation", *numbers), share_S=share_S)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chosen:
    """A change, and the lanes that it is made to."""

    change: Change
    lanes: Tensor | None
    """Their places; None: all."""
    strengths: dict[str, Tensor]
    """Theirs, by key of the study file."""


class Augmenter:
    """Changes the batches of some lanes over some steps."""

    def __init__(self, lanes: Sequence[LaneChanges], steps: slice, examples: Examples) -> None:
        device, dtype = examples.device, examples.dtype
        self.signature = examples.signature
        self.keys_SK = randomness.step_keys([lane.key for lane in lanes], steps.stop)[steps].to(device)
        self.darkest_KF = torch.stack([lane.darkest_F for lane in lanes])
        self.share_SK = None
        if any(lane.strengths.mixup for lane in lanes):
            share_SK = np.stack([lane.share_S[steps] for lane in lanes], axis=1)
            self.share_SK = torch.from_numpy(share_SK).to(device, dtype)
        self.chosen: list[_Chosen] = []
        for change, keys in CHANGES[len(self.signature.main.shape)].items():
            places = [place for place, lane in enumerate(lanes) if any(getattr(lane.strengths, key) for key in keys)]
            if places:
                values = {key: [getattr(lanes[place].strengths, key) for place in places] for key in keys}
                strengths = {
                    key: torch.tensor(mine, device=device, dtype=dtype) for key, mine in values.items() if any(mine)
                }
                chosen = None if len(places) == len(lanes) else torch.tensor(places, device=device)
                self.chosen.append(_Chosen(change=change, lanes=chosen, strengths=strengths))

    @classmethod
    def of(cls, lanes: Sequence[LaneChanges], steps: slice, examples: Examples) -> Augmenter | None:
        """None if no lane asks for a change."""
        off = Augmentation()
        return None if all(lane.strengths == off for lane in lanes) else cls(lanes, steps, examples)

    def portion(self, lanes: int, batch: int) -> int:
        """Steps to change at once."""
        return max(1, NUMBERS // (lanes * batch * prod(self.signature.shape)))

    def __call__(self, x: Tensor, y_SKB: Tensor, begin: int) -> tuple[Tensor, Tensor | Mixed]:
        """The changed inputs [S, K, B, ...] and targets of the steps from `begin`. Writes to `x`."""
        steps = slice(begin, begin + len(x))
        for one in self.chosen:
            every = slice(None) if one.lanes is None else one.lanes
            portion = Portion(
                x=x if one.lanes is None else x[:, every],
                keys_SK=self.keys_SK[steps, every],
                strengths=one.strengths,
                signature=self.signature,
                darkest_KF=self.darkest_KF[every],
            )
            changed = one.change(portion)
            if one.lanes is None:
                x = changed
            else:
                x[:, one.lanes] = changed
        if self.share_SK is None:
            return x, y_SKB
        return _mixed(x, y_SKB, self.share_SK[steps])


def _mixed(x: Tensor, y_SKB: Tensor, share_SK: Tensor) -> tuple[Tensor, Tensor | Mixed]:
    """Each example with the next of its batch; the order of a batch is random, and so are the pairs."""

    def mix(first: Tensor, share: Tensor) -> Tensor:
        second = first.roll(-1, 2)
        return torch.where(share < 1.0, first * share + second * (1.0 - share), first)

    x = mix(x, share_SK.view(*share_SK.shape, *[1] * (x.dim() - 2)))
    if y_SKB.is_floating_point():
        return x, mix(y_SKB, share_SK.unsqueeze(-1))
    return x, Mixed(first=y_SKB, second=y_SKB.roll(-1, 2), share=share_SK)
